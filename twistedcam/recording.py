"""Frames in a video file, as they came: MJPEG in Matroska, each frame at its own time."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from twistedcam import codec
from twistedcam.codec import CodecError
from twistedcam.errors import TwistedcamError
from twistedcam.frame import Frame
from twistedcam.text import printable

# OpenCV's writer encodes each picture again, at a constant rate. Matroska takes the
# frames themselves, each with its time, and can be played even if it breaks off.
SUFFIX = ".mkv"
_MILLISECOND = Fraction(1, 1000)
_BLACK = np.zeros((16, 16, 3), np.uint8)
_CLUSTER = {"cluster_time_limit": "500", "flush_packets": "1"}
_OVERHEAD_BYTES = 48  # of a frame in a file, at most on average: 31 at 30 fps, 45 at one frame in ten seconds
# A time of capture that differs by more than this from that of arrival means that a clock was set.
_LARGEST_JITTER_SECONDS = 5.0


class RecordingError(TwistedcamError):
    """A recording cannot begin or go on; C{reason} says why without naming the file, as the text does."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{printable(path)}: {reason}" if path else reason)
        self.reason = reason


def load() -> Any:
    """Return PyAV, whose import takes a tenth of a second: most viewers record nothing and do without."""
    from twistedcam.libav import av

    return av


def check_path(path: str) -> None:
    """Raise L{RecordingError} if C{path} cannot be a recording, before there is a frame to lose."""
    folder = os.path.dirname(path) or "."
    if not path.lower().endswith(SUFFIX):
        raise RecordingError(f"recordings are Matroska files, let the name end with {SUFFIX}", path)
    if os.path.exists(path):
        raise RecordingError("this file exists already, name another one", path)
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise RecordingError("there is no such folder, or it is not writable", path)


def _reason(error: Exception) -> str:
    # PyAV's errors, of which only some are OSErrors, have a strerror too; their text quotes the path.
    return printable(str(getattr(error, "strerror", None) or error or type(error).__name__))


class Recording:
    """
    One video file. What was written can be played, however the recording ends; without a frame there is no file.

    A frame is shown at the time of its capture or, without C{by_capture}, at the time C{monotonic} when it was added,
    in seconds. Raises L{RecordingError} if C{path} cannot be a recording.
    """

    def __init__(self, path: str, monotonic: Callable[[], float] = time.monotonic, by_capture: bool = True) -> None:
        check_path(path)
        self.path = path
        self.frames = self.bytes = 0
        self._monotonic = monotonic
        self._by_capture = by_capture
        self._av: Any = None
        self._container: Any = None
        self._stream: Any = None
        self._is_created = False
        self._last_captured: float | None = None
        self._last_arrival = 0.0
        self._milliseconds = 0

    @property
    def seconds(self) -> float:
        """The length of the video."""
        return self._milliseconds / 1000

    def add(self, frame: Frame) -> None:
        """Write C{frame}; a damaged one is skipped. Raises L{RecordingError}, after which nothing more can be added."""
        try:
            jpeg = codec.as_jpeg(frame)
            if self._container is None:
                self._open(frame)
            packet = self._av.Packet(jpeg)
            packet.stream, packet.time_base, packet.is_keyframe = self._stream, _MILLISECOND, True
            packet.pts = packet.dts = self._next_time(frame)
            self._container.mux(packet)
        except CodecError:
            return
        except Exception as error:  # PyAV's own are OSErrors, ValueErrors and more
            self._abandon()
            raise RecordingError(_reason(error), self.path) from None
        self.frames += 1
        self.bytes += len(jpeg) + _OVERHEAD_BYTES

    def close(self) -> None:
        """Finish the file: its duration is written. Raises L{RecordingError}."""
        container, self._container = self._container, None
        try:
            if container is not None:
                container.close()
        except Exception as error:
            raise RecordingError(_reason(error), self.path) from None

    def _abandon(self) -> None:
        """Finish the file as far as possible; leave no empty one behind, or there would be one for each attempt."""
        with contextlib.suppress(Exception):
            self.close()
        if self._is_created and not self.frames:
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    def _open(self, frame: Frame) -> None:
        self._av = av = load()
        with open(self.path, "xb"):  # fails if another process has made this file meanwhile; PyAV overwrites it
            self._is_created = True
        self._container = av.open(self.path, "w", format="matroska", options=_CLUSTER)
        # A stream for an encoder would declare 24 fps, at which players that trust it play the frames.
        with av.open(io.BytesIO(codec.encode_jpeg(_BLACK)), format="jpeg_pipe") as jpeg:
            self._stream = self._container.add_stream_from_template(jpeg.streams.video[0], opaque=True)
        self._stream.width, self._stream.height = frame.width, frame.height
        self._stream.time_base = _MILLISECOND

    def _next_time(self, frame: Frame) -> int:
        """Milliseconds since the first frame, always more than for the frame before."""
        arrival = self._monotonic()
        if self.frames:
            since = arrival - self._last_arrival
            if self._by_capture and frame.captured is not None and self._last_captured is not None:
                by_capture = frame.captured - self._last_captured
                if abs(by_capture - since) < _LARGEST_JITTER_SECONDS:
                    since = by_capture
            self._milliseconds += max(1, round(since * 1000))
        self._last_captured, self._last_arrival = frame.captured, arrival
        return self._milliseconds
