"""Devices, files and URLs, read through OpenCV."""

from __future__ import annotations

import errno
import os
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import cv2
from zope.interface import implementer

from twistedcam.codec import Image
from twistedcam.interfaces import BrokenPictureError, CameraError, ICamera

# What goes wrong is said by our own errors, once and with its reason.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

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


def open_device(target: str, mode: Mode) -> ICamera:
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


def open_url(target: str) -> ICamera:
    timeouts = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _URL_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _URL_TIMEOUT_MS)
    try:
        return OpenCVCamera(target, cv2.CAP_FFMPEG, options=timeouts)
    except CameraError:
        parts = urlsplit(target)  # may hold a password, and this is shown to viewers
        raise CameraError(f"{parts.scheme}://{parts.hostname} cannot be opened as video") from None


def open_file(target: str) -> ICamera:
    return OpenCVCamera(target, cv2.CAP_ANY, waits=True)
