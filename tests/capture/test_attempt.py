"""One attempt at a camera: opened, polled and closed in its thread."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from twistedcam.capture.attempt import OPEN_SECONDS, Attempt
from twistedcam.capture.sampler import Sample
from twistedcam.capture.stall import FIRST_SECONDS, StallLimit
from twistedcam.codec import Image
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera
from twistedcam.plugin import as_camera
from twistedcam.testing import FakeCamera, SteppedReactor, SteppedThread


class MuteError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


class Group(BaseExceptionGroup[BaseException]):
    """A group of exceptions that needs no arguments."""

    def __new__(cls) -> Group:
        return super().__new__(cls, "several", [KeyboardInterrupt(), ValueError()])


KINDS = (
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    StopIteration,
    defer.CancelledError,
    asyncio.CancelledError,
    BaseException,
    MemoryError,
    RecursionError,
    DeprecationWarning,  # with -W error
    Group,
    MuteError,
)


class Faulty(FakeCamera):
    """A camera that raises C{kind} at C{place}."""

    def __init__(self, place: str, kind: type[BaseException]) -> None:
        super().__init__()
        self._place = place
        self._kind = kind

    def _pass(self, place: str) -> None:
        if place == self._place:
            raise self._kind

    @property
    def interval(self) -> float:
        """0."""
        self._pass("interval")
        return 0.0

    @interval.setter
    def interval(self, seconds: float) -> None:
        pass

    def grab(self) -> float:
        """Grab, or fail."""
        self._pass("grab")
        return super().grab()

    def retrieve(self) -> Image:
        """Retrieve, or fail."""
        self._pass("retrieve")
        return super().retrieve()

    def close(self) -> None:
        """Close, or fail."""
        self._pass("close")


class AttemptTests(TestCase):
    """An attempt whose thread is stepped."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.thread = SteppedThread()
        self.camera = FakeCamera()
        self.samples: list[Sample] = []
        self.problem: str | None = None
        self.attempt = self.make(lambda: self.camera, self.sample)

    def make(self, open_camera: Callable[[], ICamera], sample: Callable[[ICamera, int], Sample]) -> Attempt:
        """An attempt at the camera that C{open_camera} returns."""
        limit = StallLimit(self.reactor.seconds)
        return Attempt(self.reactor, self.thread, open_camera, sample, self.samples.append, limit)

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
        for interval in (-1.0, float("nan"), float("inf"), None, "0.04", "soon", b"1", [0.04], 10**400, 1e9):
            self.setUp()
            self.camera.interval = interval  # type: ignore[assignment]
            running = self.start()
            self.step(1)
            self.assertIn(">= 0", str(self.failureResultOf(running, CameraError).value))

    def test_stored(self) -> None:
        """Whether a camera plays stored pictures is read after it was opened; one that cannot say so does not."""

        class Evasive(FakeCamera):
            def __getattr__(self, name: str) -> bool:
                raise KeyError(name)

        for camera, expected in ((FakeCamera(), False), (Evasive(), False), (FakeCamera(), True)):
            self.setUp()
            self.camera = camera
            if expected:
                camera.is_stored = True  # type: ignore[attr-defined]
            running = self.start()
            self.step(2)
            self.assertEqual((self.attempt.is_stored, len(self.samples)), (expected, 1))
            running.cancel()
            self.failureResultOf(running, defer.CancelledError)

    def test_stalls(self) -> None:
        """A camera that gives no picture for some seconds is lost; what it gives later is not delivered."""
        running = self.start()
        self.step(2)
        self.reactor.advance(FIRST_SECONDS)
        self.assertIn("no picture for 15 s", str(self.failureResultOf(running, CameraError).value))
        self.step(2)
        self.assertEqual(len(self.samples), 1)
        self.assertTrue(self.camera.closed)

    def test_only_broken_pictures(self) -> None:
        """Broken pictures are delivered as problems, and do not keep a camera from being lost."""
        running = self.start()
        self.problem = "torn"
        for _ in range(16):
            self.step()
            self.reactor.advance(1)
        self.assertIn("no picture for 15 s: torn", str(self.failureResultOf(running, CameraError).value))
        self.assertTrue(self.samples)
        self.thread.jobs.clear()

    def test_whatever_a_camera_raises(self) -> None:
        """Whatever its code raises, and wherever, is a CameraError, and the thread has closed it and is stopped."""
        for place in ("open", "interval", "grab", "retrieve", "close", "images"):
            for kind in KINDS:
                self.setUp()
                self.attempt = self.make(partial(self.open, place, kind), self.take)
                running = self.start()
                self.step(2)
                if place == "close":
                    running.cancel()
                    self.step(2)
                    self.failureResultOf(running, defer.CancelledError)
                else:
                    shown = str(self.failureResultOf(running, CameraError).value)
                    self.assertIn(kind.__name__, shown, place)
                    self.step(2)
                self.assertTrue(self.attempt.has_ended and self.thread.stopped)

    def open(self, place: str, kind: type[BaseException]) -> ICamera:
        """A camera that raises C{kind} at C{place}."""

        def images() -> Iterator[Any]:
            raise kind
            yield

        if place == "open":
            raise kind
        return as_camera(images) if place == "images" else Faulty(place, kind)

    def take(self, camera: ICamera, count: int) -> Sample:
        """Grab and retrieve."""
        camera.grab()
        camera.retrieve()
        return Sample(count)

    def test_keeps_no_camera(self) -> None:
        """The error of a lost camera keeps neither the camera nor its pictures in memory."""
        gc.disable()
        self.addCleanup(gc.enable)
        camera = Faulty("grab", CameraError)
        kept = weakref.ref(camera)
        cameras = [camera]
        del camera
        self.attempt = self.make(cameras.pop, self.take)
        running = self.start()
        self.step(3)
        self.failureResultOf(running, CameraError)
        self.assertIsNone(kept())

    def test_closing_is_told(self) -> None:
        """A camera that cannot be closed is reported in one line."""
        self.attempt = self.make(partial(self.open, "close", SystemExit), self.take)
        running = self.start()
        self.step(2)
        with capturedLogs() as told:
            running.cancel()
            self.step(2)
        self.failureResultOf(running, defer.CancelledError)
        self.assertEqual([formatEvent(event) for event in told], ["a camera could not be closed: SystemExit"])
