"""The login throttle: it limits how fast passwords can be tried."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twistedcam.errors import AccessDeniedError, NoRoomError

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 8.0

# An attempt whose turn would come later than this, if those before it fail, is refused as soon as that is so. It is
# below connections.WAIT_SECONDS, after which the connection is ended.
LONGEST_WAIT_SECONDS = 9.0
MAX_WAITING = 10  # attempts at one name from one network: a browser makes six at once
_FORGET_SECONDS = 600.0
_MAX_NAMES = 10_000

_Result = TypeVar("_Result")


class TooManyAttemptsError(NoRoomError):
    """Too many attempts to log in by this name wait already, from the same network."""


class LoginThrottle:
    """
    Takes attempts to log in by one name from one network one at a time, with a growing delay after each failure.

    The number of connections that make the attempts does not matter, and attempts by other names or from other networks
    delay nobody here. An attempt that is cancelled while it waits gives up its turn.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._turns: dict[bytes, _Turns] = {}

    async def attempt(self, network: str, name: str, check: Callable[[], Awaitable[_Result]]) -> _Result:
        """
        Await C{check} at the next turn of C{name} from C{network}, and return what it returns.

        An L{AccessDeniedError} of C{check} counts as a failure; a success forgives the failures of C{name} alone.
        Raises L{TooManyAttemptsError} as soon as it is clear that the turn would come too late.
        """
        who = f"{network} {name}".encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(who, digest_size=16).digest()  # names may be long
        turns = self._turns.get(key)
        if turns is None:
            turns = self._turns[key] = _Turns(self._clock)
        await turns.wait()
        try:
            result = await check()
        except AccessDeniedError:
            turns.failed()
            raise
        else:
            turns.failures = 0
        finally:
            turns.end()
            self._forget(key, turns)
        return result

    def _forget(self, key: bytes, turns: _Turns) -> None:
        if not turns.failures and turns.is_idle:
            self._turns.pop(key, None)
        if len(self._turns) > _MAX_NAMES:
            # Half of them at a time, and those that failed least: failures at many names do not forgive the one that is
            # being guessed.
            for old, one in sorted(self._turns.items(), key=lambda item: item[1].failures)[: _MAX_NAMES // 2]:
                if one.is_idle:
                    del self._turns[old]


class _Turns:
    """The attempts at one name from one network."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.failures = 0  # in a row
        self._next_at = 0.0
        self._is_taken = False
        self._waiting: dict[Deferred[None], float] = {}  # in their order, with the latest time for the turn of each
        self._timer: IDelayedCall | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no attempt is being made, and none waits."""
        return not self._is_taken and not self._waiting

    async def wait(self) -> None:
        """Wait for a turn, which lasts until L{end} is called. Raises L{TooManyAttemptsError}."""
        now = self._clock.seconds()
        if now - self._next_at > _FORGET_SECONDS:
            self.failures = 0
        if self.is_idle and now >= self._next_at:
            self._is_taken = True
            return
        seconds = self._seconds_until(len(self._waiting), now)
        if len(self._waiting) >= MAX_WAITING or seconds > LONGEST_WAIT_SECONDS:
            raise _too_many(seconds)
        turn: Deferred[None] = Deferred(self._waiting.__delitem__)
        self._waiting[turn] = now + LONGEST_WAIT_SECONDS
        self._schedule()
        await turn

    def failed(self) -> None:
        """Count the failure of this turn, and refuse the waiting attempts whose turns would now come too late."""
        self.failures += 1
        now = self._clock.seconds()
        self._next_at = now + _delay(self.failures)
        position = 0
        for turn, latest in tuple(self._waiting.items()):
            seconds = self._seconds_until(position, now)
            if now + seconds <= latest:
                position += 1
            else:
                del self._waiting[turn]
                turn.errback(_too_many(seconds))

    def end(self) -> None:
        """End the turn: the next attempt may be made."""
        self._is_taken = False
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_taken or not self._waiting:
            return
        seconds = self._next_at - self._clock.seconds()
        if seconds > 0:
            self._timer = self._clock.callLater(seconds, self._begin)
        else:
            self._take()

    def _begin(self) -> None:
        self._timer = None
        self._take()

    def _take(self) -> None:
        if self._waiting:
            self._is_taken = True
            turn = next(iter(self._waiting))
            del self._waiting[turn]
            turn.callback(None)

    def _seconds_until(self, position: int, now: float) -> float:
        """Seconds until the turn of the attempt that C{position} others wait before, if those go on failing."""
        seconds = max(0.0, self._next_at - now)
        if self.failures:
            seconds += sum(_delay(self.failures + count) for count in range(1, position + 1))
        return seconds


def _delay(failures: int) -> float:
    """Seconds between the last of so many failures in a row and the next attempt."""
    return min(FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, 10), LONGEST_DELAY_SECONDS)


def _too_many(seconds: float) -> TooManyAttemptsError:
    return TooManyAttemptsError("too many attempts to log in by this name, try again later", max(1.0, seconds))
