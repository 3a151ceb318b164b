"""Capture: polled while anybody watches, encoded once, and lost and found again."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from twistedcam import codec
from twistedcam.capture.attempt import CameraThread
from twistedcam.capture.encoder import Settings
from twistedcam.capture.service import CLOSED, LOST, OPENING, Capture
from twistedcam.frame import LIVE, NO_SIGNAL
from twistedcam.hub import Hub
from twistedcam.interfaces import CameraError
from twistedcam.testing import FakeCamera, RecordingSink, SteppedReactor, SteppedThread


class SteppedCaptureTests(TestCase):
    """Capture with its clock, its threads and its camera in our hands."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.threads: list[SteppedThread] = []
        self.cameras: list[FakeCamera] = []
        self.make_camera: Callable[[], FakeCamera] = FakeCamera
        self.hubs = {"jpeg": Hub(), "pickle": Hub()}
        self.sink = RecordingSink()

    def capture(self, **settings: Any) -> Capture:
        """A started capture with nobody watching."""

        def open_camera() -> FakeCamera:
            camera = self.make_camera()
            self.cameras.append(camera)
            return camera

        def make_thread() -> SteppedThread:
            self.threads.append(SteppedThread())
            return self.threads[-1]

        self.patch(codec, "encode_jpeg", self.counted(codec.encode_jpeg))
        capture = Capture(self.reactor, "desk", open_camera, self.hubs, Settings(**settings), make_thread)
        capture.startService()
        self.addCleanup(self.assertEqual, self.reactor.getDelayedCalls(), [])
        self.addCleanup(capture.stopService)
        return capture

    def counted(self, encode: Callable[..., bytes]) -> Callable[..., bytes]:
        """C{encode}, counting its calls."""
        self.encoded = 0

        def counting(*args: Any) -> bytes:
            self.encoded += 1
            return encode(*args)

        return counting

    def step(self, times: int = 1) -> None:
        """Let the newest thread do its work, and the reactor take its turn, so many times."""
        for _ in range(times):
            self.threads[-1].step()
            self.reactor.advance(0)

    def states(self) -> list[str]:
        """The states of the frames that the sink got."""
        return [frame.state for frame in self.sink.frames]

    def test_nobody_watches(self) -> None:
        """Without a viewer no camera is opened."""
        self.capture()
        self.reactor.advance(100)
        self.assertEqual((self.threads, self.cameras), ([], []))

    def test_live(self) -> None:
        """A viewer opens the camera, and sees each of its pictures, numbered, at once."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.assertEqual(capture.state, OPENING)
        self.step(6)
        self.assertEqual(capture.state, LIVE)
        self.assertEqual([frame.sequence for frame in self.sink.frames], [0, 1, 2, 3, 4])
        self.assertEqual({frame.camera for frame in self.sink.frames}, {"desk"})

    def test_one_encoding_however_many_watch(self) -> None:
        """A picture is resized and encoded once for 50 viewers as for one."""
        self.capture()
        for _ in range(50):
            self.hubs["jpeg"].attach(RecordingSink())
        self.step(11)
        self.assertEqual(self.encoded, 10)
        self.assertEqual(self.cameras[0].retrieved, 10)

    def test_only_what_is_watched_is_encoded(self) -> None:
        """Who gets pickles makes no JPEG be encoded; the pickle holds the resized picture."""
        self.make_camera = lambda: FakeCamera(np.zeros((480, 640, 3), np.uint8))
        self.capture()
        self.hubs["pickle"].attach(self.sink)
        self.step(3)
        self.assertEqual(self.encoded, 0)
        self.assertEqual(codec.decode(self.sink.frames[0]).shape, (240, 320, 3))

    def test_released_when_nobody_watches(self) -> None:
        """Nothing is encoded from the moment the last viewer goes, and 5 s later the camera is closed."""
        capture = self.capture()
        outlet = self.hubs["jpeg"].attach(self.sink)
        self.step(3)
        self.hubs["jpeg"].detach(outlet)
        encoded = self.encoded
        self.step(5)
        self.assertLessEqual(self.encoded, encoded + 1)
        self.reactor.advance(4.9)
        self.assertEqual(capture.state, LIVE)
        self.reactor.advance(0.2)
        self.assertEqual(capture.state, CLOSED)
        while self.threads[-1].step():
            pass
        self.assertTrue(self.cameras[0].closed)
        self.assertTrue(self.threads[0].stopped)

    def test_lingers(self) -> None:
        """A viewer who comes back within 5 s finds the camera as it was."""
        self.capture()
        outlet = self.hubs["jpeg"].attach(self.sink)
        self.step(3)
        self.hubs["jpeg"].detach(outlet)
        self.reactor.advance(4)
        self.hubs["jpeg"].attach(self.sink)
        self.step(3)
        self.reactor.advance(4)
        self.assertEqual(len(self.cameras), 1)

    def test_no_camera(self) -> None:
        """Without a camera a card says so at once and every second, and attempts go on, ever more slowly."""

        def fail() -> FakeCamera:
            raise CameraError("no such camera")

        self.make_camera = fail
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step()
        self.assertEqual((capture.state, self.states()), (LOST, [NO_SIGNAL]))
        self.assertEqual(self.sink.frames[0].reason, "no such camera")
        for _ in range(600):
            self.reactor.advance(0.1)
            self.threads[-1].step()
        # 0.5 + 1 + 2 + 4 + 8, then every 10 s for the rest of a minute.
        self.assertEqual(len(self.threads), 10)
        self.assertEqual(len(self.sink.frames), 61)
        self.assertEqual(len({frame.since for frame in self.sink.frames}), 1)

    def test_lost_and_found(self) -> None:
        """A failed read is a loss: card, another attempt half a second later, and live by itself; the viewer stays."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        self.cameras[0].error = CameraError("unplugged")
        self.step()
        self.assertEqual(self.states(), [LIVE, NO_SIGNAL])
        self.assertEqual((capture.state, capture.reason), (LOST, "unplugged"))
        self.reactor.advance(0.5)
        self.step(3)
        self.assertEqual(self.states(), [LIVE, NO_SIGNAL, LIVE, LIVE])
        self.reactor.advance(3)
        self.assertEqual(self.states()[-1], LIVE)
        while self.threads[0].step():
            pass
        self.assertTrue(self.cameras[0].closed)

    def test_backoff_begins_anew(self) -> None:
        """After a live picture the next loss is retried quickly again."""
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        for _ in range(4):
            self.cameras[-1].error = CameraError("unplugged")
            self.step(2)  # it fails, and is closed
            self.reactor.advance(0.5)
            self.step(2)
            self.assertEqual(self.states()[-1], LIVE)

    def test_read_that_never_returns(self) -> None:
        """After 5 s without a picture the camera is lost and opened anew; what comes late is not shown."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        self.reactor.advance(5)
        self.assertEqual(self.states(), [LIVE, NO_SIGNAL])
        self.assertIn("no picture for 5 s", capture.reason)
        self.reactor.advance(0.5)
        self.assertEqual(len(self.threads), 2)
        self.step(2)
        shown = len(self.sink.frames)
        self.threads[0].step()
        self.assertEqual(len(self.sink.frames), shown)
        self.threads[0].step()
        self.assertTrue(self.cameras[0].closed)

    def test_unforeseen_failure(self) -> None:
        """A camera that fails in a way of its own is lost like another, and the log has the traceback once."""
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        self.cameras[0].error = ZeroDivisionError("oops")
        self.step()
        self.assertEqual(self.states(), [LIVE, NO_SIGNAL])
        self.assertEqual(self.sink.frames[-1].reason, "ZeroDivisionError: oops")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_broken_picture(self) -> None:
        """A broken picture now and then is passed over: the camera is as live as before."""
        good, broken = np.zeros((48, 64, 3), np.uint8), np.zeros((0, 5, 3), np.uint8)
        self.make_camera = lambda: FakeCamera(good, broken, None, good)
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(9)
        self.assertEqual(self.states(), [LIVE] * 4)
        self.assertEqual(len(self.cameras), 1)

    def test_broken_pictures_only(self) -> None:
        """A camera that gives nothing else for 5 s is lost, and the reason says what was wrong."""
        self.make_camera = lambda: FakeCamera(np.zeros((0, 5, 3), np.uint8))
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        for _ in range(51):
            self.step(2)
            self.reactor.advance(0.1)
        self.assertEqual(capture.state, LOST)
        self.assertIn("no picture for 5 s: the picture has the shape (0, 5, 3)", capture.reason)

    def test_hangs_again_and_again(self) -> None:
        """When three attempts hang in their reads there is no fourth, until one of them returns."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        for _ in range(3000):
            self.reactor.advance(0.1)
        self.assertEqual(len(self.threads), 3)
        self.assertIn("it hangs", capture.reason)
        while self.threads[0].step():
            pass
        self.reactor.advance(10)
        self.assertEqual(len(self.threads), 4)
        self.step(2)
        self.assertEqual(capture.state, LIVE)

    def test_rate_bound_grabs_all(self) -> None:
        """Below the camera's rate each picture is grabbed, so that none gets old; only those due are read."""
        self.capture(fps=10)
        self.hubs["jpeg"].attach(self.sink)
        times = iter(n / 30 for n in range(1000))
        self.step()
        self.cameras[0].now = lambda: next(times)
        self.step(60)
        self.assertEqual(self.cameras[0].grabbed, 60)
        self.assertEqual(self.cameras[0].retrieved, 20)

    def test_files_are_paced_by_the_clock(self) -> None:
        """A source that waits for us is read at its own rate."""
        self.make_camera = lambda: FakeCamera(interval=0.04)
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step()
        for _ in range(100):
            self.threads[-1].step()
            self.reactor.advance(0.01)
        self.assertEqual(self.cameras[0].grabbed, 25)

    def test_late_pictures_of_a_file_are_passed_over(self) -> None:
        """When reading took as long as ten pictures last, the next one read is the one that is due now."""
        self.make_camera = lambda: FakeCamera(interval=0.04)
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step()
        self.reactor.advance(0.41)
        self.threads[-1].step()
        self.reactor.advance(0.04)
        self.threads[-1].step()
        self.assertEqual((self.cameras[0].grabbed, self.cameras[0].retrieved), (12, 2))

    def test_stop_while_reading(self) -> None:
        """Stopping waits for no read; the camera is closed when its read returns."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        capture.stopService()
        self.assertEqual(capture.state, CLOSED)
        self.assertFalse(self.cameras[0].closed)
        while self.threads[0].step():
            pass
        self.assertTrue(self.cameras[0].closed)
        self.assertEqual(len(self.sink.frames), 1)

    def test_no_signal_as_pickle(self) -> None:
        """The tutorial's client sees the card as well."""

        def fail() -> FakeCamera:
            raise CameraError("no such camera")

        self.make_camera = fail
        self.capture()
        self.hubs["pickle"].attach(self.sink)
        self.step()
        self.assertEqual(codec.decode(self.sink.frames[0]).shape, (240, 320, 3))


