"""Frame rates: a limit, and a meter."""

from __future__ import annotations

import math
from collections import deque

MAX_FPS = 1000  # the highest rate that may be asked for


class RateLimit:
    """Selects pictures so that they come to at most C{fps} a second; 0 is no limit."""

    # Cameras are not exact: a picture that is early by this share of a period is still on time.
    _SLACK = 0.1

    def __init__(self, fps: float) -> None:
        self._period = 1 / fps if fps else 0.0
        self._next = -math.inf

    def due(self, seconds: float) -> bool:
        """Whether the picture taken at C{seconds} is due; the time may be of any clock, and may jump."""
        early = self._next - seconds
        slack = self._period * self._SLACK
        if slack < early <= self._period + slack:
            return False
        if abs(early) > self._period + slack:  # the first picture, a gap, or the clock was set
            self._next = seconds
        self._next += self._period
        return True


class Meter:
    """Frames a second over the last two seconds; all times have to be of the same clock."""

    _WINDOW_SECONDS = 2.0
    _MAX_REMEMBERED = 500

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=self._MAX_REMEMBERED)

    def add(self, seconds: float) -> None:
        """Count a frame at the time C{seconds}."""
        self._times.append(seconds)

    def fps(self, now: float) -> float:
        """The rate at the time C{now}."""
        return sum(now - self._WINDOW_SECONDS < seconds for seconds in self._times) / self._WINDOW_SECONDS
