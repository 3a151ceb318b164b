"""The line that is logged at the end."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.client.fakes import gray
from twistedcam.client.report import Report, summary
from twistedcam.client.session import Session
from twistedcam.interfaces import IOutput


class SummaryTests(SynchronousTestCase):
    """What the line says."""

    def test_summary(self) -> None:
        """The rate is counted from the first frame to the last; ages are the median and the 99th percentile."""
        ages = [number / 1000 for number in range(1, 101)]
        self.assertEqual(
            summary(101, 4.0, 7, ages), "101 frames in 4.0 s, 25.00 fps, 7 dropped, age 51.0 ms (p99 100.0 ms)"
        )
        self.assertEqual(summary(2, 1.0, 0, []), "2 frames in 1.0 s, 1.00 fps, 0 dropped, age unknown")


class ReportTests(SynchronousTestCase):
    """The report as an output."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.session = Session(self.clock.seconds, lambda frame: self.report.frame(frame), self.fail)
        self.report = Report(self.session)
        self.events = self.enterContext(capturedLogs())

    def lines(self) -> list[str]:
        """What was logged."""
        return [formatEvent(event) for event in self.events]

    def test_report(self) -> None:
        """It reports once how many frames came, at which rate, how many were dropped, and how old they were."""
        self.assertTrue(verifyObject(IOutput, self.report))
        self.clock.advance(100)
        self.session.connected()
        self.session.pong(sent=100.0, clock=5000.0)
        for sequence in (1, 2, 4):
            self.clock.advance(0.5)
            self.session.receive(gray(50, sequence, captured=5000.0).payload)
        self.report.stop()
        self.report.stop()
        self.assertEqual(self.lines(), ["3 frames in 1.0 s, 2.00 fps, 1 dropped, age 1000.0 ms (p99 1500.0 ms)"])

    def test_too_few(self) -> None:
        """One frame has no rate, and is not reported; nor are several at once."""
        self.session.receive(gray(50, 1).payload)
        self.clock.advance(1)
        self.report.stop()
        for sequence in (2, 3):
            self.session.receive(gray(50, sequence).payload)
        self.report.stop()
        self.assertEqual(self.lines(), [])
