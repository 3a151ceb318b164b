"""Hands the newest picture to a thread that waits for it."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from twistedcam import codec
from twistedcam.codec import CodecError, Image
from twistedcam.frame import LIVE, Frame

_LATE_SECONDS = 1.0
_LOOK_SECONDS = 1.0  # a wait is interrupted so often: on Windows, Ctrl-C has no effect before a wait ends
_RATE_SECONDS = 0.5  # the first pictures of a camera come irregularly
_PAUSE_SECONDS = 5.0  # between two frames: the camera was off


def _in_thread(work: Callable[[], None]) -> None:
    # Not a daemon thread: if one is in OpenCV while the interpreter ends, the process aborts.
    threading.Thread(target=work, name="decode").start()


class _Decoded(NamedTuple):
    frame: Frame
    image: Image | Exception
    at: float


class _Rate:
    """The rate at which a camera takes pictures, whether all of them come here or not."""

    def __init__(self) -> None:
        self._taken: deque[tuple[int, float]] = deque(maxlen=30)

    def add(self, frame: Frame) -> None:
        """Take the number and the time of C{frame}."""
        if frame.captured is None:
            return
        if self._taken:
            sequence, captured = self._taken[-1]
            if frame.sequence <= sequence or not 0 < frame.captured - captured < _PAUSE_SECONDS:
                self._taken.clear()
        self._taken.append((frame.sequence, frame.captured))

    def fps(self) -> float:
        """Pictures per second; 0.0 until it is known."""
        if not self._taken:
            return 0.0
        (first, began), (last, ended) = self._taken[0], self._taken[-1]
        return (last - first) / (ended - began) if ended - began >= _RATE_SECONDS else 0.0


class Reader:
    """
    Takes frames in the reactor's thread, and gives the newest picture to the thread that reads.

    C{frame} is the frame of the last read, and C{problem} why that gave no picture, an empty string if it gave one.
    C{fps}, C{width} and C{height} are those of the newest frame that shows a picture, and 0 until they are known.

    Frames are decoded one at a time, in the thread that C{in_thread} starts, and the newest one waits meanwhile: a
    picture may take seconds to decode, but L{read} returns in time. A picture that is decoded too late is returned by
    the next read, unless it has waited for a second and a newer frame is there.

    C{why_over} returns why no more frames can come; it is asked once a second while a read waits.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        in_thread: Callable[[Callable[[], None]], None] = _in_thread,
        why_over: Callable[[], str] = lambda: "",
    ) -> None:
        self.frame: Frame | None = None
        self.problem = self.failure = ""
        self.is_closed = False
        self.fps = 0.0
        self.width = self.height = 0
        self._monotonic = monotonic
        self._in_thread = in_thread
        self._why_over = why_over
        self._rate = _Rate()
        self._changed = threading.Condition()  # protects all that follows
        self._newest: Frame | None = None
        self._is_decoding = False
        self._decoded: _Decoded | None = None

    def put(self, frame: Frame) -> None:
        """Take C{frame}, in place of one that waits."""
        with self._changed:
            if frame.state == LIVE:
                self._rate.add(frame)
                self.fps, self.width, self.height = self._rate.fps(), frame.width, frame.height
            self._newest = frame
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

    def read(self, timeout: float = math.inf) -> Image | None:
        """The newest picture that was not yet read, or None if there is none within C{timeout} seconds."""
        until = self._monotonic() + timeout
        with self._changed:
            while not (self.failure or self.is_closed):
                image = self._take()
                if image is not None:
                    return image
                self._decode()
                if self._decoded is None and not self._wait(until):
                    self.problem = self.problem or f"no picture has come within {timeout:g} s"
                    return None
        return None

    def wait_for(self, is_there: Callable[[], bool], timeout: float) -> None:
        """Return when C{is_there} returns True, after C{timeout} seconds, or when no more frames can come."""
        until = self._monotonic() + timeout
        with self._changed:
            while not (self.failure or self.is_closed or is_there()) and self._wait(until):
                pass

    def _wait(self, until: float) -> bool:
        """Wait for a change; return False when the time C{until} has come."""
        left = until - self._monotonic()
        if self._changed.wait(min(max(0.0, left), _LOOK_SECONDS)):
            return True
        self.failure = self.failure or self._why_over()
        return left > _LOOK_SECONDS

    def _take(self) -> Image | None:
        decoded, self._decoded = self._decoded, None
        if decoded is None:
            return None
        if self._newest is not None and self._monotonic() - decoded.at >= _LATE_SECONDS:
            return None
        if isinstance(decoded.image, CodecError):
            self.problem = f"a frame could not be decoded: {decoded.image}"
            return None  # the next one may not be damaged
        if isinstance(decoded.image, Exception):
            raise decoded.image
        self.frame, self.problem = decoded.frame, ""
        return decoded.image

    def _decode(self) -> None:
        """Begin to decode the newest frame, if there is one and nothing is being decoded."""
        if self._newest is None or self._is_decoding:
            return
        frame, self._newest = self._newest, None
        if frame.state != LIVE:
            self.frame, self.problem = frame, frame.reason
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
