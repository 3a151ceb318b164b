"""Devices through OpenCV, and missing devices."""

from __future__ import annotations

import sys

import cv2
import numpy as np
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from tests.capture.fake_v4l2 import FakeControl, FakeDriverTestCase, FakeNode
from twistedcam.capture.mode import Mode
from twistedcam.capture.opencv import OpenCVCamera, open_device
from twistedcam.capture.sources import parse_source
from twistedcam.codec import Image
from twistedcam.errors import BrokenPictureError, CameraError
from twistedcam.interfaces import ICamera


def image_of(camera: ICamera) -> Image:
    """The picture of a camera that does not give JPEGs."""
    image = camera.retrieve()
    assert not isinstance(image, bytes)
    return image


class DeviceTests(TestCase):
    """Devices that cannot be opened."""

    def test_missing(self) -> None:
        """The error of a missing device says so: viewers see it in the picture."""
        with self.assertRaisesRegex(CameraError, "^/dev/video63: no such camera, is it plugged in\\?$"):
            parse_source("63").open()

    def test_no_camera(self) -> None:
        """A device that is not a camera is an error, too."""
        with self.assertRaisesRegex(CameraError, "^/dev/null: this is not a camera$"):
            parse_source("/dev/null").open()


class FakeVideoCapture:
    """
    Stands in for C{cv2.VideoCapture} on a V4L2 device.

    C{ages} are those of its pictures, in seconds by their stamps; each grab takes C{wait} seconds of C{clock}.
    """

    def __init__(self, clock: Clock, *ages: float, wait: float = 0.0) -> None:
        self.clock = clock
        self.ages = list(ages)
        self.wait = wait
        self.stamp = 0.0
        self.has_jpegs = self.is_there = True
        self.is_released = False
        self.settings: dict[int, float] = {}

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def getBackendName(self) -> str:  # noqa: N802
        return "V4L2"

    def grab(self) -> bool:
        self.clock.advance(self.wait)
        if self.ages:
            self.stamp = self.clock.seconds() - self.ages.pop(0)
        return self.is_there

    def release(self) -> None:
        self.is_released = True

    def set(self, prop: int, value: float) -> bool:
        self.settings[prop] = value
        return self.has_jpegs or prop != cv2.CAP_PROP_FOURCC

    def retrieve(self) -> tuple[bool, Image]:
        return self.is_there, np.frombuffer(b"\xff\xd8\xff\xd9", np.uint8)

    def get(self, prop: int) -> float:
        known = {cv2.CAP_PROP_FPS: 25.0, cv2.CAP_PROP_FRAME_COUNT: -1.0, cv2.CAP_PROP_POS_MSEC: self.stamp * 1000}
        return (known | self.settings)[prop]


class DeviceTestCase(TestCase):
    """A test with a V4L2 device that the test plays."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(10_000)

    def camera(self, *ages: float, wait: float = 0.0) -> OpenCVCamera:
        """A camera whose pictures have these ages, in seconds by the driver's stamps."""
        self.capture = FakeVideoCapture(self.clock, *ages, wait=wait)
        self.patch(cv2, "VideoCapture", lambda *args: self.capture)
        return OpenCVCamera("/dev/video0", cv2.CAP_V4L2, monotonic=self.clock.seconds)


class TimeOfCaptureTests(DeviceTestCase):
    """The time of capture of a device's pictures."""

    def age(self, camera: OpenCVCamera) -> float:
        """The age of the next picture, in seconds."""
        taken = camera.grab()
        return self.clock.seconds() - taken

    def test_plausible(self) -> None:
        """A stamp shortly before the delivery is the time of capture."""
        self.assertAlmostEqual(self.age(self.camera(0.03)), 0.03)

    def test_implausible(self) -> None:
        """A stamp in the future, or by another clock, is ignored: the time of delivery counts."""
        for age in (-0.03, -1e9, 1e9, 3600.0):
            self.assertEqual(self.age(self.camera(age)), 0)

    def test_old_pictures_are_skipped(self) -> None:
        """Pictures that waited in the driver are not shown: the first one younger than two periods is."""
        self.assertAlmostEqual(self.age(self.camera(0.9, 0.86, 0.82, 0.01)), 0.01)

    def test_cameras_that_are_always_late(self) -> None:
        """If all pictures look old they are used all the same; one that we had to wait for is used at once."""
        self.assertAlmostEqual(self.age(self.camera(*[1.0] * 100)), 1.0)
        self.assertEqual(len(self.capture.ages), 95)
        self.assertAlmostEqual(self.age(self.camera(*[1.0] * 100, wait=0.01)), 1.0)
        self.assertEqual(len(self.capture.ages), 99)


