"""What a source opens, and what of it is shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.capture.target import Target, plain_target
from twistedcam.secret import Secret


class TargetTests(SynchronousTestCase):
    """L{Target}."""

    def test_shown(self) -> None:
        """No way to format a target shows what is opened."""
        target = Target("rtsp://cam", Secret("rtsp://me:hunter2@cam/"), (Secret("hunter2"),), has_password=True)
        for text in (str(target), repr(target), f"{target}", f"{target!r:>20}", f"{[target]}", repr({target: 1})):
            self.assertNotIn("hunter2", text)
            self.assertIn("rtsp://cam", text)
        self.assertEqual(target.reveal(), "rtsp://me:hunter2@cam/")

    def test_hide(self) -> None:
        """Its secrets are removed from a text, short ones only where they are words, and those of other URLs."""
        target = Target("it", Secret("abc-hunter2"), (Secret("abc"), Secret("hunter2"), Secret("abc d")))
        for text, hidden in (
            ("abc-hunter2 fails", "it fails"),
            ("'abc' and xhunter2x, not abcd", "'***' and x***x, not abcd"),
            ("abc d", "***"),
            ("see http://me:pw@h/x", "see http://h"),
        ):
            self.assertEqual(target.hide(text), hidden)

    def test_plain(self) -> None:
        """One without secrets is shown as it is, or as it was written."""
        self.assertEqual((str(plain_target("0")), plain_target("0").reveal()), ("0", "0"))
        self.assertEqual((str(plain_target("/home/a.mp4", "a.mp4"))), "a.mp4")
