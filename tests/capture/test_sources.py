"""Sources: real video files, the test card, and devices that are not there."""

from __future__ import annotations

import os
import time
from typing import Any

import cv2
import numpy as np
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import File

from twistedcam.capture.cards import TestCard, no_signal_card
from twistedcam.capture.opencv import Mode, OpenCVCamera
from twistedcam.capture.sources import parse_source
from twistedcam.codec import Image
from twistedcam.interfaces import CameraError, ICamera


def write_video(path: str, count: int = 10, fps: float = 20.0) -> None:
    """A real video file whose pictures are ever lighter."""
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for n in range(count):
        writer.write(np.full((48, 64, 3), n * 20, np.uint8))
    writer.release()


def image_of(camera: ICamera) -> Image:
    """The picture of a camera that gives no JPEGs."""
    image = camera.retrieve()
    assert not isinstance(image, bytes)
    return image


class ParseTests(TestCase):
    """What --camera may say."""

    def setUp(self) -> None:
        self.path = self.mktemp() + ".avi"
        write_video(self.path)

    def test_kinds(self) -> None:
        """Numbers and /dev are devices, test is the card, and the rest says itself what it is."""
        for text, name, kind, target in (
            ("0", "camera-0", "device", "0"),
            ("/dev/video2", "video2", "device", "/dev/video2"),
            ("test", "test", "test", "test"),
            ("rtsp://me:secret@door.example/live", "door.example", "url", "rtsp://me:secret@door.example/live"),
            (self.path, os.path.basename(self.path), "file", self.path),
            ("desk=0", "desk", "device", "0"),
            (f"cat={self.path}", "cat", "file", self.path),
            ("door=http://door.example/?a=b", "door", "url", "http://door.example/?a=b"),
        ):
            source = parse_source(text)
            self.assertEqual((source.name, source.kind, source.target), (name, kind, target))

    def test_no_such_file(self) -> None:
        """A file that is not there is named, with what to write instead."""
        with self.assertRaisesRegex(CameraError, "no video file 'missing.mp4'.*/dev/videoN"):
            parse_source("missing.mp4")

    def test_no_video(self) -> None:
        """A file that is no video is found out at once."""
        with self.assertRaisesRegex(CameraError, "cannot be opened as video"):
            parse_source(__file__)

    def test_passwords_stay_here(self) -> None:
        """What goes wrong with a URL is shown to viewers: without the password in it."""
        with self.assertRaises(CameraError) as caught:
            parse_source("http://me:secret@127.0.0.1:1/x").open()
        self.assertNotIn("secret", str(caught.exception))


class DeviceTests(TestCase):
    """Devices that cannot be opened."""

    def test_missing(self) -> None:
        """A device that is not there is said to be, in words for who looks at the picture."""
        with self.assertRaisesRegex(CameraError, "^/dev/video63: no such camera, is it plugged in\\?$"):
            parse_source("63").open()

    def test_no_camera(self) -> None:
        """A device that is none is an error too."""
        with self.assertRaisesRegex(CameraError, "cannot be opened"):
            parse_source("/dev/null").open()


class FileTests(TestCase):
    """Video files."""

    def setUp(self) -> None:
        self.path = self.mktemp() + ".avi"
        write_video(self.path)

    def test_begins_again(self) -> None:
        """A file knows its own rate, and begins again at its end, without end."""
        camera = parse_source(self.path).open()
        self.addCleanup(camera.close)
        self.assertAlmostEqual(camera.interval, 1 / 20)
        lightness = []
        for _ in range(25):
            before = time.monotonic()
            taken = camera.grab()
            self.assertTrue(before <= taken <= time.monotonic())
            lightness.append(round(float(np.mean(image_of(camera))) / 20))
        self.assertEqual(lightness, [*range(10), *range(10), *range(5)])

    def test_gone(self) -> None:
        """A file that was taken away before it was opened is a lost camera."""
        source = parse_source(self.path)
        os.remove(self.path)
        self.assertRaises(CameraError, source.open)

    def test_url(self) -> None:
        """A video file behind a URL has an end as well: it is read at its own rate, not as fast as it comes."""
        root = Resource()
        root.putChild(b"clip.avi", File(self.path))
        port: Any = reactor.listenTCP(0, Site(root), interface="127.0.0.1")  # type: ignore[attr-defined,arg-type]
        self.addCleanup(port.stopListening)

        def look() -> tuple[float, tuple[int, ...]]:
            camera = parse_source(f"http://127.0.0.1:{port.getHost().port}/clip.avi").open()
            camera.grab()
            image = image_of(camera)
            camera.close()
            return camera.interval, image.shape

        def check(seen: tuple[float, tuple[int, ...]]) -> None:
            self.assertAlmostEqual(seen[0], 1 / 20)
            self.assertEqual(seen[1], (48, 64, 3))

        looked: Deferred[None] = deferToThread(look).addCallback(check)
        return looked  # type: ignore[return-value]


