"""Capture: polled while it is watched, encoded once, and lost and found again."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.capture.test_attempt import KINDS, Faulty
from tests.processes import turn
from twistedcam import codec
from twistedcam.camera_status import CameraState, ICameraStatus
from twistedcam.capture.encoder import Settings
from twistedcam.capture.service import Capture
from twistedcam.capture.stall import FIRST_SECONDS
from twistedcam.encodings import ENCODINGS
from twistedcam.errors import CameraError
from twistedcam.frame import LIVE, NO_SIGNAL
from twistedcam.hub import Hub
from twistedcam.plugin import as_camera
from twistedcam.testing import FakeCamera, RecordingSink, SteppedReactor, SteppedThread

EPOCH = 1_795_487_331.0


class SteppedCaptureTests(TestCase):
    """Capture, with clocks, threads and a camera that the test controls."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.threads: list[SteppedThread] = []
        self.cameras: list[FakeCamera] = []
        self.make_camera: Callable[[], FakeCamera] = FakeCamera
        self.hubs = {"jpeg": Hub(), "pickle": Hub()}
        self.sink = RecordingSink()

    def capture(self, **settings: Any) -> Capture:
        """A started capture that is not watched yet."""

        def open_camera() -> FakeCamera:
            camera = self.make_camera()
            camera.now = self.reactor.seconds
            self.cameras.append(camera)
            return camera

        def make_thread() -> SteppedThread:
            self.threads.append(SteppedThread())
            return self.threads[-1]

        self.patch(codec, "encode_jpeg", self.counted(codec.encode_jpeg))
        self.delays: list[float] = []
        capture = Capture(
            self.reactor,
            "desk",
            open_camera,
            self.hubs,
            Settings(**settings),
            make_thread,
            self.delays.append,
            self.reactor.seconds,
            lambda: EPOCH + self.reactor.seconds(),
        )
        verifyObject(ICameraStatus, capture)
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
        """Let the newest thread and the reactor's pool do a piece of work each, and the reactor make its calls."""
        for _ in range(times):
            self.threads[-1].step()
            self.reactor.pool.step()
            self.reactor.advance(0)

    def states(self) -> list[str]:
        """The states of the frames that the sink was given."""
        return [frame.state for frame in self.sink.frames]

    def test_nobody_watches(self) -> None:
        """Without a viewer no camera is opened."""
        self.capture()
        self.reactor.advance(100)
        self.assertEqual((self.threads, self.cameras), ([], []))

    def test_live(self) -> None:
        """The first viewer opens the camera, and gets each of its pictures, numbered, at once."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.assertEqual(capture.state, CameraState.OPENING)
        self.step(6)
        self.assertEqual(capture.state, CameraState.LIVE)
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
        """For a viewer of pickles no JPEG is encoded; the pickle holds the resized picture."""
        self.make_camera = lambda: FakeCamera(np.zeros((480, 640, 3), np.uint8))
        self.capture()
        self.hubs["pickle"].attach(self.sink)
        self.step(3)
        self.assertEqual(self.encoded, 0)
        self.assertEqual(codec.decode(self.sink.frames[0]).shape, (240, 320, 3))

    def test_released_when_nobody_watches(self) -> None:
        """Nothing is encoded after the last viewer has gone, and 5 s later the camera is closed."""
        capture = self.capture()
        outlet = self.hubs["jpeg"].attach(self.sink)
        self.step(3)
        self.hubs["jpeg"].detach(outlet)
        encoded = self.encoded
        self.step(5)
        self.assertLessEqual(self.encoded, encoded + 1)
        self.reactor.advance(4.9)
        self.assertEqual(capture.state, CameraState.LIVE)
        self.reactor.advance(0.2)
        self.assertEqual(capture.state, CameraState.CLOSED)
        while self.threads[-1].step():
            pass
        self.assertTrue(self.cameras[0].closed)
        self.assertTrue(self.threads[0].stopped)

    def test_lingers(self) -> None:
        """For a viewer that comes back within 5 s the camera is still open."""
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
        """Without a camera a card says so at once and each second; attempts go on, at longer and longer intervals."""

        def fail() -> FakeCamera:
            raise CameraError("no such camera")

        self.make_camera = fail
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step()
        self.assertEqual((capture.state, self.states()), (CameraState.LOST, [NO_SIGNAL]))
        self.assertEqual(self.sink.frames[0].reason, "no such camera")
        for _ in range(600):
            self.reactor.advance(0.1)
            self.threads[-1].step()
            self.reactor.pool.step()
        # 0.5 + 1 + 2 + 4 + 8, then every 10 s for the rest of a minute.
        self.assertEqual(len(self.threads), 10)
        self.assertEqual(len(self.sink.frames), 61)
        self.assertEqual(len({frame.since for frame in self.sink.frames}), 1)

    def test_lost_and_found(self) -> None:
        """After a failed read there is a card, and half a second later another attempt; the viewer stays."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        self.cameras[0].error = CameraError("unplugged")
        self.step()
        self.assertEqual(self.states(), [LIVE, NO_SIGNAL])
        self.assertEqual((capture.state, capture.reason), (CameraState.LOST, "unplugged"))
        self.reactor.advance(0.5)
        self.step(3)
        self.assertEqual(self.states(), [LIVE, NO_SIGNAL, LIVE, LIVE])
        self.reactor.advance(3)
        self.assertEqual(self.states()[-1], LIVE)
        while self.threads[0].step():
            pass
        self.assertTrue(self.cameras[0].closed)

    def test_backoff_begins_anew(self) -> None:
        """After a camera was live for some seconds its next loss is retried quickly again."""
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        for _ in range(4):
            for _ in range(5):
                self.reactor.advance(1)
                self.step()
            self.cameras[-1].error = CameraError("unplugged")
            self.step(2)  # it fails, and is closed
            self.reactor.advance(0.5)
            self.step(2)
            self.assertEqual(self.states()[-1], LIVE)

    def test_backoff_of_a_short_life(self) -> None:
        """A camera that gives one picture and fails, again and again, is tried at longer and longer intervals."""
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        for _ in range(600):
            self.step(2)
            self.cameras[-1].error = CameraError("no power")
            self.step(2)
            self.reactor.advance(0.1)
        self.assertEqual(len(self.cameras), 10)

    def test_slow_source(self) -> None:
        """A source that gives one picture in 20 s is lost once, and is live from then on."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step()
        for second in range(400):
            if len(self.cameras) < len(self.threads):
                self.step()  # it opens at once
            if second % 20 == 0:
                self.step()
            self.reactor.advance(1)
        self.assertEqual((capture.state, capture.losses), (CameraState.LIVE, 1))

    def test_stall_seconds(self) -> None:
        """A limit that was set holds from the first picture on, and for opening if it is longer than usual."""
        for seconds in (2.0, 100.0):
            self.setUp()
            capture = self.capture(stall_seconds=seconds)
            self.hubs["jpeg"].attach(self.sink)
            self.step(4)
            self.reactor.advance(seconds - 0.1)
            self.assertEqual(capture.state, CameraState.LIVE)
            self.reactor.advance(0.1)
            self.assertEqual(capture.reason, f"it has given no picture for {seconds:g} s")

    def test_skip(self) -> None:
        """The first pictures of each opening are counted and not shown: the camera is live from the next one on."""
        capture = self.capture(skip=3)
        self.hubs["jpeg"].attach(self.sink)
        for _ in range(2):
            shown = len(self.sink.frames)
            self.step(4)
            self.assertNotEqual(capture.state, CameraState.LIVE)
            self.assertEqual(self.cameras[-1].retrieved, 0)
            self.step()
            self.assertEqual((capture.state, self.states()[shown:][-1]), (CameraState.LIVE, LIVE))
            self.cameras[-1].error = CameraError("unplugged")
            self.step(2)
            self.reactor.advance(0.5)
        self.assertEqual(capture.grabbed, 8)

    def test_stored(self) -> None:
        """A camera that plays stored pictures says so as soon as it is live, and still when it is lost."""

        class Clip(FakeCamera):
            is_stored = True

        self.make_camera = Clip
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.assertFalse(capture.is_stored)
        self.step(2)
        self.assertTrue(capture.is_stored)
        self.cameras[0].error = CameraError("unplugged")
        self.step(2)
        self.assertTrue(capture.is_stored)

    def test_turned_card(self) -> None:
        """The NO SIGNAL card has the size of the pictures as they are served, before and after the first of them."""

        def fail() -> FakeCamera:
            raise CameraError("no such camera")

        for rotate, width, size in ((90, 300, (300, 400)), (270, 0, (480, 640)), (180, 300, (300, 225))):
            self.setUp()
            self.make_camera = fail
            self.capture(rotate=rotate, width=width)
            self.hubs["jpeg"].attach(self.sink)
            self.step()
            self.assertEqual((self.sink.frames[0].width, self.sink.frames[0].height), size)
        self.setUp()
        self.capture(rotate=90)
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        self.cameras[0].error = CameraError("unplugged")
        self.step()
        self.assertEqual([(frame.width, frame.height) for frame in self.sink.frames], [(48, 64)] * 2)

    def test_broken_pictures_that_are_seldom_due(self) -> None:
        """A camera of 30 fps that gives only broken pictures is lost even if one of them a second is due."""
        good = np.zeros((48, 64, 3), np.uint8)
        self.make_camera = lambda: FakeCamera(good, *[None] * 10_000)
        capture = self.capture(fps=1)
        self.hubs["jpeg"].attach(self.sink)
        self.step()
        for _ in range(int(6.3 * 30)):
            self.step()
            self.reactor.advance(1 / 30)
        self.assertEqual((capture.state, self.states()[0]), (CameraState.LOST, LIVE))
        self.assertIn("not a numpy array", capture.reason)

    def test_thin_picture(self) -> None:
        """A viewer of small pictures harms nobody: a thin picture is served in each encoding."""
        self.make_camera = lambda: FakeCamera(np.zeros((4, 640, 3), np.uint8))
        self.hubs = {encoding: Hub() for encoding in ENCODINGS}
        capture = self.capture()
        for hub in self.hubs.values():
            hub.attach(self.sink)
        self.step(2)
        self.assertEqual((capture.state, len(self.sink.frames)), (CameraState.LIVE, len(ENCODINGS)))
        self.assertEqual({frame.height for frame in self.sink.frames}, {2, 1})

    def test_picture_that_one_encoding_cannot_have(self) -> None:
        """A viewer whose encoding cannot be made is not sent it, others are; the problem is reported."""
        self.make_camera = lambda: FakeCamera(np.zeros((2, 65536, 3), np.uint8))
        capture = self.capture(width=0)
        unserved = RecordingSink()
        self.hubs["jpeg"].attach(unserved)
        self.hubs["pickle"].attach(self.sink)
        self.step(3)
        self.assertEqual((capture.state, self.states(), unserved.frames), (CameraState.LIVE, [LIVE] * 2, []))
        self.assertIn("65536 x 2", capture.problem)
        self.assertEqual(capture.broken, 2)

    def test_read_that_never_returns(self) -> None:
        """After 5 s without a picture the camera is lost and opened again; a late picture is not shown."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(3)
        self.reactor.advance(5)
        self.reactor.pool.step()
        self.assertEqual(self.states(), [LIVE, LIVE, NO_SIGNAL])
        self.assertIn("no picture for 5 s", capture.reason)
        self.reactor.advance(0.5)
        self.assertEqual(len(self.threads), 2)
        self.step(2)
        shown = len(self.sink.frames)
        self.threads[0].step()
        self.assertEqual(len(self.sink.frames), shown)
        self.threads[0].step()
        self.assertTrue(self.cameras[0].closed)

    def test_cards_while_the_camera_hangs(self) -> None:
        """While a read hangs, a card is published each second: encoded once, with a new number and time each."""
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        encoded = self.encoded
        self.reactor.advance(FIRST_SECONDS)
        for _ in range(50):
            self.reactor.pool.step()
            self.reactor.advance(0.125)
        cards = self.sink.frames[1:]
        self.assertEqual(len(cards), 7)
        self.assertEqual(self.encoded, encoded + 1)
        self.assertEqual([card.sequence for card in cards], [*range(1, 8)])
        self.assertEqual([card.captured for card in cards], [EPOCH + FIRST_SECONDS + n for n in range(7)])
        self.assertEqual({(card.state, card.since) for card in cards}, {(NO_SIGNAL, EPOCH + FIRST_SECONDS)})

    def test_late_picture_counts_nothing(self) -> None:
        """A picture that comes after its camera was given up takes no number and is not counted."""
        large = np.zeros((96, 128, 3), np.uint8)
        self.make_camera = lambda: FakeCamera(np.zeros((48, 64, 3), np.uint8), large)
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        self.reactor.advance(FIRST_SECONDS)
        self.reactor.advance(0.5)
        before = (capture.grabbed, capture.encoded, capture.broken, capture.width)
        self.threads[0].step()
        self.assertEqual((capture.grabbed, capture.encoded, capture.broken, capture.width), before)
        self.step(3)
        self.assertEqual([frame.sequence for frame in self.sink.frames], [*range(len(self.sink.frames))])

    def test_late_picture_takes_no_turn(self) -> None:
        """A picture that comes after its camera was given up leaves the rate limit as it was."""
        self.capture(fps=1)
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        self.reactor.advance(FIRST_SECONDS)
        self.reactor.advance(0.5)
        self.cameras[0].now = lambda: 1e6
        self.threads[0].step()
        self.step()
        self.cameras[1].now = lambda: 1e6 + 0.5
        self.step()
        self.assertEqual(self.states()[-1], LIVE)

    def test_unforeseen_failure(self) -> None:
        """A camera that fails with an unexpected exception is lost like any other, and the traceback is logged once."""
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        self.cameras[0].error = ZeroDivisionError("oops")
        self.step()
        self.assertEqual(self.states(), [LIVE, NO_SIGNAL])
        self.assertEqual(self.sink.frames[-1].reason, "ZeroDivisionError: oops")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_unforeseen_failure_at_each_attempt(self) -> None:
        """The traceback of a camera that fails in the same way at each attempt is logged once."""

        def fail() -> FakeCamera:
            raise ZeroDivisionError("oops")

        self.make_camera = fail
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        for _ in range(5):
            self.step(2)
            self.reactor.advance(10)
        self.assertGreater(len(self.threads), 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_whatever_a_camera_raises(self) -> None:
        """Whatever its code raises, and wherever, a camera is lost with the reason, logged, and tried again."""
        for place in ("open", "interval", "grab", "retrieve"):
            for kind in KINDS:
                self.setUp()
                faults = [place]

                def make(kind: type[BaseException] = kind, faults: list[str] = faults) -> FakeCamera:
                    if faults == ["open"]:
                        raise kind
                    return Faulty(faults[0] if faults else "", kind)

                self.make_camera = make
                capture = self.capture()
                self.hubs["jpeg"].attach(self.sink)
                self.step(3)
                self.assertEqual((capture.state, self.states()), (CameraState.LOST, [NO_SIGNAL]), (place, kind))
                self.assertIn(kind.__name__, capture.reason)
                faults.clear()
                self.reactor.advance(0.5)
                self.step(3)
                self.assertEqual((capture.state, self.states()[-1]), (CameraState.LIVE, LIVE), (place, kind))
                self.assertEqual(len(self.flushLoggedErrors(kind)), 1, (place, kind))
                capture.stopService()

    def test_no_pictures(self) -> None:
        """A camera whose pictures are anything else is lost, with the reason, and harms nothing."""
        dead = memoryview(b"abc")
        dead.release()
        for thing in (None, "picture", [[[0, 0, 0]]], dead, object(), 1.5, b"", np.array(5), np.zeros((2, 2, 3), "U1")):
            self.setUp()
            self.make_camera = lambda thing=thing: FakeCamera(thing)  # type: ignore[misc]
            capture = self.capture()
            self.hubs["jpeg"].attach(self.sink)
            for _ in range(16):
                self.step()
                self.reactor.advance(1)
            self.assertEqual(capture.losses, 1)
            self.assertRegex(capture.reason or capture.problem, "picture|JPEG")
            self.assertNotIn(LIVE, self.states())
            capture.stopService()

    def test_odd_iterables(self) -> None:
        """A plugin that gives something else than images is lost, and tried again; one bad image does not matter."""
        good = np.zeros((4, 4, 3), np.uint8)
        for made, state in (
            (None, CameraState.LOST),
            (5, CameraState.LOST),
            ([], CameraState.LOST),
            ({}, CameraState.LOST),
            ("text", CameraState.LOST),
            (lambda: None, CameraState.LOST),
            ([None, good] * 9, CameraState.LIVE),
        ):
            self.setUp()
            self.make_camera = lambda made=made: as_camera(made)  # type: ignore[misc,assignment]
            capture = self.capture()
            self.hubs["jpeg"].attach(self.sink)
            self.step(6)
            self.assertEqual(capture.state, state, made)
            self.flushLoggedErrors(TypeError)
            capture.stopService()

    def test_broken_picture(self) -> None:
        """An occasional broken picture is skipped: the camera stays live."""
        good, broken = np.zeros((48, 64, 3), np.uint8), np.zeros((0, 5, 3), np.uint8)
        self.make_camera = lambda: FakeCamera(good, broken, None, good)
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(9)
        self.assertEqual(self.states(), [LIVE] * 4)
        self.assertEqual(len(self.cameras), 1)

    def test_broken_pictures_only(self) -> None:
        """A camera that gives only broken pictures for 15 s is lost, and the reason says what was wrong with them."""
        self.make_camera = lambda: FakeCamera(np.zeros((0, 5, 3), np.uint8))
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        for _ in range(151):
            self.step(2)
            self.reactor.advance(0.1)
        self.assertEqual(capture.state, CameraState.LOST)
        self.assertIn("no picture for 15 s: the picture has the shape (0, 5, 3)", capture.reason)

    def test_hangs_again_and_again(self) -> None:
        """While three attempts hang in their reads there is no fourth one."""
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
        self.assertEqual(capture.state, CameraState.LIVE)

    def test_rate_bound_grabs_all(self) -> None:
        """With a rate limit each picture is grabbed, so that none grows old in the driver; only those due are read."""
        self.capture(fps=10)
        self.hubs["jpeg"].attach(self.sink)
        times = iter(n / 30 for n in range(1000))
        self.step()
        self.cameras[0].now = lambda: next(times)
        self.step(60)
        self.assertEqual(self.cameras[0].grabbed, 60)
        self.assertEqual(self.cameras[0].retrieved, 20)

    def test_files_are_paced_by_the_clock(self) -> None:
        """A source that is read by our clock is read at its own rate."""
        self.make_camera = lambda: FakeCamera(interval=0.04)
        self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step()
        for _ in range(100):
            self.threads[-1].step()
            self.reactor.advance(0.01)
        self.assertEqual(self.cameras[0].grabbed, 25)

    def test_late_pictures_of_a_file_are_skipped(self) -> None:
        """If a read took as long as ten pictures last, the next one read is the one that is due now."""
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
        """Stopping does not wait for a read; the camera is closed when the read returns."""
        capture = self.capture()
        self.hubs["jpeg"].attach(self.sink)
        self.step(2)
        capture.stopService()
        self.assertEqual(capture.state, CameraState.CLOSED)
        self.assertFalse(self.cameras[0].closed)
        while self.threads[0].step():
            pass
        self.assertTrue(self.cameras[0].closed)
        self.assertEqual(len(self.sink.frames), 1)

    def test_no_signal_as_pickle(self) -> None:
        """The tutorial's client is shown the card as well."""

        def fail() -> FakeCamera:
            raise CameraError("no such camera")

        self.make_camera = fail
        self.capture()
        self.hubs["pickle"].attach(self.sink)
        self.step()
        self.assertEqual(codec.decode(self.sink.frames[0]).shape, (240, 320, 3))


class ThreadedCaptureTests(TestCase):
    """Capture with real threads."""

    timeout = 60

    async def test_hung_read(self) -> None:
        """A read that hangs does not delay the stop; once it returns, the camera is closed."""
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

        await reading
        hub.detach(outlet)
        capture.stopService()
        self.assertFalse(closed.is_set())
        release.set()
        while not closed.is_set():
            await turn()

    async def test_nothing_is_kept_of_a_lost_camera(self) -> None:
        """A lost camera is freed at once, and not only by the garbage collector."""
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

        while len(cameras) < 5:
            await turn()
        hub.detach(outlet)
        capture.stopService()
        while any(camera() is not None for camera in cameras[:4]):
            await turn()
