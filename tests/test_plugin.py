"""Cameras of other people's making."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import TestCase

from twistedcam import plugin
from twistedcam.capture.sources import parse_source
from twistedcam.interfaces import CameraError
from twistedcam.plugin import CameraPlugin, ImageCamera, as_camera
from twistedcam.testing import FakeCamera


class ImageCameraTests(TestCase):
    """Images as a camera."""

    def test_images(self) -> None:
        """Each picture is the next image; it goes on after it was closed, and is lost at its end."""
        images = [np.full((2, 2, 3), value, np.uint8) for value in range(3)]
        camera = ImageCamera(iter(images))
        for image in images:
            camera.grab()
            self.assertIs(camera.retrieve(), image)
            camera.close()
        self.assertRaisesRegex(CameraError, "no more pictures", camera.grab)

    def test_pace(self) -> None:
        """Images that come at once are paced by a rate, others by themselves."""
        self.assertEqual((ImageCamera([], 25).interval, ImageCamera([]).interval), (0.04, 0.0))

    def test_as_camera(self) -> None:
        """A camera is one already; images are made one, and so is what a call gives."""
        camera = FakeCamera()
        self.assertIs(as_camera(camera), camera)
        for images in ([1], iter([1]), lambda: [1]):
            made = as_camera(images)
            made.grab()
            self.assertEqual(made.retrieve(), 1)


class PluginTests(TestCase):
    """Plugins by name."""

    def test_found(self) -> None:
        """A plugin is found by its name, and opened when it is wanted."""
        self.patch(plugin, "getPlugins", lambda interface: [CameraPlugin("thermal", lambda: [1])])
        source = parse_source("plugin:thermal")
        self.assertEqual((source.name, source.kind, source.target), ("thermal", "plugin", "thermal"))
        self.assertEqual(parse_source("attic=plugin:thermal").name, "attic")
        camera = source.open()
        camera.grab()
        self.assertEqual(camera.retrieve(), 1)

    def test_unknown(self) -> None:
        """One that is not there is an error that names those that are."""
        self.patch(plugin, "getPlugins", lambda interface: [CameraPlugin(name, list) for name in ("b", "a")])
        self.assertRaisesRegex(CameraError, "no camera plugin 'c'; there is: a, b", parse_source, "plugin:c")
