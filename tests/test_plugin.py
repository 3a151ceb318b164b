"""Cameras from other packages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
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


class FakeCapture:
    """Gives each of these answers, and then the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def read(self) -> Any:
        """The next answer."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class CaptureCameraTests(TestCase):
    """Objects that are read like cv2.VideoCapture."""

    def test_pairs(self) -> None:
        """True and an image is an image, False is a camera that is lost; it says why if it knows."""
        capture = FakeCapture((True, "a"), (True, "b"), (False, None))
        camera = CaptureCamera(capture, 25, lambda: 5.0)
        verifyObject(ICamera, camera)
        self.assertEqual([(camera.grab(), camera.retrieve()) for _ in range(2)], [(5.0, "a"), (5.0, "b")])
        self.assertRaisesRegex(CameraError, "^it gave no picture$", camera.grab)
        capture.problem = "nothing listens"  # type: ignore[attr-defined]
        self.assertRaisesRegex(CameraError, "^nothing listens$", camera.grab)
        self.assertEqual(camera.interval, 0.04)

    def test_newest(self) -> None:
        """If it gives the newest image again, the next one is waited for, but not for ever."""
        now = [0.0]
        camera = CaptureCamera(
            FakeCapture("a", "a", "a", "b"),
            monotonic=lambda: now[0],
            sleep=lambda seconds: now.append(now.pop() + seconds),
        )
        self.assertEqual([(camera.grab(), camera.retrieve()) for _ in range(2)][1][1], "b")
        self.assertRaisesRegex(CameraError, "the same picture again and again", camera.grab)
        self.assertRaisesRegex(CameraError, "gave no picture", CaptureCamera(FakeCapture(None)).grab)

    def test_made(self) -> None:
        """Such an object, or a callable that returns one, becomes a camera."""
        for made in (FakeCapture((True, "a")), lambda: FakeCapture((True, "a"))):
            camera = as_camera(made)
            camera.grab()
            self.assertEqual(camera.retrieve(), "a")

    def test_wrong(self) -> None:
        """What gives no pictures is refused in one line that says what does."""
        for wrong, what in (
            ("0", "a str"),
            (b"", "a bytes"),
            (0, "a int"),
            (None, "a NoneType"),
            ({}, "a dict"),
            ({1}, "a set"),
            (np.zeros((2, 2, 3)), "a single array"),
            (io.StringIO(), "a StringIO"),
            (Path("clip.mp4"), "a "),
        ):
            error = self.assertRaises(TypeError, as_camera, wrong)
            self.assertRegex(str(error), f"^{what}.* gives no pictures: pass an iterable of arrays, a callable")


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
