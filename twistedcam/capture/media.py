"""One opening of a video file, picture or URL, read through PyAV."""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast
from urllib.parse import urlsplit

import numpy as np

from twistedcam.capture.media_errors import explain
from twistedcam.capture.mode import Mode
from twistedcam.capture.target import Target
from twistedcam.codec import MAX_PIXELS, Image
from twistedcam.errors import BrokenPictureError, CameraError
from twistedcam.libav import OPEN_TOLERANTLY, VideoReformatter, av

_OPEN_SECONDS = 5.0
_DEFAULT_SECONDS = 1 / 25  # of a picture, where nothing is known
_LISTS = (".m3u8", ".m3u", ".mpd", ".ffconcat", ".sdp")  # files that name others, relative to their own place
_PLAYLISTS = ("hls", "dash")
_PICTURES = ("image2", "_pipe")
# The schemes by which whole files are fetched; what comes by any other is sent as it is taken.
_FETCHED = ("http", "https", "ftp", "ftps", "sftp", "gopher")
# The formats whose times are those of the sender's clock. Others have none, and FFmpeg counts pictures instead.
_TIMED = ("rtsp", "rtp", "sdp", "flv", "mpegts", "matroska,webm")
_OPTIONS = {"live_start_index": "-1"}
# Finding out the frame rate would take a second, which nothing needs of a stream that is sent as it is taken.
_SENT_OPTIONS = {"rtsp_flags": "prefer_tcp", "fpsprobesize": "0"}


@dataclass(frozen=True)
class Picture:
    """A decoded picture, its time in the stream, and for how long it is to be shown, both in seconds."""

    frame: av.VideoFrame
    time: float
    seconds: float


