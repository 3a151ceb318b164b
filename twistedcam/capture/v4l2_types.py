"""What V4L2 says of a device node: what it is, its sizes and its controls."""

from __future__ import annotations

from dataclasses import dataclass

CAPTURE, CAPTURE_MPLANE = 0x1, 0x1000  # V4L2_CAP_..., of struct v4l2_capability
_MEMORY_TO_MEMORY = 0x8000 | 0x4000
_NEEDS_MEDIA_CONTROLLER = 0x20000000
DEVICE_CAPS = 0x80000000
_KINDS = (
    (0x00800000, "metadata"),
    (_MEMORY_TO_MEMORY, "a codec"),
    (0x2 | 0x2000, "video output"),
    (0x08000000, "metadata output"),
    (0x10 | 0x40, "teletext"),
    (0x20 | 0x80, "teletext output"),
    (0x00100000 | 0x00400000, "software radio"),
    (0x00040000, "radio"),
    (0x10000000, "touch"),
)


@dataclass(frozen=True)
class Capability:
    """What a node is: its C{driver}, the name of the device (C{card}), where it is plugged in (C{bus}), and flags."""

    driver: str
    card: str
    bus: str
    flags: int

    @property
    def is_capture(self) -> bool:
        """Whether it gives pictures."""
        return bool(self.flags & (CAPTURE | CAPTURE_MPLANE)) and not self.flags & _MEMORY_TO_MEMORY

    @property
    def needs_libcamera(self) -> bool:
        """Whether it gives pictures only after other nodes were set up, as a Raspberry Pi's own camera does."""
        return bool(self.flags & _NEEDS_MEDIA_CONTROLLER)

    @property
    def kind(self) -> str:
        """What it is in words, if it gives no pictures."""
        return next((kind for flag, kind in _KINDS if self.flags & flag), "something else")


@dataclass(frozen=True)
class FrameSize:
    """
    A size in pixels, or all from C{least} to C{most}, with its C{rates} in frames a second.

    If C{has_any_rate}, the rates are the lowest and the highest one.
    """

    least: tuple[int, int]
    most: tuple[int, int]
    rates: tuple[float, ...]
    has_any_rate: bool


@dataclass(frozen=True)
class Control:
    """A control as the driver describes it; C{kind} is its enum v4l2_ctrl_type."""

    id: int
    kind: int
    name: str
    least: int
    most: int
    step: int
    flags: int

    @property
    def is_menu(self) -> bool:
        """Whether it is one of a few values that have names."""
        return self.kind in (3, 9)

    @property
    def is_button(self) -> bool:
        """Whether it has no value, and does something when it is set."""
        return self.kind == 4

    @property
    def is_bitmask(self) -> bool:
        """Whether its value is a set of bits; all that it has are in C{most}."""
        return self.kind == 8

    @property
    def is_read_only(self) -> bool:
        """Whether it can only be read."""
        return bool(self.flags & 0x4)

    @property
    def is_inactive(self) -> bool:
        """Whether it has no effect at present, because of another control."""
        return bool(self.flags & 0x10)

    @property
    def is_write_only(self) -> bool:
        """Whether it has no value that could be read."""
        return self.is_button or bool(self.flags & 0x40)
