"""Names for the files that are written of a camera."""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Callable

from twistedcam.frame import Frame

_MAX_CAMERA = 50  # characters


class FileNames:
    """
    Paths in C{folder} at which no file exists yet, made of a frame's camera and the local time.

    C{now} is the time of day, in seconds since the epoch.
    """

    def __init__(self, folder: str, now: Callable[[], float]) -> None:
        self._folder = folder
        self._now = now

    def new_path(self, frame: Frame, suffix: str) -> str:
        """A path for C{frame} that ends with C{suffix}."""
        return self.numbered(_stem(frame.camera), suffix)

    def numbered(self, stem: str, suffix: str) -> str:
        """A path that begins with C{stem} and ends with C{suffix}."""
        at = time.strftime("%Y%m%d-%H%M%S", time.localtime(self._now()))
        return unused(os.path.join(self._folder, f"{stem}-{at}"), suffix)

    @staticmethod
    def pattern(stem: str, suffix: str) -> Callable[[str], object]:
        """A function that tells whether a name is one that L{numbered} makes."""
        return re.compile(rf"{re.escape(stem)}-\d{{8}}-\d{{6}}(-\d+)?{re.escape(suffix)}", re.ASCII).fullmatch


def unused(start: str, suffix: str) -> str:
    """The path C{start} + C{suffix} or, if there is a file at it, the first one with a number from 2 between them."""
    path, count = f"{start}{suffix}", 1
    while os.path.exists(path):
        count += 1
        path = f"{start}-{count}{suffix}"
    return path


def unique_stem(camera: str) -> str:
    """The start of the names of files for C{camera} only: its name, with a checksum unless all of it can be written."""
    stem = _stem(camera)
    return stem if stem == camera else f"{stem}-{zlib.crc32(camera.encode()):08x}"


def _stem(camera: str) -> str:
    # Letters of other scripts take up to four bytes, and a name has room for 255.
    # With a dot the names of devices on Windows would remain: nul.x-1.jpg is nul.
    stem = "".join(c if c.isalnum() or c == "_" else "-" for c in camera).lstrip("-")
    return stem[:_MAX_CAMERA] or "snapshot"
