"""Hands the newest picture to a thread that waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from twistedcam import codec
from twistedcam.codec import CodecError, Image
from twistedcam.frame import LIVE, Frame

_LATE_SECONDS = 1.0


def _in_thread(work: Callable[[], None]) -> None:
    # Not a daemon thread: if one is in OpenCV while the interpreter ends, the process aborts.
    threading.Thread(target=work, name="decode").start()


class _Decoded(NamedTuple):
    frame: Frame
    image: Image | Exception
    at: float


class Reader:
    """
    Takes frames in the reactor's thread, and gives the newest picture to the thread that reads.

    C{frame} is the frame of the last read. Frames are decoded one at a time, in the thread that C{in_thread} starts,
    and the newest one waits meanwhile: a picture may take seconds to decode, but L{read} returns in time. A picture
    that is decoded too late is returned by the next read, unless it has waited for a second and a newer frame is there.
    """

    def __init__(
        self, monotonic: Callable[[], float], in_thread: Callable[[Callable[[], None]], None] = _in_thread
    ) -> None:
        self.frame: Frame | None = None
        self.failure = ""
        self.is_closed = False
        self._monotonic = monotonic
        self._in_thread = in_thread
        self._changed = threading.Condition()  # protects all that follows
        self._size = (0, 0)
        self._newest: Frame | None = None
        self._is_decoding = False
        self._decoded: _Decoded | None = None

    def put(self, frame: Frame) -> None:
        """Take C{frame}, in place of one that waits."""
        with self._changed:
            self._newest = frame
            if frame.state == LIVE:
                self._size = (frame.width, frame.height)
            self._changed.notify_all()

    def fail(self, reason: str) -> None:
        """End each read, now and later, with C{failure} set to C{reason}."""
        with self._changed:
            self.failure = reason
            self._changed.notify_all()

    def close(self) -> None:
        """End each read, now and later."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()

    def size(self, timeout: float | None) -> tuple[int, int]:
        """The width and height of the newest picture in pixels, or (0, 0) if none comes within C{timeout} seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.failure or self.is_closed or self._size != (0, 0), timeout)
            return self._size

    def read(self, timeout: float | None) -> Image | None:
        """
        The newest picture that was not yet read, or None if there is none within C{timeout} seconds; None waits
        without end.
        """
        until = None if timeout is None else self._monotonic() + timeout
        with self._changed:
            while not (self.failure or self.is_closed):
                image = self._take()
                if image is not None:
                    return image
                self._decode()
                if self._decoded is None and not self._changed.wait(self._seconds_left(until)):
                    return None
        return None

    def _seconds_left(self, until: float | None) -> float | None:
        return None if until is None else max(0.0, until - self._monotonic())

    def _take(self) -> Image | None:
        decoded, self._decoded = self._decoded, None
        if decoded is None:
            return None
        if self._newest is not None and self._monotonic() - decoded.at >= _LATE_SECONDS:
            return None
        if isinstance(decoded.image, CodecError):
            return None  # it is damaged, the next one may not be
        if isinstance(decoded.image, Exception):
            raise decoded.image
        self.frame = decoded.frame
        return decoded.image

    def _decode(self) -> None:
        """Begin to decode the newest frame, if there is one and nothing is being decoded."""
        if self._newest is None or self._is_decoding:
            return
        frame, self._newest = self._newest, None
        if frame.state != LIVE:
            self.frame = frame
            return
        self._is_decoding = True
        self._in_thread(lambda: self._finish(frame))

    def _finish(self, frame: Frame) -> None:
        try:
            image: Image | Exception = codec.decode(frame)
        except Exception as error:
            image = error
        with self._changed:
            self._is_decoding = False
            self._decoded = _Decoded(frame, image, self._monotonic())
            self._changed.notify_all()
