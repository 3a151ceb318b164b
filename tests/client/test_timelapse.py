"""Time-lapses: pictures, each in a file of its own."""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.client.fakes import gray
from twistedcam.client.timelapse import TimeLapse
from twistedcam.filenames import FileNames
from twistedcam.frame import NO_SIGNAL, Frame
from twistedcam.interfaces import IOutput


class TimeLapseTests(SynchronousTestCase):
    """A picture every ten seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.output = TimeLapse(self.clock.seconds, 10, FileNames(self.folder, self.clock.seconds))

    def give(self, *seconds: float) -> int:
        """Give frames at these times, one after the other; return how many pictures there are then."""
        for sequence, passed in enumerate(seconds):
            self.clock.advance(passed)
            self.output.frame(gray(50, sequence))
        return len(os.listdir(self.folder))

    def test_due(self) -> None:
        """The first frame is written, then one every ten seconds."""
        self.assertTrue(verifyObject(IOutput, self.output))
        self.assertEqual(self.give(0, 5, 3), 1)
        self.assertEqual(self.give(2), 2)
        self.assertEqual(self.give(*[1] * 30), 5)
        self.output.stop()

    def test_cards(self) -> None:
        """A card is not written, and does not delay the next picture."""
        self.output.frame(Frame(b"\xff", state=NO_SIGNAL))
        self.assertEqual(self.give(1), 1)

    def test_failure(self) -> None:
        """A picture that cannot be written is skipped, and the next one tried."""
        os.rmdir(self.folder)
        self.output.frame(gray(50))
        os.mkdir(self.folder)
        self.assertEqual(self.give(10), 1)
