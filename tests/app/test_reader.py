"""The newest picture for a thread that waits for it; the test does what the decoding thread would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.client.fakes import gray
from twistedcam.app.reader import Reader
from twistedcam.frame import NO_SIGNAL, Frame


class ReaderTests(SynchronousTestCase):
    """What a read returns, and when."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.jobs: list[Callable[[], None]] = []
        self.reader = Reader(self.clock.seconds, self.jobs.append)

    def read(self) -> int | None:
        """The lightness of the next picture, or None."""
        image = self.reader.read(timeout=0)
        return None if image is None else round(float(np.mean(image)))

    def test_decoded_in_time(self) -> None:
        """A frame that is decoded while the read waits is its result; each is read once."""
        reader = Reader(self.clock.seconds, lambda work: work())
        reader.put(gray(50, 1))
        reader.put(gray(60, 2))
        image = reader.read(timeout=0)
        assert image is not None and reader.frame is not None
        self.assertEqual((int(image.max()), reader.frame.sequence), (60, 2))
        self.assertIsNone(reader.read(timeout=0))

    def test_slow_picture(self) -> None:
        """A read ends in time; a picture decoded later is for the next one, and one is decoded at a time."""
        self.reader.put(gray(50, 1))
        self.assertIsNone(self.read())
        self.assertIsNone(self.reader.frame)
        self.reader.put(gray(60, 2))
        self.reader.put(gray(70, 3))
        self.assertEqual((self.read(), len(self.jobs)), (None, 1))
        self.jobs.pop()()
        self.assertEqual(self.read(), 50)
        self.assertIsNone(self.read())
        self.jobs.pop()()
        self.assertEqual((self.read(), self.jobs), (70, []))

    def test_late_picture(self) -> None:
        """A picture that nobody has read for a second is dropped if there is a newer frame."""
        for newer, found in (([], 50), ([gray(60, 2)], None)):
            self.reader.put(gray(50, 1))
            self.read()
            self.jobs.pop()()
            self.clock.advance(1)
            for frame in newer:
                self.reader.put(frame)
            self.assertEqual(self.read(), found)
        self.jobs.pop()()
        self.assertEqual(self.read(), 60)

    def test_card(self) -> None:
        """A card is not a picture, but it is the frame last read."""
        self.reader.put(gray(50, 1, state=NO_SIGNAL, reason="no such camera", since=0.0))
        self.assertIsNone(self.read())
        assert self.reader.frame is not None
        self.assertEqual((self.reader.frame.reason, self.jobs), ("no such camera", []))

    def test_broken(self) -> None:
        """A frame that cannot be decoded is skipped; any other error is raised by the read."""
        reader = Reader(self.clock.seconds, lambda work: work())
        reader.put(Frame(b"\xff\xd8", width=1, height=1))
        self.assertIsNone(reader.read(timeout=0))
        self.assertRegex(reader.problem, "^a frame could not be decoded: .")
        reader.put(gray(50, 1))
        self.assertIsNotNone(reader.read(timeout=0))
        self.assertEqual(reader.problem, "")
        reader.put(Frame(None))  # type: ignore[arg-type]
        with self.assertRaises(TypeError):
            reader.read(timeout=0)

    def test_no_picture(self) -> None:
        """The problem is why the last read gave no picture."""
        self.assertIsNone(self.read())
        self.assertEqual(self.reader.problem, "no picture has come within 0 s")
        self.reader.put(gray(50, 1, state=NO_SIGNAL, reason="no such camera", since=0.0))
        self.read()
        self.assertEqual(self.reader.problem, "no such camera")
        self.reader.put(gray(50, 2))
        self.read()
        self.jobs.pop()()
        self.read()
        self.assertEqual(self.reader.problem, "")

    def test_size_and_rate(self) -> None:
        """The size and the camera's own rate are known as soon as frames are there, however many of them come here."""
        reader = self.reader
        self.assertEqual((reader.fps, reader.width, reader.height), (0.0, 0, 0))
        reader.put(gray(50, 0, 90.0, state=NO_SIGNAL, reason="no such camera", since=0.0))
        reader.put(gray(50, 1, 100.0))
        self.assertEqual((reader.fps, reader.width, reader.height), (0.0, 64, 48))
        reader.put(gray(50, 11, 100.4))
        self.assertEqual(reader.fps, 0.0)
        reader.put(gray(50, 16, 100.6))
        self.assertAlmostEqual(reader.fps, 25.0)
        for sequence, captured in ((17, 200.0), (3, 200.1), (4, 199.0)):
            reader.put(gray(50, sequence, captured))
            self.assertEqual(reader.fps, 0.0, "after a pause, another server, or a clock that was set")

    def test_over(self) -> None:
        """A read that waits asks now and then whether frames can still come."""
        reader = Reader(self.clock.seconds, self.jobs.append, lambda: "the reactor was stopped")
        self.assertIsNone(reader.read(timeout=0))
        self.assertEqual(reader.failure, "the reactor was stopped")
        reader.wait_for(lambda: False, timeout=1e300)

    def test_ended(self) -> None:
        """After a failure or the end a read returns at once, whatever is decoded then."""
        for end in (lambda: self.reader.fail("refused"), lambda: self.reader.close()):
            self.setUp()
            self.reader.put(gray(50, 1))
            self.read()
            end()
            self.jobs.pop()()
            self.assertIsNone(self.reader.read(timeout=100))
