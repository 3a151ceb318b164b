"""The log of viewers and strangers: who came, who is gone and why, in a bounded number of lines."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

log = Logger()

MAX_LINES = 200
WINDOW_SECONDS = 60.0


class ViewerLog:
    """
    At most L{MAX_LINES} lines in L{WINDOW_SECONDS}: a crowd of strangers fills no disk.

    Lines beyond that are left out, and counted in a line of their own as soon as there is room again.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._began = 0.0
        self._lines = self._left_out = 0

    def info(self, format: str, **values: object) -> None:  # noqa: A002 - as Twisted's loggers call it
        """Log C{format} with its C{values}, if there is room."""
        now = self._clock.seconds()
        if now - self._began >= WINDOW_SECONDS:
            self._began, self._lines = now, 0
            self._tell_left_out()
        if self._lines >= MAX_LINES:
            self._left_out += 1
            return
        self._lines += 1
        log.info(format, **values)

    def _tell_left_out(self) -> None:
        count, self._left_out = self._left_out, 0
        if count:
            log.info("{count} lines about viewers were left out: there were too many in a minute", count=count)
