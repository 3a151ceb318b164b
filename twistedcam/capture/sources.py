"""Where pictures come from: devices, video files, URLs and a test card. Nothing else opens a device."""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import cv2
import numpy as np
from zope.interface import implementer

from twistedcam.codec import Image
from twistedcam.interfaces import BrokenPictureError, CameraError, ICamera
from twistedcam.plugin import find_plugin, open_plugin

# What goes wrong is said by our own errors, once and with its reason.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

TEST_CARD = "test"
_PLUGIN = "plugin:"
_TEST_CARD_FPS = 30
_USUAL_FPS = 25  # of sources that do not tell their own
_URL_TIMEOUT_MS = 5000
_MOST_BUFFERED = 5  # OpenCV gives V4L2 drivers four buffers
_AT_ONCE_SECONDS = 0.002
_MJPG = cv2.VideoWriter.fourcc(*"MJPG")


@dataclass(frozen=True)
class Mode:
    """
    What a device is asked for, and gives the nearest to: C{size} in pixels and C{fps}, where they are not None and 0.

    With C{as_jpeg} its own JPEGs are wanted, as they come, where it has them.
    """

    size: tuple[int, int] | None = None
    fps: float = 0.0
    as_jpeg: bool = False


@dataclass(frozen=True)
class Source:
    """What C{--camera} names: C{kind} is device or one of L{_OPENERS}, C{target} what is opened, C{name} its name."""

    name: str
    kind: str
    target: str

    def open(self, mode: Mode = Mode()) -> ICamera:
        """Open it; this may block for seconds. Raises L{CameraError}."""
        if self.kind == "device":
            return _open_device(self.target, mode)
        return _OPENERS[self.kind](self.target)


def parse_source(text: str) -> Source:
    """The source that C{[NAME=]SOURCE} means; a file is looked into, a device is not. Raises L{CameraError}."""
    named = None if os.path.exists(text) else re.fullmatch(r"([\w.-]+)=(.+)", text)
    name, target = named.groups() if named else ("", text)
    if target == TEST_CARD:
        return Source(name or TEST_CARD, "test", target)
    if target.isdecimal():
        return Source(name or f"camera-{int(target)}", "device", str(int(target)))
    if target.startswith("/dev/"):
        return Source(name or os.path.basename(target), "device", target)
    if target.startswith(_PLUGIN):
        plugin = find_plugin(target.removeprefix(_PLUGIN)).name
        return Source(name or plugin, "plugin", plugin)
    if "://" in target:
        return Source(name or urlsplit(target).hostname or "url", "url", target)
    _check_file(target)
    return Source(name or os.path.basename(target), "file", target)


def _check_file(path: str) -> None:
    if not os.path.exists(path):
        raise CameraError(
            f"there is no video file {path!r}: name a file that exists, a number (0), a /dev/videoN, a URL or 'test'"
        )
    if not os.path.isfile(path):  # a pipe would be waited for, here and for ever
        raise CameraError(f"{path!r} is no file: name a video file, a number (0), a /dev/videoN, a URL or 'test'")
    OpenCVCamera(path, cv2.CAP_ANY, waits=True).close()


@implementer(ICamera)
class OpenCVCamera:
    """
    A device, file or URL read through cv2.VideoCapture.

    A source that C{waits} is read at its own rate by our clock and begins again at its end; others pace themselves.
    """

    def __init__(
        self, target: str | int, backend: int, waits: bool | None = None, options: tuple[int, ...] = ()
    ) -> None:
        self._target = target
        self._capture = cv2.VideoCapture(target, backend, list(options))  # type: ignore[call-overload]
        if not self._capture.isOpened():
            raise CameraError(f"{target} cannot be opened as video")
        self._gives_jpegs = False
        self._has_clock = self._capture.getBackendName() == "V4L2"
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        # A live stream has no number of frames; FFmpeg gives 0 or a nonsense below it.
        self._waits = frames > 0 if waits is None else waits
        self._period = 1 / (rate if 0 < rate <= 1000 else _USUAL_FPS)
        self.interval = self._period if self._waits else 0.0

    def ask_for(self, mode: Mode) -> None:
        """Set a device to what it has that is nearest to C{mode}."""
        set_ = self._capture.set
        if (mode.size or mode.as_jpeg) and set_(cv2.CAP_PROP_FOURCC, _MJPG):
            # Large pictures come fast over USB as JPEGs only.
            self._gives_jpegs = mode.as_jpeg and self._capture.get(cv2.CAP_PROP_FOURCC) == _MJPG
        if mode.size:
            set_(cv2.CAP_PROP_FRAME_WIDTH, mode.size[0])
            set_(cv2.CAP_PROP_FRAME_HEIGHT, mode.size[1])
        if mode.fps:
            set_(cv2.CAP_PROP_FPS, mode.fps)
        if self._gives_jpegs:
            self._gives_jpegs = set_(cv2.CAP_PROP_CONVERT_RGB, 0)

    def grab(self) -> float:
        """The next picture's time of capture: the driver's own where it can be believed."""
        for _ in range(_MOST_BUFFERED):
            asked = time.monotonic()
            taken = self._grab()
            now = time.monotonic()
            # A picture that waited in the driver while we were busy is passed over. One
            # that we waited for is as new as this camera's are, whatever its stamp says.
            if now - asked > _AT_ONCE_SECONDS or now - taken <= 2 * self._period:
                break
        return taken

    def _grab(self) -> float:
        if not self._capture.grab() and not self._begin_again():
            raise CameraError(f"{self._target} gives no picture")
        return self._time_of_capture(time.monotonic())

    def _time_of_capture(self, now: float) -> float:
        # V4L2 drivers stamp a picture when its first or last line was taken, nearly
        # all by the monotonic clock, and OpenCV hands that on unchanged; OpenCV's
        # other backends give a position in the stream instead. A stamp on another
        # clock, or none, lies far from now, and a few drivers' stamps lie up to a
        # frame in the future (the kernel's own vivid does that). A picture cannot be
        # younger than its delivery and will hardly be 5 s older: outside of that, the
        # moment of delivery is the best that is known.
        if not self._has_clock:
            return now
        stamped = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return stamped if 0 <= now - stamped <= 5 else now

    def _begin_again(self) -> bool:
        if not self._waits:
            return False
        return bool(self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0) and self._capture.grab())

    def retrieve(self) -> Image | bytes:
        """The picture last grabbed, or the device's own JPEG of it. Raises L{BrokenPictureError} if damaged."""
        done, image = self._capture.retrieve()
        if not done:
            raise BrokenPictureError(f"{self._target} gives pictures that cannot be read")
        return image.tobytes() if self._gives_jpegs else image  # type: ignore[return-value]

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def _open_device(target: str, mode: Mode) -> ICamera:
    camera = _find_device(target)
    camera.ask_for(mode)
    return camera


