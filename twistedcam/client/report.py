"""The line that a viewer logs at its end."""

from __future__ import annotations

from collections import deque

from twisted.logger import Logger
from zope.interface import implementer

from twistedcam.client.session import Session
from twistedcam.frame import Frame
from twistedcam.interfaces import IOutput

log = Logger()

_AGES_REMEMBERED = 10_000


@implementer(IOutput)
class Report:
    """Counts the frames of C{session} and records their ages, and logs a summary when it is stopped."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._count = 0
        self._first_at = 0.0
        self._ages: deque[float] = deque(maxlen=_AGES_REMEMBERED)

    def frame(self, frame: Frame) -> None:
        """Count C{frame}, and record its age."""
        if not self._count:
            self._first_at = self._session.monotonic()
        self._count += 1
        age = frame.age
        if age is not None:
            self._ages.append(age)

    def stop(self) -> None:
        """Log the summary, if there were enough frames for one."""
        count, self._count = self._count, 0
        seconds = self._session.monotonic() - self._first_at
        if count > 1 and seconds > 0:
            log.info("{summary}", summary=summary(count, seconds, self._session.dropped, sorted(self._ages)))


def summary(count: int, seconds: float, dropped: int, ages: list[float]) -> str:
    """A line about C{count} frames received in C{seconds}, with their C{ages} in seconds, in ascending order."""
    age = "unknown"
    if ages:
        median, p99 = ages[len(ages) // 2] * 1000, ages[len(ages) * 99 // 100] * 1000
        age = f"{median:.1f} ms (p99 {p99:.1f} ms)"
    fps = (count - 1) / seconds
    return f"{count} frames in {seconds:.1f} s, {fps:.2f} fps, {dropped} dropped, age {age}"
