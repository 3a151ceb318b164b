"""What --list-cameras prints."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from unittest import mock

import av

from tests.capture.fake_v4l2 import (
    BITMASK,
    BUTTON,
    MEDIA_CONTROLLER,
    MENU,
    METADATA,
    READ_ONLY,
    FakeControl,
    FakeDriverTestCase,
    FakeNode,
)
from twistedcam.app import list_cameras as listing
from twistedcam.app.list_cameras import list_cameras
from twistedcam.capture.sources import parse_source
from twistedcam.errors import CameraError
from twistedcam.plugin import CameraPlugin

_TEST_CARD = "A test card, which needs no camera\n  --camera test"
_EXPECTED = """\
/dev/video0: Fake Camera (fake, usb-1)
  --camera /dev/v4l/by-id/usb-Fake-video-index0
  --camera /dev/v4l/by-id/usb-Fake-video-index0,format=MJPG,size=1280x720
  formats:
    YUYV
      320x240, 30 fps
      640x480, 7.5, 30 fps
    MJPG
      16x16 to 1920x1080, 1 to 60 fps
  controls, set by control=NAME=VALUE after another comma:
    brightness=5 (-64 to 64)
    auto_exposure=3 (1: Manual Mode, 3: Aperture Priority Mode)
    exposure_time_absolute=0 (1 to 5000 in steps of 3; inactive at present)
    serial=7 (0 to 255; can only be read)
    bits=1 (the bits of 3)
    reset (a button, set it to 1)"""


class ListTestCase(FakeDriverTestCase):
    """A test with cameras of its own, and without a screen, plugins or a Pi."""

    def setUp(self) -> None:
        super().setUp()
        self.plugins: list[CameraPlugin] = []
        self.patch(listing, "getPlugins", lambda interface: self.plugins)
        self.patch(listing, "has_screen", lambda: False)
        self.patch(listing, "_PI_MODEL", os.path.join(self.folder, "model"))
        self.patch(listing, "pi_cameras", self.no_pi)

    def no_pi(self) -> list[str]:
        """A system without picamera2."""
        raise CameraError("picamera2 is missing")

    def listed(self) -> list[str]:
        """The blocks of what is printed, with the usual name of the folder."""
        return list_cameras().replace(self.folder, "/dev").split("\n\n")


class DeviceTests(ListTestCase):
    """The devices of Linux."""

    if sys.platform != "linux":
        skip = "V4L2 is Linux's"

    def test_device(self) -> None:
        """A camera is listed with its modes and controls, and lines that can be pasted; its other nodes are not."""
        exposures = {1: "Manual Mode", 3: "Aperture Priority Mode"}
        controls = [
            FakeControl("Brightness", least=-64, most=64, value=5),
            FakeControl("Auto Exposure", MENU, most=3, value=3, items=exposures),
            FakeControl("Exposure Time, Absolute", least=1, most=5000, step=3, master=("Auto Exposure", 3)),
            FakeControl("Serial", value=7, flags=READ_ONLY),
            FakeControl("Bits", BITMASK, most=3, value=1),
            FakeControl("Reset", BUTTON, most=0),
        ]
        self.add("video0", FakeNode(controls=controls))
        self.add("video1", FakeNode(METADATA))
        os.makedirs(os.path.join(self.folder, "v4l", "by-id"))
        os.symlink("../../video0", os.path.join(self.folder, "v4l", "by-id", "usb-Fake-video-index0"))
        self.assertEqual(self.listed(), [_EXPECTED, _TEST_CARD])

    def test_paste(self) -> None:
        """The lines are what --camera accepts."""
        self.add("video0", FakeNode(formats=("YUYV",)))
        lines = [line.split()[1] for line in list_cameras().splitlines() if line.startswith("  --camera")]
        for line in lines:
            device, *options = line.split(",")
            if device.startswith(self.folder):
                line = ",".join([device.replace(self.folder, "/dev"), *options])
            source = parse_source(line, ("format", "size"))
            self.assertEqual(
                source.options, {name: [value] for name, value in (option.split("=") for option in options)}
            )

    def test_busy(self) -> None:
        """A camera that another program uses is listed all the same."""
        self.add("video0", FakeNode(is_busy=True, formats=("YUYV",)))
        self.assertIn("  --camera /dev/video0,format=YUYV,size=320x240\n", self.listed()[0])

    def test_unusual(self) -> None:
        """What cannot be used says why: no permission, no format, libcamera; names are printable."""
        self.add("video0", FakeNode(error=13))
        self.add("video1", FakeNode(card="Evil\x1b[2J", formats=("H264",)))
        self.add("video2", FakeNode(1 | MEDIA_CONTROLLER, card="unicam"))
        denied, undecodable, libcamera, _ = self.listed()
        self.assertRegex(denied, "^/dev/video0: not allowed, ")
        self.assertEqual(undecodable.split("\n")[0], "/dev/video1: Evil\\x1b[2J (fake, usb-1)")
        self.assertIn("it has no format that can be decoded", undecodable)
        self.assertIn("is set up by libcamera: --camera plugin:picamera", libcamera)

    def test_none(self) -> None:
        """Without a camera there is advice."""
        none, card = self.listed()
        self.assertIn("No camera was found. Is it plugged in", none)
        self.assertEqual(card, _TEST_CARD)


class OtherTests(ListTestCase):
    """What is no device of Linux."""

    def test_screen_and_plugins(self) -> None:
        """The screen and plugins are listed with their names."""
        self.plugins = [CameraPlugin("thermal", list)]
        self.patch(listing, "has_screen", lambda: True)
        text = list_cameras()
        self.assertIn("The plugin thermal\n  --camera plugin:thermal", text)
        self.assertIn("The screen\n  --camera screen", text)

    def test_pi(self) -> None:
        """The Pi's own camera is listed if there is one; a Pi without picamera2 is told what is missing."""
        self.plugins = [CameraPlugin("picamera", list)]
        self.assertNotIn("picamera", list_cameras())
        with open(os.path.join(self.folder, "model"), "w") as file:
            file.write("Raspberry Pi 5 Model B Rev 1.0\0")
        self.assertIn("picamera2 is missing", list_cameras())
        self.patch(listing, "pi_cameras", lambda: ["imx708"])
        self.assertIn("The Pi's own camera: imx708\n  --camera plugin:picamera", list_cameras())
        self.patch(listing, "pi_cameras", lambda: [])
        self.assertNotIn("picamera", list_cameras())

    def test_other_systems(self) -> None:
        """Elsewhere cameras have numbers, as ffmpeg lists them, if PyAV can tell."""
        found = [("FaceTime HD", ["video"]), ("Microphone", ["audio"]), ("Capture screen 0", ["video"])]
        about = [SimpleNamespace(description=name, media_types=types) for name, types in found]
        self.patch(sys, "platform", "darwin")
        with mock.patch.object(av, "enumerate_input_devices", lambda kind: about, create=True):
            self.assertEqual(self.listed(), ["FaceTime HD\n  --camera 0", _TEST_CARD])
        with mock.patch.object(av, "enumerate_input_devices", None, create=True):
            self.assertIn("can be listed with a newer PyAV", list_cameras())
