"""When the pictures of a live stream were taken, by the times that the sender gives them."""

from __future__ import annotations

_WINDOW_SECONDS = 15.0
_LARGEST_DELAY_SECONDS = 5.0


class StreamClock:
    """
    Maps times in a stream to our clock, in seconds, by the least delay of the last 15 to 30 seconds.

    The picture that was delayed least is taken for one that was not delayed at all, so that jitter and queues count as
    age, while the constant part of the delay is unknown.
    """

    def __init__(self) -> None:
        self._least: float | None = None
        self._recent = 0.0  # the least offset of the present window
        self._ends = 0.0
        self._last = 0.0

    def time_of_capture(self, stamped: float, arrival: float) -> float:
        """When the picture with the time C{stamped} was taken, at C{arrival} or up to five seconds before."""
        offset = arrival - stamped
        if self._least is None or stamped < self._last or offset - self._least > _LARGEST_DELAY_SECONDS:
            self._least = self._recent = offset  # the first picture, or the sender has set its clock
            self._ends = arrival + _WINDOW_SECONDS
        elif arrival >= self._ends:
            self._least, self._recent = min(self._recent, offset), offset
            self._ends = arrival + _WINDOW_SECONDS
        self._recent = min(self._recent, offset)
        self._least = min(self._least, offset)
        self._last = stamped
        return stamped + self._least
