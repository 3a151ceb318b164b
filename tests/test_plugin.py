"""Cameras from other packages."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from twistedcam import plugin
from twistedcam.capture.mode import Mode
from twistedcam.capture.sources import parse_source
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera, ICameraPlugin, IModeCameraPlugin
from twistedcam.plugin import CameraPlugin, CaptureCamera, ImageCamera, ModeCameraPlugin, as_camera
from twistedcam.testing import FakeCamera


class ImageCameraTests(TestCase):
    """Images as a camera."""

    def test_images(self) -> None:
        """Each picture is the next image; the images continue after a close, and at their end the camera is lost."""
        images = [np.full((2, 2, 3), value, np.uint8) for value in range(3)]
        camera = ImageCamera(iter(images), monotonic=lambda: 5.0)
        verifyObject(ICamera, camera)
        for image in images:
            self.assertEqual(camera.grab(), 5.0)
            self.assertIs(camera.retrieve(), image)
            camera.close()
        self.assertRaisesRegex(CameraError, "no more pictures", camera.grab)

    def test_pace(self) -> None:
        """Images are read at a rate if one is given, and as fast as they are yielded otherwise."""
        self.assertEqual((ImageCamera([], 25).interval, ImageCamera([]).interval), (0.04, 0.0))

    def test_as_camera(self) -> None:
        """A camera is returned as it is; images, or a callable that returns some, become one."""
        camera = FakeCamera()
        self.assertIs(as_camera(camera), camera)
        for images in ([1], iter([1]), lambda: [1]):
            made = as_camera(images)
            made.grab()
            self.assertEqual(made.retrieve(), 1)

    def test_array(self) -> None:
        """One image as an array is shown again and again, once a second or at a rate; four dimensions are several."""
        image = np.zeros((2, 3, 3), np.uint8)
        for shown in (image, image[..., 0]):
            camera: Any = as_camera(shown)
            for _ in range(3):
                camera.grab()
                self.assertIs(camera.retrieve(), shown)
            self.assertEqual((camera.interval, as_camera(shown, 5).interval), (1.0, 0.2))
        several: Any = as_camera(np.stack([image, image + 1]))
        several.grab()
        several.grab()
        self.assertEqual(several.retrieve()[0, 0, 0], 1)
        self.assertRaises(CameraError, several.grab)

    def test_refused(self) -> None:
        """Anything else is refused in one line that says what is accepted; so is what a callable returns."""
        wrong: tuple[Any, ...] = (
            "video.avi",
            b"video",
            0,
            1.5,
            None,
            {},
            list,
            np.zeros(5, np.uint8),
            np.uint8(5),
            io.BytesIO(b""),
            {1: 2},
        )
        for made in wrong:
            for images in (made, lambda made=made: made):
                message = str(self.assertRaises(CameraError, as_camera, images))
                self.assertIn("write an iterable of images, a function that returns one", message)
                self.assertNotIn("\n", message)
        self.assertRaisesRegex(CameraError, "it is the class VideoCapture: write", as_camera, cv2.VideoCapture)
        self.assertRaisesRegex(CameraError, "it is of type str: write", as_camera, "x")
        self.assertRaisesRegex(CameraError, "it is of type function: write", as_camera, lambda: lambda: [1])


class FakeCapture:
    """A capture whose reads take the seconds that the test gives, and return C{found}."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.seconds: list[float] = []
        self.found: Any = (True, 1)
        self.reads = 0
        self.problem = ""

    def isOpened(self) -> bool:  # noqa: N802
        """As of cv2.VideoCapture."""
        return True

    def read(self) -> Any:
        """Take the next of the seconds, or a thirtieth."""
        self.reads += 1
        self.clock.advance(self.seconds.pop(0) if self.seconds else 1 / 30)
        return self.found


