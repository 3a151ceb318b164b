"""What a V4L2 device node says of itself."""

from __future__ import annotations

import sys

from tests.capture.fake_v4l2 import BITMASK, CAPTURE, CODEC, METADATA, FakeControl, FakeDriverTestCase, FakeNode
from twistedcam.capture import v4l2
from twistedcam.capture.v4l2 import Node
from twistedcam.capture.v4l2_types import Capability, FrameSize


class NodeTests(FakeDriverTestCase):
    """A node, by the answers of its driver."""

    if sys.platform != "linux":
        skip = "V4L2 is Linux's"

    def open(self, node: FakeNode) -> Node:
        """The node, open until the end of the test."""
        opened = Node(self.add("video0", node))
        self.addCleanup(opened.__exit__)
        return opened

    def test_requests(self) -> None:
        """The codes of the calls are those of the kernel's headers: the size of the struct is part of each."""
        self.assertEqual((v4l2.QUERYCAP, v4l2.QUERYCTRL, v4l2.S_CTRL), (0x80685600, 0xC0445624, 0xC008561C))
        self.assertEqual((v4l2.ENUM_FRAMESIZES, v4l2.ENUM_FRAMEINTERVALS), (0xC02C564A, 0xC034564B))

    def test_capability(self) -> None:
        """The flags of the node count, not those of the whole device."""
        self.assertEqual(self.open(FakeNode()).capability(), Capability("fake", "Fake Camera", "usb-1", CAPTURE))
        for flags, is_capture in ((0x1000, True), (METADATA, False), (CODEC | CAPTURE, False)):
            self.assertIs(Capability("", "", "", flags).is_capture, is_capture)

    def test_modes(self) -> None:
        """Formats with their sizes and rates: some drivers list them, others have all in a range."""
        node = self.open(FakeNode())
        self.assertEqual(node.formats(), {"YUYV": "Format YUYV", "MJPG": "Format MJPG"})
        small, large = node.sizes("YUYV")
        self.assertEqual(small, FrameSize((320, 240), (320, 240), (30.0,), False))
        self.assertEqual(large, FrameSize((640, 480), (640, 480), (7.5, 30.0), False))
        self.assertEqual(node.sizes("MJPG"), [FrameSize((16, 16), (1920, 1080), (1.0, 60.0), True)])

    def test_values(self) -> None:
        """Values have a sign, but bits have none."""
        numbers = FakeControl("Zoom, Absolute", least=-5, value=-3)
        node = self.open(FakeNode(controls=[numbers, FakeControl("Bits", BITMASK, value=0x80000000)]))
        values = {name: node.value(control) for name, control in node.controls().items()}
        self.assertEqual(values, {"zoom_absolute": -3, "bits": 0x80000000})
