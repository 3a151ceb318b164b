"""Who is let in, and when: the ledger of the wire and the web."""

from __future__ import annotations

from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

# The longest is shorter than the time that a viewer has for its hello.
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 8.0


_FURTHEST_TURN_SECONDS = 60.0
_FORGET_SECONDS = 600.0
_MOST_ADDRESSES = 10_000


class LoginThrottle:
    """
    Turns for attempts to log in: those of an address that has failed come ever more slowly, one after the other.

    However many connections it opens, each attempt has a turn of its own.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # Failures in a row, and when the next turn is, for the addresses that failed last.
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def wait(self, address: str) -> None:
        """Wait for this address's turn."""
        failures, turn = self._failed.get(address, (0, 0.0))
        now = self._clock.seconds()
        if not failures or now - turn > _FORGET_SECONDS:
            self._failed.pop(address, None)
            return
        turn = max(turn, now)
        self._failed[address] = failures, min(turn + self._delay(failures), now + _FURTHEST_TURN_SECONDS)
        if turn > now:
            await deferLater(self._clock, turn - now)  # type: ignore[arg-type]

    def failed(self, address: str) -> None:
        """An attempt failed."""
        failures, turn = self._failed.pop(address, (0, self._clock.seconds()))
        self._failed[address] = failures + 1, turn + self._delay(failures + 1)
        if len(self._failed) > _MOST_ADDRESSES:
            self._failed.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """An attempt succeeded: all is forgiven."""
        self._failed.pop(address, None)

    def _delay(self, failures: int) -> float:
        return min(FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, 10), LONGEST_DELAY_SECONDS)