class LossTests(DeviceTestCase):
    """The errors of sources that give no more pictures."""

    def test_device(self) -> None:
        """A device is named by its path."""
        camera = self.camera()
        self.capture.is_there = False
        self.assertRaisesRegex(CameraError, "^/dev/video0 gives no picture$", camera.grab)
        self.assertRaisesRegex(BrokenPictureError, "^/dev/video0 gave a picture", camera.retrieve)

    def test_explained(self) -> None:
        """What is known about a device is told instead; it is released before, as it would be busy otherwise."""
        self.camera()
        explain = lambda problem: f"{problem}, released: {self.capture.is_released}"  # noqa: E731
        camera = OpenCVCamera("/dev/video0", cv2.CAP_V4L2, explain=explain)
        self.capture.is_there = False
        self.assertRaisesRegex(CameraError, "^gives no picture, released: True$", camera.grab)

    def test_damaged(self) -> None:
        """A picture that OpenCV cannot convert is a broken one."""
        camera = self.camera()

        def fail() -> None:
            raise cv2.error("assertion failed")

        self.capture.retrieve = fail  # type: ignore[assignment, method-assign]
        self.assertRaisesRegex(BrokenPictureError, "^/dev/video0 gave a picture that cannot be read$", camera.retrieve)


class ModeTests(DeviceTestCase):
    """The mode that a device is asked for."""

    def asked(self, mode: Mode, has_jpegs: bool = True) -> tuple[dict[int, float], Image | bytes]:
        """What was set, and a picture."""
        camera = self.camera(0.0)
        self.capture.has_jpegs = has_jpegs
        camera.ask_for(mode)
        camera.grab()
        return self.capture.settings, camera.retrieve()

    def test_nothing(self) -> None:
        """If no mode is asked for, nothing is set."""
        self.assertEqual(self.asked(Mode())[0], {})

    def test_size_and_rate(self) -> None:
        """Size and rate are set, in the format in which large pictures are fast; pictures come as arrays."""
        settings, picture = self.asked(Mode((1280, 720), 15))
        wanted = {cv2.CAP_PROP_FRAME_WIDTH: 1280, cv2.CAP_PROP_FRAME_HEIGHT: 720, cv2.CAP_PROP_FPS: 15}
        self.assertEqual({prop: settings[prop] for prop in wanted}, wanted)
        self.assertEqual(settings[cv2.CAP_PROP_FOURCC], cv2.VideoWriter.fourcc(*"MJPG"))
        self.assertNotIn(cv2.CAP_PROP_CONVERT_RGB, settings)
        self.assertNotIsInstance(picture, bytes)

    def test_own_jpegs(self) -> None:
        """If its JPEGs are wanted and it has some, they come as they are; if it has none, pictures come as arrays."""
        settings, picture = self.asked(Mode(as_jpeg=True))
        self.assertEqual((settings[cv2.CAP_PROP_CONVERT_RGB], picture), (0, b"\xff\xd8\xff\xd9"))
        settings, picture = self.asked(Mode(as_jpeg=True), has_jpegs=False)
        self.assertNotIn(cv2.CAP_PROP_CONVERT_RGB, settings)
        self.assertNotIsInstance(picture, bytes)

    def test_format(self) -> None:
        """A pixel format that is asked for is set; if it cannot be had, the camera is not opened in another one."""
        settings, picture = self.asked(Mode((1280, 720), format="YUYV", as_jpeg=True))
        self.assertEqual(settings[cv2.CAP_PROP_FOURCC], cv2.VideoWriter.fourcc(*"YUYV"))
        self.assertNotIsInstance(picture, bytes)
        with self.assertRaisesRegex(CameraError, "^/dev/video0 does not give the pixel format Y10 in this mode$"):
            self.asked(Mode(format="Y10 "), has_jpegs=False)


class OpenTests(FakeDriverTestCase):
    """Devices that are opened by their names."""

    if sys.platform != "linux":
        skip = "V4L2 is Linux's"

    def open(self, mode: Mode, platform: str = "linux") -> FakeVideoCapture:
        """The stand-in for OpenCV's camera, after C{open_device}."""
        clock = Clock()
        capture = FakeVideoCapture(clock)
        self.patch(cv2, "VideoCapture", lambda *args: capture)
        self.patch(sys, "platform", platform)
        open_device("0", mode)
        return capture

    def test_controls(self) -> None:
        """Controls are set and the format is found before OpenCV opens the device."""
        node = FakeNode(formats=("YUYV", "Y10 "), controls=[FakeControl("Brightness")])
        self.add("video0", node)
        capture = self.open(Mode(format="Y10 ", controls=(("brightness", 7),)))
        self.assertEqual(node.sets, [("Brightness", 7)])
        self.assertEqual(capture.settings, {cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"Y10 ")})

    def test_busy(self) -> None:
        """The controls of a device that another program uses are not touched."""
        node = FakeNode(controls=[FakeControl("Brightness")], is_busy=True)
        self.add("video0", node)
        with self.assertRaisesRegex(CameraError, "in use by another program"):
            self.open(Mode(controls=(("brightness", 7),)))
        self.assertEqual(node.sets, [])

    def test_other_systems(self) -> None:
        """Elsewhere OpenCV chooses the format, and controls are refused."""
        self.assertEqual(list(self.open(Mode(format="MJPG"), "darwin").settings), [cv2.CAP_PROP_FOURCC])
        with self.assertRaisesRegex(CameraError, "controls can be set on Linux only"):
            self.open(Mode(controls=(("brightness", 7),)), "win32")
