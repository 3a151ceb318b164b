"""Places: a limit on how many of something there are at a time, in all and for each network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twistedcam.errors import NoRoomError


class Place:
    """One of L{Places}, held until it is released."""

    def __init__(self, free: Callable[[], None]) -> None:
        self._free: Callable[[], None] | None = free

    def release(self) -> None:
        """Give the place back; further calls do nothing."""
        free, self._free = self._free, None
        if free is not None:
            free()


class Places:
    """
    At most C{limit} places, of which one network may hold C{per_network} (all if None).

    C{full} is the error message for when none is left, in which C{{limit}} is filled in.
    """

    def __init__(self, limit: int, full: str, per_network: int | None = None) -> None:
        self.limit = limit
        self._per_network = limit if per_network is None else per_network
        self._full = full
        self._held: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many places are held."""
        return self._held.total()

    def take(self, network: str = "") -> Place:
        """Take a place for C{network}, which the caller has to release. Raises L{NoRoomError}."""
        if self.taken >= self.limit:
            raise NoRoomError(self._full.format(limit=self.limit))
        if self._held[network] >= self._per_network:
            raise NoRoomError(f"your address has its share of them: {self._full.format(limit=self.limit)}")
        self._held[network] += 1
        return Place(lambda: self._release(network))

    def _release(self, network: str) -> None:
        self._held[network] -= 1
        if not self._held[network]:
            del self._held[network]
