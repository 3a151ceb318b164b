"""The log of viewers and strangers."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twistedcam.access.viewer_log import MAX_LINES, WINDOW_SECONDS, ViewerLog


class ViewerLogTests(SynchronousTestCase):
    """L{ViewerLog}."""

    def test_bounded(self) -> None:
        """A crowd writes a bounded number of lines, and then how many were left out."""
        clock = Clock()
        lines: list[str] = []

        @implementer(ILogObserver)
        def observe(event: Any) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        log = ViewerLog(clock)
        for number in range(1000):
            log.info("viewer {number} came", number=number)
        self.assertEqual((len(lines), lines[0]), (MAX_LINES, "viewer 0 came"))
        clock.advance(WINDOW_SECONDS)
        log.info("viewer {number} came", number=1000)
        self.assertEqual(len(lines), MAX_LINES + 2)
        self.assertIn(f"{1000 - MAX_LINES} lines about viewers were left out", lines[-2])
        self.assertEqual(lines[-1], "viewer 1000 came")