class FakeCapture:
    """Stands for cv2.VideoCapture on a V4L2 device whose stamps are C{stamps}, given in seconds before now."""

    def __init__(self, *behind: float, rate: float = 25.0) -> None:
        self.behind = list(behind)
        self.rate = rate
        self.has_jpegs = True
        self.settings: dict[int, float] = {}

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def getBackendName(self) -> str:  # noqa: N802
        return "V4L2"

    def grab(self) -> bool:
        self.stamp = time.monotonic() - self.behind.pop(0)
        return True

    def set(self, prop: int, value: float) -> bool:
        self.settings[prop] = value
        return self.has_jpegs or prop != cv2.CAP_PROP_FOURCC

    def retrieve(self) -> tuple[bool, Image]:
        return True, np.frombuffer(b"\xff\xd8\xff\xd9", np.uint8)

    def get(self, prop: int) -> float:
        if prop in self.settings:
            return self.settings[prop]
        return {cv2.CAP_PROP_FPS: self.rate, cv2.CAP_PROP_FRAME_COUNT: -1.0}.get(prop, getattr(self, "stamp", 0) * 1000)


class TimeOfCaptureTests(TestCase):
    """When a device's picture was taken."""

    def camera(self, *behind: float) -> OpenCVCamera:
        """A camera whose pictures have these ages by the driver's stamps."""
        capture = FakeCapture(*behind)
        self.patch(cv2, "VideoCapture", lambda *args: capture)
        return OpenCVCamera("/dev/video0", cv2.CAP_V4L2, waits=False)

    def age(self, *behind: float) -> float:
        """The age of the first picture grabbed."""
        return time.monotonic() - self.camera(*behind).grab()

    def test_believed(self) -> None:
        """A stamp a little before the delivery is when the picture was taken."""
        self.assertAlmostEqual(self.age(0.03), 0.03, 2)

    def test_not_believed(self) -> None:
        """A stamp in the future, or of another clock, is not: the delivery counts."""
        for behind in (-0.03, -1e9, 1e9, 3600.0):
            self.assertAlmostEqual(self.age(behind), 0.0, 2)

    def test_old_pictures_are_passed_over(self) -> None:
        """What waited in the driver is not shown: the first picture that is younger than two periods is."""
        self.assertAlmostEqual(self.age(0.9, 0.86, 0.82, 0.01), 0.01, 2)

    def test_cameras_that_are_always_late(self) -> None:
        """A camera whose pictures all look old gives them all the same, and at once if we waited for them."""
        camera = self.camera(*[1.0] * 100)
        self.assertAlmostEqual(time.monotonic() - camera.grab(), 1.0, 1)
        waiting = self.camera()
        clock = iter((0.0, 0.01))  # and no third time: one grab is all there is to be
        self.patch(waiting, "_grab", lambda: -1.0)
        self.patch(time, "monotonic", lambda: next(clock))
        self.assertEqual(waiting.grab(), -1.0)


class ModeTests(TestCase):
    """What a device is asked for."""

    def asked(self, mode: Mode, has_jpegs: bool = True) -> tuple[dict[int, float], Image | bytes]:
        """What was set, and a picture."""
        capture = FakeCapture(0.0)
        capture.has_jpegs = has_jpegs
        self.patch(cv2, "VideoCapture", lambda *args: capture)
        camera = OpenCVCamera("/dev/video0", cv2.CAP_V4L2, waits=False)
        camera.ask_for(mode)
        camera.grab()
        return capture.settings, camera.retrieve()

    def test_nothing(self) -> None:
        """Where nothing is asked for, nothing is set."""
        self.assertEqual(self.asked(Mode())[0], {})

    def test_size_and_rate(self) -> None:
        """Size and rate are set, in the format that gives large pictures fast; arrays are what comes."""
        settings, picture = self.asked(Mode((1280, 720), 15))
        wanted = {cv2.CAP_PROP_FRAME_WIDTH: 1280, cv2.CAP_PROP_FRAME_HEIGHT: 720, cv2.CAP_PROP_FPS: 15}
        self.assertEqual({prop: settings[prop] for prop in wanted}, wanted)
        self.assertEqual(settings[cv2.CAP_PROP_FOURCC], cv2.VideoWriter.fourcc(*"MJPG"))
        self.assertNotIn(cv2.CAP_PROP_CONVERT_RGB, settings)
        self.assertNotIsInstance(picture, bytes)

    def test_own_jpegs(self) -> None:
        """Where its JPEGs are wanted and it has some, they come as they are; where it has none, pictures do."""
        settings, picture = self.asked(Mode(as_jpeg=True))
        self.assertEqual((settings[cv2.CAP_PROP_CONVERT_RGB], picture), (0, b"\xff\xd8\xff\xd9"))
        settings, picture = self.asked(Mode(as_jpeg=True), has_jpegs=False)
        self.assertNotIn(cv2.CAP_PROP_CONVERT_RGB, settings)
        self.assertNotIsInstance(picture, bytes)


class CardTests(TestCase):
    """Pictures of our own."""

    def test_test_card_moves(self) -> None:
        """The test card is no still."""
        card = TestCard()
        card.grab()
        first = card.retrieve()
        card.grab()
        self.assertEqual(first.shape, (480, 640, 3))
        self.assertTrue((first != card.retrieve()).any())
        card.close()

    def test_no_signal_card(self) -> None:
        """The card has any size, and any text."""
        for width, height in ((1, 1), (16, 12), (320, 240), (3840, 2160)):
            card = no_signal_card(width, height, "\N{CAMERA} desk", "gone " * 40, 1795487331.0)
            self.assertEqual((card.shape, card.dtype), ((height, width, 3), np.uint8))
        self.assertTrue((no_signal_card(320, 240, "desk", "gone", 0) == 230).any())
