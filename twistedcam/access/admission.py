"""
Admission, over the wire and over HTTP: how many viewers watch, how many wait, and when an address may log in.

Every limit on viewers and logins, and its error message, is here. The L{guards} check what a peer shows.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorTime, ISSLTransport
from twisted.internet.task import deferLater

from twistedcam.errors import AccessDeniedError
from twistedcam.net import is_local
from twistedcam.wire.messages import Challenge

MAX_VIEWERS = 500
PASSWORDS_NEED_TLS = "passwords are accepted over TLS only"

# The longest is shorter than the time that a viewer has for its hello.
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 8.0

_LONGEST_WAIT_SECONDS = 60.0
_MAX_WAITING = 6  # attempts of one address; with more of them, it could take all places of those that wait
_FORGET_SECONDS = 600.0
_MAX_ADDRESSES = 10_000
_MIN_UNAUTHENTICATED = 20  # a browser alone opens six connections, and asks over all of them at once

_Camera = TypeVar("_Camera")


class NoRoomError(AccessDeniedError):
    """A limit has been reached; a later attempt may succeed."""


class UnknownCameraError(AccessDeniedError):
    """There is no camera called C{name}; the text lists the cameras that there are."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        super().__init__(f"there is no camera {name!r:.60} here; the cameras are: {', '.join(names)}")


class Place:
    """One of L{Places}, held until it is released; as a context manager, until the block ends."""

    def __init__(self, held: set[Place]) -> None:
        self._held = held
        held.add(self)

    def release(self) -> None:
        """Give the place back; further calls do nothing."""
        self._held.discard(self)

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class Places:
    """At most C{limit} places; C{full} is the error message if all are taken, in which C{{limit}} is filled in."""

    def __init__(self, limit: int, full: str) -> None:
        self.limit = limit
        self._full = full
        self._held: set[Place] = set()

    @property
    def taken(self) -> int:
        """How many places are held."""
        return len(self._held)

    def take(self) -> Place:
        """Take a place, which the caller has to release. Raises L{NoRoomError}."""
        if self.taken >= self.limit:
            raise NoRoomError(self._full.format(limit=self.limit))
        return Place(self._held)


class LoginThrottle:
    """
    Delays attempts to log in from an address that has failed: one attempt at a time, with a delay that grows.

    It makes no difference how many connections the address opens: they share the delay.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # Failures in a row, and the time of the next attempt, of the addresses that failed last.
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._waiting: Counter[str] = Counter()

    async def wait(self, address: str) -> None:
        """Wait until C{address} may make its next attempt. Raises L{NoRoomError} if too many of its attempts wait."""
        failures, next_at = self._failed.get(address, (0, 0.0))
        now = self._clock.seconds()
        if not failures or now - next_at > _FORGET_SECONDS:
            self._failed.pop(address, None)
            return
        if self._waiting[address] >= _MAX_WAITING:
            raise NoRoomError("too many attempts to log in come from this address, try again later")
        next_at = max(next_at, now)
        self._failed[address] = failures, min(next_at + self._delay(failures), now + _LONGEST_WAIT_SECONDS)
        if next_at > now:
            await self._sleep(address, next_at - now)

    async def _sleep(self, address: str, seconds: float) -> None:
        self._waiting[address] += 1
        try:
            await deferLater(self._clock, seconds)
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]

    def failed(self, address: str) -> None:
        """Count a failed attempt: the next one has to wait longer."""
        now = self._clock.seconds()
        failures, next_at = self._failed.pop(address, (0, now))
        self._failed[address] = failures + 1, min(next_at + self._delay(failures + 1), now + _LONGEST_WAIT_SECONDS)
        if len(self._failed) > _MAX_ADDRESSES:
            self._failed.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the earlier failures of C{address}."""
        self._failed.pop(address, None)

    def _delay(self, failures: int) -> float:
        return min(FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, 10), LONGEST_DELAY_SECONDS)


class Admission:
    """
    Decides, for both protocols, whether a viewer is let in; a server has one.

    C{viewers} are the places of viewers that watch. C{unauthenticated} are those of connections and requests that have
    not been let in yet: they take no viewer's place, and have a limit of their own.
    """

    def __init__(self, clock: IReactorTime, max_viewers: int = MAX_VIEWERS) -> None:
        self.viewers = Places(max_viewers, "the viewer limit of {limit} has been reached, try again later")
        self.unauthenticated = Places(
            max(max_viewers, _MIN_UNAUTHENTICATED), "too many viewers are waiting to be let in, try again later"
        )
        self._throttle = LoginThrottle(clock)

    async def authenticate(self, host: str, check: Callable[[], Awaitable[Challenge | None]]) -> Challenge | None:
        """
        Run C{check} as soon as the throttle lets the address C{host} make an attempt.

        Returns what C{check} returns: None if the peer may watch, or a challenge, which decides nothing yet. Raises the
        L{AccessDeniedError} that C{check} raises, but only after the next delay, to slow down guessing. Raises
        L{NoRoomError} at once if too many attempts of C{host} are waiting.
        """
        await self._throttle.wait(host)
        try:
            challenge = await check()
        except AccessDeniedError:
            self._throttle.failed(host)
            await self._throttle.wait(host)
            raise
        if challenge is None:
            self._throttle.succeeded(host)
        return challenge


def is_private(transport: Any) -> bool:
    """Whether others cannot read what C{transport} carries: it uses TLS, or does not leave this machine."""
    return ISSLTransport.providedBy(transport) or is_local(transport.getHost())


def find_camera(cameras: Mapping[str, _Camera], name: str | None) -> _Camera:
    """The value of C{cameras} for C{name}, the first one for None. Raises L{UnknownCameraError}."""
    if name is None:
        return next(iter(cameras.values()))
    if name not in cameras:
        raise UnknownCameraError(name, cameras)
    return cameras[name]
