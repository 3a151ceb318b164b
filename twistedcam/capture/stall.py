"""How long a camera may give no picture before it is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

FIRST_SECONDS = 15.0
_LEAST_SECONDS, _MOST_SECONDS = 5.0, 60.0
_FACTOR = 3
_INTERVALS = 10


class StallLimit:
    """
    The seconds that a camera may give no picture, in C{seconds}: C{fixed}, or, if that is 0, by its own interval.

    Until the second picture of an attempt has come the limit is L{FIRST_SECONDS}; then it is three times the longest of
    the last ten intervals, from 5 to 60 s. An attempt that stalls after a single picture doubles the first limit of the
    next ones, up to 60 s, until pictures come faster. A camera that is read by our clock is given three times its
    interval at least. C{now} is the clock.
    """

    def __init__(self, now: Callable[[], float], fixed: float = 0.0) -> None:
        self._now = now
        self._fixed = fixed
        self._first = FIRST_SECONDS
        self._least = 0.0
        self._last: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    def begin(self, interval: float) -> None:
        """Begin an attempt, at a camera with this L{interval<twistedcam.interfaces.ICamera.interval>} in seconds."""
        self._least = _FACTOR * interval
        self._last = None
        self._intervals.clear()

    def picture(self) -> None:
        """Note that a picture has come."""
        now, last = self._now(), self._last
        self._last = now
        if last is None:
            return
        self._intervals.append(now - last)
        if now - last <= FIRST_SECONDS:
            self._first = FIRST_SECONDS

    def stalled(self) -> None:
        """Note that the attempt has ended because the limit was reached."""
        if self._last is not None and not self._intervals:
            self._first = min(2 * self._first, _MOST_SECONDS)

    @property
    def seconds(self) -> float:
        """The limit, from the last picture or the beginning of the attempt."""
        if self._fixed:
            return self._fixed
        if not self._intervals:
            return max(self._first, self._least)
        learned = min(max(_LEAST_SECONDS, _FACTOR * max(self._intervals)), _MOST_SECONDS)
        return max(learned, self._least)
