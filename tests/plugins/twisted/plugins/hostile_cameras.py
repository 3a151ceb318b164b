"""Cameras whose errors carry a secret and what acts on a terminal, for tests."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np

from twistedcam.errors import BrokenPictureError, CameraError
from twistedcam.plugin import CameraPlugin, ImageCamera

PLANTED = "rtsp://me:planted-secret@door.example/ \x1b]0;owned\x07\x1b[2J\r\u202e\ud800"
IMAGE = np.zeros((48, 64, 3), np.uint8)


class MuteError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit(PLANTED)

    __repr__ = __str__


ERRORS = (
    CameraError(PLANTED),
    RuntimeError(PLANTED),
    SystemExit(PLANTED),
    KeyboardInterrupt(PLANTED),
    GeneratorExit(PLANTED),
    MuteError(),
    MemoryError(),
)
_places = itertools.cycle(("open", "interval", "grab", "retrieve", "close"))
_errors = itertools.cycle(ERRORS)


class Hostile(ImageCamera):
    """Gives five pictures and then fails: at each attempt with another error, in another place."""

    def __init__(self, place: str, error: BaseException) -> None:
        super().__init__(itertools.repeat(IMAGE), 50)
        self._place = place
        self._error = error
        self._count = 0
        self._fail("open")

    def _fail(self, place: str) -> None:
        if place == self._place:
            raise self._error

    def grab(self) -> float:
        self._count += 1
        if self._count > 5:
            self._fail("grab")
            if self._place == "close":
                raise CameraError("the end")
        return time.monotonic()

    def retrieve(self) -> Any:
        if self._count == 3:
            raise BrokenPictureError(PLANTED)
        if self._count > 5:
            self._fail("retrieve")
        return IMAGE

    def close(self) -> None:
        self._fail("close")

    def __getattribute__(self, name: str) -> Any:
        if name == "interval":
            object.__getattribute__(self, "_fail")("interval")
        return object.__getattribute__(self, name)


hostile = CameraPlugin("hostile", lambda: Hostile(next(_places), next(_errors)))
