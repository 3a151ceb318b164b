"""The log of connections: who came, who is gone and why, with a limit on the number of lines."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

log = Logger()

MAX_LINES = 200
WINDOW_SECONDS = 60.0


class ViewerLog:
    """
    Logs at most L{MAX_LINES} lines in each window of L{WINDOW_SECONDS}, so that a crowd does not fill the disk.

    Further lines are left out. Their number is logged before the first line of a later window.
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
