"""One attempt at a camera: opened, polled and closed in its thread."""

from __future__ import annotations

import asyncio

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from twistedcam.capture.attempt import OPEN_SECONDS, STALL_SECONDS, Attempt
from twistedcam.capture.sampler import Sample
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera
from twistedcam.testing import FakeCamera, SteppedReactor, SteppedThread


class AttemptTests(TestCase):
    """An attempt whose thread is stepped."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.thread = SteppedThread()
        self.camera = FakeCamera()
        self.samples: list[Sample] = []
        self.problem: str | None = None
        self.attempt = Attempt(self.reactor, self.thread, lambda: self.camera, self.sample, self.samples.append)

    def sample(self, camera: ICamera, count: int) -> Sample:
        """Grab, with C{problem}."""
        for _ in range(count):
            camera.grab()
        return Sample(count, problem=self.problem)

    def start(self) -> Deferred[None]:
        """Run it."""
        return Deferred.fromCoroutine(self.attempt.run())

    def step(self, times: int = 1) -> None:
        """Let the thread do its work, and the reactor make its calls."""
        for _ in range(times):
            self.thread.step()
            self.reactor.advance(0)

    def test_delivers(self) -> None:
        """A camera is opened in the thread, and each sample is delivered until it is cancelled; then it is closed."""
        running = self.start()
        self.assertEqual(self.camera.grabbed, 0)
        self.step(4)
        self.assertEqual(self.samples, [Sample(1)] * 3)
        running.cancel()
        self.failureResultOf(running, defer.CancelledError)
        self.assertFalse(self.attempt.has_ended)
        self.step(2)
        self.assertTrue(self.attempt.has_ended and self.camera.closed and self.thread.stopped)
        self.assertEqual((len(self.samples), self.reactor.getDelayedCalls()), (3, []))

    def test_never_opens(self) -> None:
        """A camera that does not open in time is lost; if it opens later it is closed."""
        running = self.start()
        self.reactor.advance(OPEN_SECONDS)
        self.assertIn("has not opened", str(self.failureResultOf(running, CameraError).value))
        self.step(2)
        self.assertTrue(self.camera.closed)
        self.assertEqual(self.samples, [])

    def test_interval_that_is_none(self) -> None:
        """A camera whose interval cannot be used is lost at once, with the reason."""
        self.camera.interval = -1.0
        running = self.start()
        self.step(1)
        self.assertIn(">= 0", str(self.failureResultOf(running, ValueError).value))

    def test_stalls(self) -> None:
        """A camera that gives no picture for some seconds is lost; what it gives later is not delivered."""
        running = self.start()
        self.step(2)
        self.reactor.advance(STALL_SECONDS)
        self.assertIn("no picture for 5 s", str(self.failureResultOf(running, CameraError).value))
        self.step(2)
        self.assertEqual(len(self.samples), 1)
        self.assertTrue(self.camera.closed)

    def test_only_broken_pictures(self) -> None:
        """Broken pictures are delivered as problems, and do not keep a camera from being lost."""
        running = self.start()
        self.problem = "torn"
        for _ in range(6):
            self.step()
            self.reactor.advance(1)
        self.assertIn("no picture for 5 s: torn", str(self.failureResultOf(running, CameraError).value))
        self.assertTrue(self.samples)
        self.thread.jobs.clear()

    def test_cancelled_error(self) -> None:
        """A camera that raises a CancelledError of any kind is lost: only we cancel the attempt."""
        for error in (defer.CancelledError(), asyncio.CancelledError()):
            self.setUp()
            running = self.start()
            self.step(2)
            self.camera.error = error  # type: ignore[assignment]
            self.step(1)
            self.assertIn("CancelledError", str(self.failureResultOf(running, CameraError).value))

    def test_cancelled_error_while_opening(self) -> None:
        """The same holds while the camera is being opened."""

        def open_camera() -> ICamera:
            raise asyncio.CancelledError

        self.attempt = Attempt(self.reactor, self.thread, open_camera, self.sample, self.samples.append)
        running = self.start()
        self.step(1)
        self.assertIn("CancelledError", str(self.failureResultOf(running, CameraError).value))
