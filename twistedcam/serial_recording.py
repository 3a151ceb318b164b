"""A recording in one video file after another."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable

from twistedcam.frame import Frame
from twistedcam.recording import Recording

_LOOK_SECONDS = 1.0  # how often it is checked that the file is still there
FULL = "the file is full"


class SerialRecording:
    """
    A recording in one file after another, which is added to and closed as a L{Recording} is.

    A new file begins when the camera or the size of its pictures changes, when the file was deleted, and at the first
    frame after C{seconds} or C{size} bytes. C{new_path} names the file that begins with a frame; C{on_complete} is
    called with each L{Recording} that is complete, and C{on_next} with the path of the next file and the reason for it.
    """

    def __init__(
        self,
        new_path: Callable[[Frame], str],
        monotonic: Callable[[], float] = time.monotonic,
        on_complete: Callable[[Recording], None] = lambda recording: None,
        on_next: Callable[[str, str], None] = lambda path, reason: None,
        seconds: float = math.inf,
        size: float = math.inf,
    ) -> None:
        self._new_path = new_path
        self._monotonic = monotonic
        self._on_complete = on_complete
        self._on_next = on_next
        self._seconds = seconds
        self._size = size
        self._first: Frame | None = None
        self._began = self._looked = 0.0
        self.current: Recording | None = None

    def add(self, frame: Frame) -> None:
        """Write C{frame}. Raises L{RecordingError}, after which the next frame begins a new file."""
        reason = self._reason_to_end(frame)
        if reason:
            self.close()
        try:
            if self.current is None:
                self._begin(frame, reason)
            assert self.current is not None
            self.current.add(frame)
        except Exception:
            self.current = None
            raise

    def close(self) -> None:
        """Finish the last file. Raises L{RecordingError}."""
        current, self.current = self.current, None
        if current is not None:
            current.close()
            if current.frames and os.path.exists(current.path):
                self._on_complete(current)

    def _begin(self, frame: Frame, reason: str) -> None:
        self.current, self._first = Recording(self._new_path(frame), self._monotonic), frame
        self._began = self._looked = self._monotonic()
        if reason:
            self._on_next(self.current.path, reason)

    def _reason_to_end(self, frame: Frame) -> str:
        first, current = self._first, self.current
        if current is None or first is None:
            return ""
        if frame.camera != first.camera:
            return "the camera changed"
        if not _have_one_size(frame, first):
            return "the size of the pictures changed"
        if self._is_deleted(current):
            return "the file was deleted"
        is_full = self._monotonic() - self._began >= self._seconds or current.bytes >= self._size
        return FULL if is_full else ""

    def _is_deleted(self, current: Recording) -> bool:
        """Whether what is written is lost: writing to a deleted file does not fail."""
        now = self._monotonic()
        if not current.frames or now - self._looked < _LOOK_SECONDS:
            return False
        self._looked = now
        return not os.path.exists(current.path)


def _have_one_size(one: Frame, other: Frame) -> bool:
    """Whether the full pictures have one size, though both may have been made smaller for a slow link."""
    slack = max(one.scale, other.scale)
    sides = ((one.width, other.width), (one.height, other.height))
    return all(abs(a * one.scale - b * other.scale) <= slack for a, b in sides)
