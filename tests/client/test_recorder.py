"""Recordings one after the other."""

from __future__ import annotations

import os

import numpy as np
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.client.fakes import gray
from tests.test_recording import times
from twistedcam.client.recorder import Recorder
from twistedcam.codec import encode_jpeg
from twistedcam.frame import stamp
from twistedcam.interfaces import IOutput
from twistedcam.recording import Recording, RecordingError


class RecorderTests(TestCase):
    """Recording as an output."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "video.mkv")
        self.ends: list[str] = []
        self.problems: list[str] = []

    def recorder(self, path: str = "") -> Recorder:
        """A recorder on the test's clock."""
        return Recorder(self.clock.seconds, self.ends.append, self.problems.append, path)

    def give(self, recorder: Recorder, count: int) -> None:
        """Frames, a second apart on both clocks."""
        for sequence in range(count):
            recorder.frame(gray(50, sequence, captured=self.clock.seconds()))
            self.clock.advance(1)

    def test_from_the_first_frame(self) -> None:
        """With a path it records from the first frame to the end, and then reports what it has recorded."""
        recorder = self.recorder(self.path)
        self.assertTrue(verifyObject(IOutput, recorder))
        self.assertEqual((recorder.is_recording, recorder.status), (False, ""))
        self.give(recorder, 3)
        self.assertEqual((recorder.is_recording, recorder.status), (True, "REC 0:02 video.mkv"))
        recorder.stop()
        recorder.stop()
        self.assertEqual(self.ends, [f"recorded: {self.path}, 3 frames, 2.0 s"])
        self.assertEqual(times(self.path), [0.0, 1.0, 2.0])

    def test_on_demand(self) -> None:
        """Without a path nothing is recorded before it is started, nor after it is stopped."""
        recorder = self.recorder()
        self.give(recorder, 2)
        recorder.start(self.path)
        self.give(recorder, 2)
        recorder.stop()
        self.give(recorder, 2)
        self.assertEqual((len(times(self.path)), self.problems), (2, []))

    def test_end_that_fails(self) -> None:
        """A recording that cannot be finished is a problem, and is not reported as recorded."""
        recorder = self.recorder()
        recorder.start(self.path)
        self.give(recorder, 1)

        def fail(recording: Recording) -> None:
            raise RecordingError("disk full")

        self.patch(Recording, "close", fail)
        recorder.stop()
        self.assertEqual((self.problems, self.ends), (["the recording has ended: disk full"], []))

    def test_problems(self) -> None:
        """What cannot be recorded is reported, and ends the recording; later frames do no harm."""
        recorder = self.recorder()
        recorder.start(os.path.join(self.folder, "gone", "video.mkv"))
        self.assertIn("no such folder", self.problems.pop())
        recorder.start(self.path)
        self.assertEqual(recorder.status, "REC 0:00 video.mkv")
        os.rmdir(self.folder)
        self.give(recorder, 1)
        self.assertRegex(self.problems.pop(), "^the recording has ended: .*there is no such folder")
        self.give(recorder, 1)
        recorder.stop()
        self.assertEqual((recorder.status, self.ends, self.problems), ("", [], []))

    def test_deleted(self) -> None:
        """When the file is deleted, the recording goes on in another one, and nothing is said to be recorded."""
        recorder = self.recorder(self.path)
        self.give(recorder, 2)
        os.unlink(self.path)
        self.give(recorder, 2)
        recorder.stop()
        self.assertEqual(
            self.ends,
            [
                f"recording goes on in {self.path}: the file was deleted",
                f"recorded: {self.path}, 2 frames, 1.0 s",
            ],
        )

    def test_change(self) -> None:
        """When the size of the pictures or the camera changes, the recording goes on in a file beside the first."""
        recorder = self.recorder(self.path)
        for frame in (
            gray(50, 0, captured=0.0),
            stamp(encode_jpeg(np.zeros((10, 20, 3), np.uint8)), "other", 1, 1.0),
            stamp(encode_jpeg(np.zeros((10, 20, 3), np.uint8)), "other", 2, 2.0),
            stamp(encode_jpeg(np.zeros((20, 40, 3), np.uint8)), "other", 3, 3.0),
            stamp(encode_jpeg(np.zeros((10, 20, 3), np.uint8)), "other", 4, 4.0, scale=2),
        ):
            recorder.frame(frame)
            self.clock.advance(1)
        recorder.stop()
        second, third = (self.path.replace(".mkv", f"-{count}.mkv") for count in (2, 3))
        self.assertEqual(
            self.ends,
            [
                f"recorded: {self.path}, 1 frames, 0.0 s",
                f"recording goes on in {second}: the camera changed",
                f"recorded: {second}, 2 frames, 1.0 s",
                f"recording goes on in {third}: the size of the pictures changed",
                f"recorded: {third}, 2 frames, 1.0 s",
            ],
        )
        self.assertEqual((self.problems, times(third)), ([], [0.0, 1.0]))
