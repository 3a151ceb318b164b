"""Sampling a camera: what is grabbed, and what is encoded of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from twisted.trial.unittest import TestCase

from twistedcam.capture.encoder import Settings
from twistedcam.capture.sampler import Sample, Sampler
from twistedcam.encodings import ENCODING_JPEG
from twistedcam.errors import BrokenPictureError, CameraError
from twistedcam.testing import FakeCamera


class SamplerTests(TestCase):
    """One attempt's samples."""

    def setUp(self) -> None:
        self.wanted: tuple[str, ...] = (ENCODING_JPEG,)
        self.now = 100.0

    def sampler(self, **settings: Any) -> Sampler:
        """A sampler by whose wall clock the monotonic clock began at 1000."""
        return Sampler(lambda: self.wanted, Settings(**settings), lambda: self.now, lambda: self.now + 1000, "desk")

    def test_captured(self) -> None:
        """A picture's time of capture is converted to the wall clock, however long ago it was taken."""
        camera = FakeCamera()
        camera.now = lambda: self.now - 0.25
        sample = self.sampler().sample(camera, 1)
        assert sample.picture is not None
        self.assertEqual((sample.grabbed, sample.captured, sample.problem), (1, 1099.75, None))
        self.assertEqual((sample.picture.width, list(sample.picture.payloads)), (64, [ENCODING_JPEG]))

    def test_late(self) -> None:
        """Of several pictures that are due, only the last one is encoded."""
        camera = FakeCamera()
        self.assertEqual(self.sampler().sample(camera, 10).grabbed, 10)
        self.assertEqual(camera.retrieved, 1)

    def test_not_wanted(self) -> None:
        """Without a viewer pictures are grabbed, and not encoded."""
        camera = FakeCamera()
        self.wanted = ()
        self.assertEqual(self.sampler().sample(camera, 1), Sample(1))
        self.assertEqual(camera.retrieved, 0)

    def test_not_due(self) -> None:
        """A picture that the rate limit does not let through is not encoded; each attempt has a limit of its own."""
        camera = FakeCamera()
        camera.now = lambda: self.now
        sampler = self.sampler(fps=1)
        sampler.sample(camera, 1)
        self.now += 0.5
        self.assertEqual(sampler.sample(camera, 1), Sample(1))
        self.assertIsNotNone(self.sampler(fps=1).sample(camera, 1).picture)

    def test_broken(self) -> None:
        """A broken picture is counted, and the problem is reported."""
        for picture, problem in (
            (np.zeros((0, 5, 3), np.uint8), "shape (0, 5, 3)"),
            (None, "not a numpy array"),
            (b"half a JPEG", "JPEG"),
        ):
            sample = self.sampler().sample(FakeCamera(picture), 1)
            self.assertEqual((sample.grabbed, sample.picture), (1, None))
            self.assertIn(problem, sample.problem or "")

        class Breaking(FakeCamera):
            def retrieve(self) -> np.ndarray:
                raise BrokenPictureError("torn")

        self.assertEqual(self.sampler().sample(Breaking(), 1), Sample(1, problem="torn"))

    def test_time_that_is_none(self) -> None:
        """A camera whose time of capture is no number is lost: viewers would be sent it."""

        class Unspeakable:
            def __repr__(self) -> str:
                raise KeyboardInterrupt

        for taken in (float("nan"), float("inf"), 1e300, None, "5", [5], 10**400, Unspeakable()):
            camera = FakeCamera()
            camera.now = lambda taken=taken: taken  # type: ignore[misc]
            self.assertRaisesRegex(CameraError, "^its time of capture, ", self.sampler().sample, camera, 1)

    def test_skip(self) -> None:
        """The first pictures are grabbed and not read, also when several are grabbed at once."""
        for counts, expected in (((1, 1, 1, 1), [0, 0, 1, 1]), ((3,), [1]), ((2, 5), [0, 1]), ((1, 2), [0, 1])):
            sampler, camera = self.sampler(skip=2), FakeCamera()
            samples = [sampler.sample(camera, count) for count in counts]
            self.assertEqual([int(sample.picture is not None) for sample in samples], expected)
            self.assertEqual([sample.grabbed for sample in samples], list(counts))

    def test_after_a_broken_one(self) -> None:
        """A picture that comes after a broken one takes its turn."""
        camera = FakeCamera(None, np.zeros((4, 4, 3), np.uint8))
        camera.now = lambda: self.now
        sampler = self.sampler(fps=1)
        self.assertIsNotNone(sampler.sample(camera, 1).problem)
        self.now += 0.1
        self.assertIsNotNone(sampler.sample(camera, 1).picture)
        self.now += 0.1
        self.assertEqual(sampler.sample(camera, 1), Sample(1))

    def test_overlay(self) -> None:
        """The name of the camera is written into its pictures if that was asked for."""
        plain, written = (
            self.sampler(overlay=overlay).sample(FakeCamera(), 1).picture for overlay in ((), ("name", "time"))
        )
        assert plain is not None and written is not None
        self.assertNotEqual(plain.payloads, written.payloads)

    def test_lost(self) -> None:
        """The error of a lost camera is passed on."""
        camera = FakeCamera()
        camera.error = CameraError("unplugged")
        self.assertRaisesRegex(CameraError, "unplugged", self.sampler().sample, camera, 1)
