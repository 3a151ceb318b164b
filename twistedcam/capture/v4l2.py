"""What a V4L2 device node of Linux is and can do, by the kernel's own calls; it can be imported on every system."""

# linuxpy is under the GPL, and v4l2-ctl would be one more package to install and a process for each question: these
# few calls are all that is needed of either.

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Callable, Iterator

from twistedcam.capture.v4l2_types import CAPTURE, DEVICE_CAPS, Capability, Control, FrameSize

_BUFFERS_CAPTURE, _BUFFERS_CAPTURE_MPLANE = 1, 9  # enum v4l2_buf_type
_DISCRETE = 1  # enum v4l2_frmsizetypes and v4l2_frmivaltypes
_NEXT_CONTROL = 0x80000000
_MAX_LISTED = 1000  # a broken driver may never say that a list is at its end


def _request(direction: int, number: int, size: int) -> int:
    """The code of an ioctl of V4L2; C{direction} is 1 to write, 2 to read, 3 for both."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


# The last argument is the size of the struct in the kernel's ABI; struct v4l2_format contains pointers.
_FORMAT_SIZE = 208 if struct.calcsize("P") == 8 else 204
QUERYCAP = _request(2, 0, 104)
ENUM_FMT = _request(3, 2, 64)
G_FMT, S_FMT = _request(3, 4, _FORMAT_SIZE), _request(3, 5, _FORMAT_SIZE)
REQBUFS = _request(3, 8, 20)
G_CTRL, S_CTRL = _request(3, 27, 8), _request(3, 28, 8)
QUERYCTRL, QUERYMENU = _request(3, 36, 68), _request(3, 37, 44)
ENUM_FRAMESIZES, ENUM_FRAMEINTERVALS = _request(3, 74, 44), _request(3, 75, 52)


def ioctl(file: int, request: int, argument: bytearray) -> None:
    """Call the driver of an open node, which may change C{argument}. Raises C{OSError}."""
    import fcntl  # Windows has none

    fcntl.ioctl(file, request, argument, True)


_SETTABLE_KINDS = (1, 2, 3, 4, 8, 9)  # integer, boolean, menu, button, bitmask, integer menu: of 32 bits


class Node:
    """An open device node. Every method may raise C{OSError}."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))

    def __enter__(self) -> Node:
        """The node itself, which is closed after the block."""
        return self

    def __exit__(self, *args: object) -> None:
        """Close the node."""
        os.close(self._file)

    def _call(self, request: int, layout: str, *values: object) -> bytes:
        """Call the driver with a struct that begins with C{values}; the size is part of C{request}."""
        argument = bytearray(request >> 16 & 0x3FFF)
        struct.pack_into(layout, argument, 0, *values)
        ioctl(self._file, request, argument)
        return bytes(argument)

    def capability(self) -> Capability:
        """What the node is."""
        answer = self._call(QUERYCAP, "")
        driver, card, bus, _, of_device, of_node = struct.unpack_from("=16s32s32sIII", answer)
        return Capability(_text(driver), _text(card), _text(bus), of_node if of_device & DEVICE_CAPS else of_device)

    def _buffer_type(self) -> int:
        flags = self.capability().flags
        return _BUFFERS_CAPTURE if flags & CAPTURE else _BUFFERS_CAPTURE_MPLANE

    def formats(self) -> dict[str, str]:
        """The pixel formats: for each FourCC, as four characters, its description."""
        kind = self._buffer_type()
        found = {}
        for answer in _listed(lambda index: self._call(ENUM_FMT, "=II", index, kind)):
            description, code = struct.unpack_from("=32s4s", answer, 12)
            found[_fourcc(code)] = _text(description)
        return found

    def sizes(self, fourcc: str) -> list[FrameSize]:
        """The sizes in which pictures of this format come; empty if the driver does not say."""
        answers = _listed(lambda index: self._call(ENUM_FRAMESIZES, "=I4s", index, fourcc.encode("latin-1")))
        return [self._size(fourcc, *struct.unpack_from("=I6I", answer, 8)) for answer in answers]

    def _size(self, fourcc: str, kind: int, *numbers: int) -> FrameSize:
        width, height = numbers[:2]
        least = most = width, height
        if kind != _DISCRETE:  # least, most and step of the width, and of the height
            least, most = (numbers[0], numbers[3]), (numbers[1], numbers[4])
        return FrameSize(least, most, *self._rates(fourcc, most))

    def _rates(self, fourcc: str, size: tuple[int, int]) -> tuple[tuple[float, ...], bool]:
        """The rates at C{size}, and whether all in between are to be had, too."""
        code = fourcc.encode("latin-1")
        rates: set[float] = set()
        has_any = False
        for answer in _listed(lambda index: self._call(ENUM_FRAMEINTERVALS, "=I4sII", index, code, *size)):
            kind, *fractions = struct.unpack_from("=I4I", answer, 16)
            has_any = kind != _DISCRETE
            pairs = [fractions[:2], fractions[2:]] if has_any else [fractions[:2]]
            rates.update(below / above for above, below in pairs if above)
        return tuple(sorted(rates)), has_any

    def controls(self) -> dict[str, Control]:
        """The controls of 32 bits by name, as C{v4l2-ctl -l} writes it."""
        found = {}
        number = 0
        for _ in range(_MAX_LISTED):
            try:
                answer = self._call(QUERYCTRL, "=I", number | _NEXT_CONTROL)
            except OSError:
                break
            number, kind, name, least, most, step, _, flags = struct.unpack_from("=II32siiiiI", answer)
            name = re.sub("[^a-z0-9]+", "_", _text(name).lower()).strip("_")
            if kind in _SETTABLE_KINDS and not flags & 1:  # not disabled
                found[name] = Control(number, kind, name, least, most, step, flags)
        return found

    def menu(self, control: Control) -> dict[int, str]:
        """The values that a menu has, and their names; the driver may leave out some numbers."""
        items = {}
        for index in range(max(control.least, 0), min(control.most, _MAX_LISTED) + 1):
            try:
                answer = self._call(QUERYMENU, "=II", control.id, index)
            except OSError:
                continue
            items[index] = _text(answer[8:40]) if control.kind == 3 else str(struct.unpack_from("=q", answer, 8)[0])
        return items

    def value(self, control: Control) -> int:
        """The present value of a control."""
        answer = self._call(G_CTRL, "=I", control.id)
        return int(struct.unpack_from("=I" if control.is_bitmask else "=i", answer, 4)[0])

    def set(self, control: Control, value: int) -> None:
        """Set a control."""
        self._call(S_CTRL, "=II", control.id, value & 0xFFFFFFFF)

    def is_busy(self) -> bool:
        """Whether another program has the pictures: many can open a node, one can set its format or get buffers."""
        kind = self._buffer_type()
        try:
            _, *present = struct.unpack(f"=I{_FORMAT_SIZE - 4}s", self._call(G_FMT, "=I", kind))
            self._call(S_FMT, f"=I{_FORMAT_SIZE - 4}s", kind, *present)
            self._call(REQBUFS, "=III", 1, kind, 1)
            self._call(REQBUFS, "=III", 0, kind, 1)
        except OSError as error:
            return error.errno == errno.EBUSY
        return False


def _listed(ask: Callable[[int], bytes]) -> Iterator[bytes]:
    """The answers for the indexes from 0, up to the first at which the driver has no more."""
    for index in range(_MAX_LISTED):
        try:
            yield ask(index)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOTTY):  # the end of the list; not implemented
                return
            raise


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode(errors="replace").strip()


def _fourcc(code: bytes) -> str:
    """Its four characters; the highest bit says big-endian, which v4l2-ctl writes as C{-BE} after it."""
    return bytes(byte & 0x7F for byte in code).decode("latin-1")
