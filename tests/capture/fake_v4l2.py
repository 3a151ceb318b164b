"""A stand-in for the kernel's V4L2 drivers: device nodes are files in a folder, and ioctls are answered from lists."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass, field

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.capture import devices, v4l2

CAPTURE, OUTPUT, METADATA, CODEC, MEDIA_CONTROLLER = 0x1, 0x2, 0x00800000, 0x8000, 0x20000000
INACTIVE, READ_ONLY = 0x10, 0x4
INTEGER, BOOLEAN, MENU, BUTTON, BITMASK = 1, 2, 3, 4, 8


@dataclass
class FakeControl:
    """A control; while C{master}, the name of another, has the value that is given with it, it is inactive."""

    name: str
    kind: int = INTEGER
    least: int = 0
    most: int = 255
    step: int = 1
    value: int = 0
    flags: int = 0
    items: dict[int, str] = field(default_factory=dict)
    master: tuple[str, int] | None = None


@dataclass
class FakeNode:
    """A device node, with what its driver answers; C{error} is that of every call."""

    flags: int = CAPTURE
    card: str = "Fake Camera"
    bus: str = "usb-1"
    formats: tuple[str, ...] = ("YUYV", "MJPG")
    controls: list[FakeControl] = field(default_factory=list)
    is_busy: bool = False
    error: int = 0
    sets: list[tuple[str, int]] = field(default_factory=list)

    def answer(self, request: int, argument: bytearray) -> None:
        """Answer one ioctl."""
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        answers = {
            v4l2.QUERYCAP: self._capability,
            v4l2.ENUM_FMT: self._format,
            v4l2.ENUM_FRAMESIZES: self._size,
            v4l2.ENUM_FRAMEINTERVALS: self._interval,
            v4l2.QUERYCTRL: self._control,
            v4l2.QUERYMENU: self._item,
            v4l2.G_CTRL: self._get,
            v4l2.S_CTRL: self._set,
            v4l2.G_FMT: lambda argument: None,
            v4l2.S_FMT: self._take,
            v4l2.REQBUFS: self._take,
        }
        answers[request](argument)

    def _capability(self, argument: bytearray) -> None:
        names = (b"fake", self.card.encode(), self.bus.encode())
        struct.pack_into("=16s32s32sIII", argument, 0, *names, 0, 0x80000001, self.flags)

    def _format(self, argument: bytearray) -> None:
        (index,) = struct.unpack_from("=I", argument)
        if index >= len(self.formats):
            raise OSError(errno.EINVAL, "at the end")
        fourcc = self.formats[index]
        struct.pack_into("=32s4s", argument, 12, f"Format {fourcc}".encode(), fourcc.encode())

    def _size(self, argument: bytearray) -> None:
        index, fourcc = struct.unpack_from("=I4s", argument)
        sizes: list[tuple[int, ...]] = [(1, 320, 240), (1, 640, 480)]
        if fourcc == b"MJPG":
            sizes = [(3, 16, 1920, 16, 16, 1080, 16)]
        if index >= len(sizes):
            raise OSError(errno.EINVAL, "at the end")
        struct.pack_into(f"={len(sizes[index])}I", argument, 8, *sizes[index])

    def _interval(self, argument: bytearray) -> None:
        index, fourcc, width, _ = struct.unpack_from("=I4sII", argument)
        intervals: list[tuple[int, ...]] = [(1, 1, 30), (1, 2, 15)]
        if fourcc == b"MJPG":
            intervals = [(2, 1, 60, 1, 1, 1, 1)]
        elif width == 320:
            intervals.pop()
        if index >= len(intervals):
            raise OSError(errno.EINVAL, "at the end")
        struct.pack_into(f"={len(intervals[index])}I", argument, 16, *intervals[index])

    def _flags(self, control: FakeControl) -> int:
        values = {other.name: other.value for other in self.controls}
        inactive = control.master is not None and values[control.master[0]] == control.master[1]
        return control.flags | INACTIVE * inactive

    def _control(self, argument: bytearray) -> None:
        (number,) = struct.unpack_from("=I", argument)
        index = number & 0x7FFFFFFF  # the one after it is asked for: numbers begin at 1
        if index >= len(self.controls):
            raise OSError(errno.EINVAL, "at the end")
        control = self.controls[index]
        about = (control.kind, control.name.encode(), control.least, control.most, control.step, 0)
        struct.pack_into("=II32siiiiI", argument, 0, index + 1, *about, self._flags(control))

    def _of(self, argument: bytearray) -> FakeControl:
        (number,) = struct.unpack_from("=I", argument)
        return self.controls[int(number) - 1]

    def _item(self, argument: bytearray) -> None:
        text = self._of(argument).items.get(struct.unpack_from("=I", argument, 4)[0])
        if text is None:
            raise OSError(errno.EINVAL, "no such item")
        struct.pack_into("=32s", argument, 8, text.encode())

    def _get(self, argument: bytearray) -> None:
        struct.pack_into("=I", argument, 4, self._of(argument).value & 0xFFFFFFFF)

    def _set(self, argument: bytearray) -> None:
        control = self._of(argument)
        (control.value,) = struct.unpack_from("=i", argument, 4)
        self.sets.append((control.name, control.value))

    def _take(self, argument: bytearray) -> None:
        if self.is_busy:
            raise OSError(errno.EBUSY, "busy")


class FakeDriverTestCase(SynchronousTestCase):
    """A test with device nodes of its own in place of C{/dev}."""

    def setUp(self) -> None:
        self.folder = os.path.realpath(self.mktemp())
        os.mkdir(self.folder)
        self.nodes: dict[int, FakeNode] = {}
        self.patch(devices, "FOLDER", self.folder)
        self.patch(devices, "SYSTEM_FOLDER", os.path.join(self.folder, "sys"))
        self.patch(v4l2, "ioctl", self._ioctl)

    def _ioctl(self, file: int, request: int, argument: bytearray) -> None:
        self.nodes[os.fstat(file).st_ino].answer(request, argument)

    def add(self, name: str, node: FakeNode, device: str = "usb1") -> str:
        """Plug in a node, one of those of C{device}, and return its path."""
        path = os.path.join(self.folder, name)
        with open(path, "w"):
            self.nodes[os.stat(path).st_ino] = node
        os.makedirs(os.path.join(self.folder, "sys", name))
        os.makedirs(os.path.join(self.folder, device), exist_ok=True)
        os.symlink(os.path.join(self.folder, device), os.path.join(self.folder, "sys", name, "device"))
        return path