class ThreadedCaptureTests(TestCase):
    """Capture with real threads."""

    timeout = 10

    def test_hung_read(self) -> None:
        """A read that hangs holds up neither the stop nor the end of its thread once it returns."""
        release, closed = threading.Event(), threading.Event()
        reading: Deferred[None] = Deferred()

        class Hanging(FakeCamera):
            def grab(self) -> float:
                reactor.callFromThread(reading.callback, None)  # type: ignore[attr-defined]
                release.wait(30)
                return super().grab()

            def close(self) -> None:
                closed.set()

        hub = Hub()
        capture = Capture(reactor, "desk", Hanging, {"jpeg": hub})
        capture.startService()
        outlet = hub.attach(RecordingSink())

        async def check() -> None:
            await reading
            hub.detach(outlet)
            capture.stopService()
            self.assertFalse(closed.is_set())
            release.set()
            while not closed.is_set():
                await deferLater(reactor, 0.001)  # type: ignore[arg-type]

        return Deferred.fromCoroutine(check())  # type: ignore[return-value]

    def test_nothing_is_kept_of_a_lost_camera(self) -> None:
        """A camera that was lost is let go of at once, and not when the garbage collector comes round to it."""
        cameras: list[weakref.ref[FakeCamera]] = []

        class Short(FakeCamera):
            def __init__(self) -> None:
                super().__init__()
                cameras.append(weakref.ref(self))

            def grab(self) -> float:
                if self.grabbed == 3:
                    raise CameraError("lost")
                return super().grab()

        gc.disable()
        self.addCleanup(gc.enable)
        hub = Hub()
        capture = Capture(reactor, "desk", Short, {"jpeg": hub})
        self.patch(capture, "_next_retry", lambda: 0.0)
        capture.startService()
        outlet = hub.attach(RecordingSink())

        async def check() -> None:
            while len(cameras) < 5:
                await deferLater(reactor, 0.001)  # type: ignore[arg-type]
            hub.detach(outlet)
            capture.stopService()
            while any(camera() is not None for camera in cameras[:4]):
                await deferLater(reactor, 0.001)  # type: ignore[arg-type]

        return Deferred.fromCoroutine(check())  # type: ignore[return-value]

    def test_thread_ends(self) -> None:
        """A stopped thread does what it was given, and ends."""
        done = threading.Event()
        thread = CameraThread()
        thread.callInThread(done.set)
        worker = thread.threads[0]
        self.assertTrue(worker.daemon)
        thread.stop()
        worker.join(30)
        self.assertTrue(done.is_set())
        self.assertFalse(worker.is_alive())
