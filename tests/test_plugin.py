"""Cameras from other packages."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from twistedcam import plugin
from twistedcam.capture.mode import Mode
from twistedcam.capture.sources import parse_source
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera, ICameraPlugin, IModeCameraPlugin
from twistedcam.plugin import CameraPlugin, ImageCamera, ModeCameraPlugin, as_camera
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
