"""The log of viewers and strangers."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.access.viewer_log import MAX_LINES, WINDOW_SECONDS, ViewerLog


class ViewerLogTests(SynchronousTestCase):
    """L{ViewerLog}."""

    def test_bounded(self) -> None:
        """A crowd writes a bounded number of lines, and then how many were left out."""
        clock = Clock()
        log = ViewerLog(clock)
        with capturedLogs() as events:
            for number in range(1000):
                log.info("viewer {number} came", number=number)
            self.assertEqual((len(events), formatEvent(events[0])), (MAX_LINES, "viewer 0 came"))
            clock.advance(WINDOW_SECONDS)
            log.info("viewer {number} came", number=1000)
        lines = list(map(formatEvent, events))
        self.assertEqual(len(lines), MAX_LINES + 2)
        self.assertIn(f"{1000 - MAX_LINES} lines about viewers were left out", lines[-2])
        self.assertEqual(lines[-1], "viewer 1000 came")
