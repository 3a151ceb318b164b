"""The configuration of one camera: options that hold for all cameras, or after its source for this one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twistedcam.app.options import Option, number_reader, read_text, read_texts
from twistedcam.capture.encoder import Settings
from twistedcam.capture.mode import Mode
from twistedcam.capture.sources import DEVICE, FILE, PICTURES, PLUGIN, SCREEN, TEST_CARD, URL, Source
from twistedcam.rates import MAX_FPS

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_READ_SECONDS = 20.0  # a stream that gives a picture less often needs --stall
_DEFAULT_KEEP_BYTES = 10 * 10**9


@dataclass(frozen=True)
class RecordingConfig:
    """Where a camera is recorded: in C{folder}, in files of C{segment_seconds}, at most C{keep_bytes} of them."""

    folder: str
    segment_seconds: float
    keep_bytes: int


@dataclass(frozen=True)
class CameraConfig:
    """One camera: its C{source} is opened in C{mode}, pictures become frames by C{settings}; it may be recorded."""

    source: Source
    mode: Mode
    settings: Settings
    recording: RecordingConfig | None = None

    @property
    def name(self) -> str:
        """The name it is served under."""
        return self.source.name


def configure_camera(source: Source, values: Mapping[str, Any]) -> CameraConfig:
    """The configuration of C{source}; C{values} has a value, already read, for each of L{CAMERA_OPTIONS}."""
    mode = Mode(
        values["size"],
        values["fps"],
        as_jpeg=not values["width"],
        format=values["format"] or "",
        controls=values["control"],
        read_seconds=max(_READ_SECONDS, values["stall"]),
        max_width=values["width"] if values["rotate"] in (0, 180) else 0,
    )
    settings = Settings(
        values["width"],
        values["fps"],
        values["quality"],
        rotate=values["rotate"],
        flip=values["flip"] or "",
        overlay=values["overlay"] or (),
        skip=values["skip"],
        stall_seconds=values["stall"],
    )
    recording = None
    if values["record"]:
        recording = RecordingConfig(
            values["record"], values["record-segment"], values["record-keep"] or _DEFAULT_KEEP_BYTES
        )
    return CameraConfig(source, mode, settings, recording)


def _size(value: Any) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", str(value))
    if found is None:
        raise ValueError(f"{value!r} is not a size, write it like 1280x720")
    return int(found[1]), int(found[2])


def _format(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9 ]{3,4}", value):
        raise ValueError(f"{value!r} is not a pixel format, write its four characters, like MJPG or YUYV")
    return value.upper().ljust(4)


def _controls(value: Any) -> tuple[tuple[str, int], ...]:
    return tuple(map(_control, read_texts(value)))


def _control(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\w+)=(-?\d{1,10})", text)
    if found is None:
        raise ValueError(f"{text!r} is not a control, write it like brightness=128")
    return found[1], int(found[2])


def _rotate(value: Any) -> int:
    if str(value) not in ("0", "90", "180", "270"):
        raise ValueError(f"{value!r} is none of 0, 90, 180 and 270, which are degrees clockwise")
    return int(str(value))


def _flip(value: Any) -> str:
    if value not in ("h", "v"):
        raise ValueError(f"{value!r} is neither h, for left and right, nor v, for top and bottom")
    return str(value)


def _overlay(value: Any) -> tuple[str, ...]:
    parts = tuple(part for text in read_texts(value) for part in text.split(","))
    for part in parts:
        if part not in ("time", "name"):
            raise ValueError(f"{part!r} is neither time nor name, write it like time,name")
    return parts


def _folder(value: Any) -> str:
    """The absolute path of a folder to write to: twistd may change to another one before it starts."""
    path = os.path.abspath(read_text(value)) if read_text(value) else ""
    found = path if os.path.exists(path) else os.path.dirname(path)  # it is made when it is needed
    if not os.path.isdir(found):
        raise ValueError(f"{value!r} is not a folder, and cannot be made: name one that exists, or a new one in it")
    if not os.access(found, os.W_OK | os.X_OK):
        raise ValueError(f"{found!r} cannot be written to: name another folder, or let this user write to it")
    return path


def _bytes(value: Any) -> int:
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?)([KMGT]?)B?", str(value), re.IGNORECASE)
    size = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size < 10**6:
        raise ValueError(f"{value!r} is not a size of 1M or more, write it like 500M or 10G")
    return size


# The kinds of source on which an option that is for devices has an effect.
_HAVE_EFFECT: Mapping[str, tuple[str, ...]] = {
    "size": (DEVICE, PLUGIN),
    "format": (DEVICE, PLUGIN),
    "control": (DEVICE, PLUGIN),
}
_KINDS = {FILE: "a file", PICTURES: "pictures", SCREEN: "the screen", URL: "a URL", TEST_CARD: "the test card"}


def find_no_effect(source: Source, option: str) -> str:
    """Why C{option} has no effect on C{source}, or an empty text if it has one."""
    if source.kind in _HAVE_EFFECT.get(option, (source.kind,)):
        return ""
    what = _KINDS.get(source.kind, "the images of a script")
    return f"it has no effect on {what}, it is for devices: leave it out"


CAMERA_OPTIONS: Mapping[str, Option] = {
    "size": Option(None, _size),
    "width": Option(320, number_reader(int, 0, 16384)),
    "fps": Option(0, number_reader(float, 0, MAX_FPS)),
    "quality": Option(80, number_reader(int, 1, 100)),
    "format": Option(None, _format),
    "control": Option((), _controls, is_repeatable=True),
    "rotate": Option(0, _rotate),
    "flip": Option(None, _flip),
    "overlay": Option(None, _overlay),
    "skip": Option(0, number_reader(int, 0, 1000)),
    "stall": Option(0, number_reader(float, 0, 86400)),
    "record": Option(None, _folder),
    "record-segment": Option(600, number_reader(float, 1, 86400)),
    "record-keep": Option(None, _bytes),
}