def _find_device(target: str) -> OpenCVCamera:
    if sys.platform != "linux":
        return OpenCVCamera(int(target) if target.isdecimal() else target, cv2.CAP_ANY, waits=False)
    path = f"/dev/video{target}" if target.isdecimal() else target
    try:
        # OpenCV does not say why it cannot open a device; the system does.
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        raise CameraError(f"{path}: {_DEVICE_ADVICE.get(error.errno or 0, error.strerror)}") from None
    return OpenCVCamera(path, cv2.CAP_V4L2, waits=False)


_DEVICE_ADVICE = {
    errno.ENOENT: "no such camera, is it plugged in?",
    errno.ENODEV: "the camera is gone, is it plugged in?",
    errno.EACCES: "not allowed, add yourself to the group 'video'",
    errno.EBUSY: "in use by another program",
}


def _open_url(target: str) -> ICamera:
    timeouts = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _URL_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _URL_TIMEOUT_MS)
    try:
        return OpenCVCamera(target, cv2.CAP_FFMPEG, options=timeouts)
    except CameraError:
        parts = urlsplit(target)  # may hold a password, and this is shown to viewers
        raise CameraError(f"{parts.scheme}://{parts.hostname} cannot be opened as video") from None


def _open_file(target: str) -> ICamera:
    return OpenCVCamera(target, cv2.CAP_ANY, waits=True)


@implementer(ICamera)
class TestCard:
    """Colour bars with a moving mark and a running clock, 640 x 480 at 30 a second."""

    interval = 1 / _TEST_CARD_FPS

    def __init__(self, target: str = TEST_CARD) -> None:
        self._background = _colour_bars(640, 480)
        self._count = 0

    def grab(self) -> float:
        """Go on by one picture."""
        self._count += 1
        return time.monotonic()

    def retrieve(self) -> Image:
        """The picture of this moment."""
        image = self._background.copy()
        x = self._count * 8 % image.shape[1]
        cv2.rectangle(image, (x, 330), (x + 24, 354), (255, 255, 255), -1)
        now = time.time()
        clock = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
        cv2.putText(image, clock, (110, 430), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 3, cv2.LINE_AA)
        return image

    def close(self) -> None:
        """Nothing is held."""


def _colour_bars(width: int, height: int) -> Image:
    colours = [(191, 191, 191), (0, 191, 191), (191, 191, 0), (0, 191, 0), (191, 0, 191), (0, 0, 191), (191, 0, 0)]
    image = np.full((height, width, 3), 16, np.uint8)
    edges = np.linspace(0, width, len(colours) + 1).astype(int)
    for colour, left, right in zip(colours, edges, edges[1:], strict=False):
        image[: height * 2 // 3, left:right] = colour
    return image


def no_signal_card(width: int, height: int, camera: str, reason: str, since: float) -> Image:
    """The picture shown while C{camera} gives none: why, and since when (seconds since the epoch)."""
    image = np.full((height, width, 3), 32, np.uint8)
    image[:: max(2, height // 60)] = 40
    clock = time.strftime("since %H:%M:%S on %d %B %Y", time.localtime(since))
    for text, at, share in (("NO SIGNAL", 0.4, 0.6), (camera, 0.55, 0.5), (reason, 0.7, 0.9), (clock, 0.82, 0.6)):
        _centre(image, text, at, share)
    return image


def _centre(image: Image, text: str, at: float, share: float) -> None:
    """Write one line at C{at} of the height, as large as fits C{share} of the width and a tenth of the height."""
    height, width = image.shape[:2]
    text = text.encode("ascii", "replace").decode()  # all that OpenCV's plain fonts have
    weight = 2 if height >= 360 else 1
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1, weight)
    scale = min(share * width / max(1, text_width), 0.1 * height / max(1, text_height))
    origin = (int((width - text_width * scale) / 2), int(height * at))
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (230, 230, 230), weight, cv2.LINE_AA)


_OPENERS: dict[str, Callable[[str], ICamera]] = {
    "file": _open_file,
    "url": _open_url,
    "test": TestCard,
    "plugin": open_plugin,
}
