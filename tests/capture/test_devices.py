"""Which device nodes are cameras, and why one gives no pictures."""

from __future__ import annotations

import errno
import os
import sys

from tests.capture.fake_v4l2 import CODEC, MEDIA_CONTROLLER, METADATA, OUTPUT, FakeDriverTestCase, FakeNode
from twistedcam.capture import devices
from twistedcam.errors import CameraError


class DeviceTestCase(FakeDriverTestCase):
    """A test of the devices of Linux."""

    if sys.platform != "linux":
        skip = "V4L2 is Linux's"

    def problem(self, path: str) -> str:
        """Why the node at C{path} gives no pictures."""
        with self.assertRaises(CameraError) as caught, devices.opened(path) as node:
            devices.check_capture(path, node)
        return str(caught.exception)


class ProblemTests(DeviceTestCase):
    """The reasons for which there are no pictures, each in one line."""

    def test_none(self) -> None:
        """A camera that nobody uses has no problem."""
        path = self.add("video0", FakeNode())
        with devices.opened(path) as node:
            devices.check_capture(path, node)
        advice = "; if it shares a USB hub, choose format=MJPG or a smaller size"
        self.assertEqual(devices.why_no_picture(path, "gives no picture"), f"{path} gives no picture{advice}")
        path = self.add("video1", FakeNode(bus="platform:isp"))
        self.assertEqual(devices.why_no_picture(path, "gives no picture"), f"{path} gives no picture")

    def test_busy(self) -> None:
        """A camera whose pictures another program has, which anybody may open all the same, is in use."""
        path = self.add("video0", FakeNode(is_busy=True))
        self.assertEqual(self.problem(path), f"{path}: in use by another program")
        self.assertEqual(devices.why_no_picture(path, ""), f"{path}: in use by another program")

    def test_not_capture(self) -> None:
        """For a node that gives something else, the one of the same device that gives pictures is named."""
        self.add("video7", FakeNode(), device="usb2")
        path = self.add("video1", FakeNode(METADATA))
        nothing = f"{path} is not a capture device (metadata); --list-cameras shows those that are"
        self.assertEqual(self.problem(path), nothing)
        camera = self.add("video10", FakeNode())
        self.assertEqual(self.problem(path), f"{path} is not a capture device (metadata); use {camera}")
        for flags, kind in ((OUTPUT, "video output"), (CODEC | 1, "a codec"), (0, "something else")):
            path = self.add(f"video{20 + flags}", FakeNode(flags))
            self.assertIn(f"is not a capture device ({kind}); use {camera}", self.problem(path))

    def test_no_permission(self) -> None:
        """Who may not open a device is told the group that may, or the only user that may."""
        path = self.add("video0", FakeNode())
        self.patch(os, "open", self.denied)
        os.chmod(path, 0o660)
        self.assertRegex(self.problem(path), r"video0: not allowed, add yourself to the group '(\w+)' \(sudo usermod")
        os.chmod(path, 0o600)
        self.assertRegex(self.problem(path), "video0: not allowed, only the user '.+' may open it")

    def denied(self, path: str, flags: int) -> int:
        """Open nothing."""
        raise PermissionError(errno.EACCES, "denied")

    def test_gone(self) -> None:
        """A device that was never there, and one that is unplugged while it is asked, are told apart."""
        path = os.path.join(self.folder, "video5")
        self.assertEqual(self.problem(path), f"{path}: no such camera, is it plugged in?")
        path = self.add("video0", FakeNode(error=errno.ENODEV))
        self.assertEqual(self.problem(path), f"{path}: the camera is gone, is it plugged in?")
        self.assertEqual(devices.why_no_picture(path, ""), f"{path}: the camera is gone, is it plugged in?")

    def test_no_camera(self) -> None:
        """A file that is no video device is not a camera; errors without words of ours have the system's."""
        path = self.add("video0", FakeNode(error=errno.ENOTTY))
        self.assertEqual(self.problem(path), f"{path}: this is not a camera")
        path = self.add("video1", FakeNode(error=errno.ENOMEM))
        self.assertEqual(self.problem(path), f"{path}: {os.strerror(errno.ENOMEM)}")

    def test_libcamera(self) -> None:
        """A node that gives pictures only after others were set up says what does that."""
        path = self.add("video0", FakeNode(1 | MEDIA_CONTROLLER))
        self.assertIn("use plugin:picamera", devices.why_no_picture(path, "gives no picture"))


class FormatTests(DeviceTestCase):
    """The choice of a pixel format."""

    def format_of(self, wanted: str, *formats: str) -> str:
        """The format that is chosen."""
        path = self.add("video0", FakeNode(formats=formats))
        with devices.opened(path) as node:
            return devices.format_of(path, node, wanted)

    def test_found(self) -> None:
        """A format is found by its name, padded to four characters."""
        self.assertEqual(self.format_of("Y10 ", "YUYV", "Y10 "), "Y10 ")

    def test_missing(self) -> None:
        """If a device lacks a format, those that can be used are listed: not those that cannot be decoded."""
        message = "video0 has no format 'MJPG' that can be decoded; it has YUYV, Y10$"
        with self.assertRaisesRegex(CameraError, message):
            self.format_of("MJPG", "YUYV", "H264", "Y10 ")

    def test_no_decoder(self) -> None:
        """A format that cannot be decoded is refused; a device may have no other."""
        with self.assertRaisesRegex(CameraError, "no format 'H264' that can be decoded; it has none that can"):
            self.format_of("H264", "H264")


class PathTests(DeviceTestCase):
    """The names of devices."""

    def test_numbers(self) -> None:
        """A number is that of the path; a path is itself."""
        self.assertEqual(devices.path_of("3"), os.path.join(self.folder, "video3"))
        self.assertEqual(devices.path_of("/dev/v4l/by-id/x"), "/dev/v4l/by-id/x")

    def test_order(self) -> None:
        """Nodes are listed by their numbers; other files are left out."""
        paths = [self.add(name, FakeNode()) for name in ("video2", "video10", "video-x")]
        self.assertEqual(devices.nodes(), paths[:2])

    def test_lasting(self) -> None:
        """A device is named by its link in by-id, which can be opened as well, also if that is not the first node."""
        path = self.add("video0", FakeNode(METADATA))
        camera = self.add("video1", FakeNode())
        os.makedirs(os.path.join(self.folder, "v4l", "by-id"))
        link = os.path.join(self.folder, "v4l", "by-id", "usb-Fake-video-index1")
        os.symlink("../../video0", link)
        self.assertEqual(devices.lasting_path(path), link)
        self.assertEqual(devices.lasting_path(camera), camera)
        self.assertEqual(self.problem(link), f"{link} is not a capture device (metadata); use {camera}")