class FakeStream:
    """A stream as of imutils."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def read(self) -> Any:
        """The last image."""
        return self.found


class CaptureCameraTests(TestCase):
    """Captures as cameras."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.capture = FakeCapture(self.clock)
        self.camera = CaptureCamera(self.capture, self.clock.seconds)

    def test_capture(self) -> None:
        """A capture sets the pace, is lost when it gives no more pictures, and tells why if it knows; it may go on."""
        verifyObject(ICamera, self.camera)
        self.assertEqual(self.camera.interval, 0.0)
        self.assertEqual(self.camera.grab(), self.clock.seconds())
        self.assertEqual((self.camera.retrieve(), self.capture.reads), (1, 1))
        self.capture.found = (False, None)
        self.assertRaisesRegex(CameraError, "it gives no more pictures", self.camera.grab)
        self.capture.problem = "nothing listens"
        self.assertRaisesRegex(CameraError, "nothing listens", self.camera.grab)
        self.camera.close()
        self.capture.found = (True, 2)
        self.camera.grab()
        self.assertEqual(self.camera.retrieve(), 2)

    def test_file(self) -> None:
        """A file is read at its own rate, or 30 times a second if it has none."""
        for fps, interval in ((25.0, 0.04), (0.0, 1 / 30), (float("nan"), 1 / 30)):
            self.capture.get = {5: fps, 7: 100.0}.get  # type: ignore[attr-defined]
            self.assertEqual(CaptureCamera(self.capture).interval, interval)
        self.capture.get = {5: 25.0, 7: -1.0}.get  # type: ignore[attr-defined]
        self.assertEqual(CaptureCamera(self.capture).interval, 0.0)

    def test_stream(self) -> None:
        """A stream that returns the image alone, at once, is read 30 times a second; None is its end."""
        stream = FakeStream(np.zeros((2, 2, 3), np.uint8))
        camera = as_camera(stream)
        self.assertEqual(camera.interval, 1 / 30)
        camera.grab()
        self.assertIs(camera.retrieve(), stream.found)
        stream.found = None
        self.assertRaises(CameraError, camera.grab)

    def test_old_pictures(self) -> None:
        """After a pause the pictures that have waited in the driver are dropped, at most eight."""
        self.capture.seconds = [0.001] * 4
        self.camera.grab()
        self.assertEqual(self.capture.reads, 5)
        self.camera.grab()
        self.assertEqual(self.capture.reads, 6)
        self.clock.advance(2)
        self.capture.seconds = [0.0] * 100
        self.camera.grab()
        self.assertEqual(self.capture.reads, 15)

    def test_one_thread(self) -> None:
        """While one thread is in a read that hangs, another does not read."""
        self.capture.read = lambda: self.camera.grab()  # type: ignore[method-assign]
        self.assertRaisesRegex(CameraError, "an earlier read has not ended", self.camera.grab)
        del self.capture.read
        self.camera.grab()


def images_in(mode: Mode = Mode()) -> list[float]:
    """One image, which is the rate of the mode."""
    return [mode.fps]


class PluginTests(TestCase):
    """Plugins found by name."""

    def test_found(self) -> None:
        """A plugin is found by its name, and opened with its source."""
        self.patch(plugin, "getPlugins", lambda interface: [CameraPlugin("thermal", lambda: [1])])
        verifyObject(ICameraPlugin, plugin.find_plugin("thermal"))
        source = parse_source("plugin:thermal")
        self.assertEqual((source.name, source.kind, str(source.target)), ("thermal", "plugin", "thermal"))
        self.assertEqual(parse_source("attic=plugin:thermal").name, "attic")
        camera = source.open()
        camera.grab()
        self.assertEqual(camera.retrieve(), 1)

    def test_modes(self) -> None:
        """A plugin that has modes is given the one that is asked for; others are opened as before."""
        plugins = [ModeCameraPlugin("modes", f"{__name__}.images_in"), CameraPlugin("plain", lambda: [1])]
        self.patch(plugin, "getPlugins", lambda interface: plugins)
        verifyObject(IModeCameraPlugin, plugin.find_plugin("modes"))
        for name, mode, image in (("modes", Mode(fps=7), 7), ("modes", None, 0), ("plain", Mode(fps=7), 1)):
            camera = plugin.open_plugin(name, mode)
            camera.grab()
            self.assertEqual(camera.retrieve(), image)

    def test_unknown(self) -> None:
        """The error of an unknown plugin names those that are installed."""
        self.patch(plugin, "getPlugins", lambda interface: [CameraPlugin(name, list) for name in ("b", "a")])
        self.assertRaisesRegex(CameraError, "no camera plugin 'c'; installed: a, b", parse_source, "plugin:c")