class Media:
    """
    The pictures of a file or URL, in order.

    C{is_stored} says whether they were taken before, and are to be played at their own times; C{comes_in_parts} whether
    they arrive many at once although they are taken now; C{has_clock} whether their times are by the clock of the
    sender. Raises L{CameraError} if it cannot be opened.
    """

    def __init__(self, target: Target, mode: Mode, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.label = str(target)
        self._opened = target.reveal()
        self._scheme = urlsplit(self._opened).scheme.lower() if "://" in self._opened else ""
        self._mode = mode
        self._monotonic = monotonic
        self._file: IO[bytes] | None = None
        self._container = self._guarded(self._open, _OPEN_SECONDS)
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._has_begun = False
        self._next_time = 0.0
        self._reformatter = VideoReformatter()  # one for all pictures: it takes longer to prepare than to use
        self._peeked: list[Picture] = []
        self.waited = 0.0  # seconds for which the last picture was waited for
        try:
            self._stream = self._find_stream()
            self._pixel_ratio = self._stream.sample_aspect_ratio or 1
            self._packets = self._container.demux(self._stream)
            self._classify()
        except BaseException:
            self.close()
            raise

    def read(self) -> Picture | None:
        """The next picture, or None at the end. Raises L{BrokenPictureError} and L{CameraError}."""
        self.waited = 0.0
        if self._peeked:
            return self._peeked.pop(0)
        while True:
            frame = next(self._frames, None)
            if frame is not None:
                return self._as_picture(frame)
            packet = self._guarded(self._next_packet, self._mode.read_seconds)
            if packet is None:
                return None
            self._frames = iter(self._decode(packet))

    def peek(self, count: int = 1) -> int:
        """Read C{count} pictures ahead, or as many as there are; returns how many. Raises what L{read} raises."""
        pictures = itertools.islice(iter(self.read, None), count)
        self._peeked = [picture for picture in pictures if picture is not None]
        return len(self._peeked)

    def image(self, picture: Picture) -> Image:
        """C{picture} as an (H, W, 3) uint8 BGR array, the right way up and with square pixels."""
        frame = picture.frame
        width, height = round(frame.width * self._pixel_ratio), frame.height
        if not 0 < width * height <= MAX_PIXELS:
            raise BrokenPictureError(f"{self.label} has a picture of {width} x {height} pixels")
        largest = self._mode.max_width
        if largest and width > largest and not frame.rotation:
            # Converting to the final size at once takes half the time of converting all pixels first.
            width, height = largest, max(1, round(height * largest / width))
        try:
            image = self._reformatter.reformat(frame, width, height, "bgr24", interpolation="AREA").to_ndarray()
            return _upright(cast(Image, image), frame)
        except (av.FFmpegError, ValueError) as error:
            raise BrokenPictureError(
                f"{self.label} has a picture that cannot be read: {type(error).__name__}"
            ) from None

    def close(self) -> None:
        """Close the file or connection."""
        self._container.close()
        if self._file is not None:
            self._file.close()

    def _open(self) -> Any:
        settings: dict[str, Any] = {"options": dict(_OPTIONS), **OPEN_TOLERANTLY}
        if self._scheme:
            if self._scheme not in _FETCHED:
                settings["options"] |= _SENT_OPTIONS
            return av.open(self._opened, timeout=(_OPEN_SECONDS, self._mode.read_seconds), **settings)
        if self._opened.lower().endswith(_LISTS):
            return av.open(f"file:{self._opened}", **settings)
        # Through a file of Python's, so that a name is never taken for a protocol or a pattern, and may be any bytes.
        self._file = open(self._opened, "rb")  # noqa: SIM115
        try:
            return av.open(_Readable(self._file), **settings)
        except BaseException:
            self._file.close()
            raise

    def _guarded(self, step: Callable[[], Any], limit: float) -> Any:
        began = self._monotonic()
        try:
            return step()
        except (av.FFmpegError, OSError, ValueError) as error:
            words = explain(error, self._opened, self._monotonic() - began, limit)
            raise CameraError(f"{self.label} {words}") from None

    def _find_stream(self) -> Any:
        stream = self._container.streams.best("video")
        if stream is None:
            raise CameraError(f"{self.label} has no pictures, only other data such as sound")
        if stream.codec_context is None:
            raise CameraError(f"{self.label} has a video encoding that cannot be read here")
        if stream.codec_context.name == "mjpeg":
            # Otherwise what is missing at the end of a JPEG is made up, without a word.
            stream.codec_context.options = {"err_detect": "explode"}
        return stream

    def _classify(self) -> None:
        """Decide what is live and what is stored."""
        name = self._container.format.name
        has_end = self._container.duration is not None
        if name not in _PLAYLISTS:  # whose size is that of the list
            has_end = has_end or (self._container.size or 0) > 0  # unknown: None, or negative before PyAV 19
        self.is_stored = not self._scheme or (self._scheme in _FETCHED and has_end)
        if self._scheme in _FETCHED and not has_end and any(part in name for part in _PICTURES):
            # There is one picture and no more: a server need not tell the size of what it sends.
            self.is_stored = self.peek(2) < 2
        self.comes_in_parts = not self.is_stored and name in _PLAYLISTS
        self.has_clock = any(part in name for part in _TIMED)

    def _next_packet(self) -> Any:
        began = self._monotonic()
        try:
            packet = next(self._packets, None)
            self._has_begun = True
            return packet
        except av.EOFError:
            return None
        except av.FFmpegError as error:
            # Some versions of FFmpeg report the end of an answer whose length is unknown as an input/output error.
            if error.errno == errno.EIO and self._has_begun and self._scheme:
                return None
            raise
        finally:
            self.waited += self._monotonic() - began

    def _decode(self, packet: Any) -> list[av.VideoFrame]:
        try:
            return packet.decode()  # type: ignore[no-any-return]
        except (av.EOFError, av.BlockingIOError):
            return []
        except av.FFmpegError:
            raise BrokenPictureError(f"{self.label} has a damaged picture") from None

    def _as_picture(self, frame: av.VideoFrame) -> Picture:
        rate = self._stream.average_rate
        seconds = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        if not 0 < seconds < 3600:
            seconds = float(1 / rate) if rate else _DEFAULT_SECONDS
        at = frame.time if frame.time is not None else self._next_time
        self._next_time = at + seconds
        if frame.is_corrupt:
            raise BrokenPictureError(f"{self.label} has a damaged picture")
        return Picture(frame, at, seconds)


class _Readable:
    """A file for PyAV, with a name of text, whose ending tells formats without a mark of their own."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell
        self.name = os.path.basename(file.name).encode("utf-8", "replace").decode()


def _upright(image: Image, frame: av.VideoFrame) -> Image:
    """C{image} turned and flipped as the display matrix of C{frame} says, which has fixed-point numbers."""
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know all kinds of side data; a photograph has some, and is not flipped
        return np.ascontiguousarray(np.rot90(image, frame.rotation // 90)) if frame.rotation else image
    if data is None:
        return image
    x_to_x, x_to_y, _, y_to_x, y_to_y = np.frombuffer(data, np.int32)[:5]
    if abs(x_to_y) > abs(x_to_x):  # a quarter turn
        image, x_to_x, y_to_y = image.swapaxes(0, 1), y_to_x, x_to_y
    return np.ascontiguousarray(image[:: -1 if y_to_y < 0 else 1, :: -1 if x_to_x < 0 else 1])
