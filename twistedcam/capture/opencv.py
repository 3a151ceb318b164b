"""Devices, read through OpenCV."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
from zope.interface import implementer

from twistedcam.capture import devices
from twistedcam.capture.controls import set_controls
from twistedcam.capture.mode import Mode
from twistedcam.capture.stamps import plausible
from twistedcam.codec import Image
from twistedcam.errors import BrokenPictureError, CameraError
from twistedcam.interfaces import ICamera

# Our own errors report what goes wrong, once and with its reason.
if "OPENCV_LOG_LEVEL" not in os.environ and hasattr(cv2.utils, "logging"):  # OpenCV 4 lacks it
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_DEFAULT_FPS = 25  # of devices that do not report their own
_MAX_BUFFERED = 5  # OpenCV gives V4L2 drivers four buffers
_AT_ONCE_SECONDS = 0.002
_JPEG_FORMATS = ("MJPG", "JPEG")


@implementer(ICamera)
class OpenCVCamera:
    """
    A device read through C{cv2.VideoCapture}.

    C{explain} makes the text of an error, which viewers are shown, from what went wrong. Raises L{CameraError} if it
    cannot be opened.
    """

    interval = 0.0

    def __init__(
        self,
        target: str | int,
        backend: int,
        monotonic: Callable[[], float] = time.monotonic,
        explain: Callable[[str], str] | None = None,
    ) -> None:
        self._label = target
        self._monotonic = monotonic
        self._explain = explain or (lambda problem: f"{self._label} {problem}")
        self._capture = cv2.VideoCapture(target, backend)
        if not self._capture.isOpened():
            raise CameraError(self._explain("cannot be opened as video"))
        self._gives_jpegs = False
        self._has_clock = self._capture.getBackendName() == "V4L2"
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._period = 1 / (rate if 0 < rate <= 1000 else _DEFAULT_FPS)

    def ask_for(self, mode: Mode) -> None:
        """Set a device to the nearest mode that it has. Raises L{CameraError} if it lacks the pixel format."""
        set_ = self._capture.set
        # Over USB, large pictures are fast as JPEGs only.
        fourcc = mode.format or ("MJPG" if mode.size or mode.as_jpeg else "")
        is_set = bool(fourcc) and set_(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc))
        if mode.size:
            set_(cv2.CAP_PROP_FRAME_WIDTH, mode.size[0])
            set_(cv2.CAP_PROP_FRAME_HEIGHT, mode.size[1])
        if mode.fps:
            set_(cv2.CAP_PROP_FPS, mode.fps)
        is_set = is_set and self._capture.get(cv2.CAP_PROP_FOURCC) == cv2.VideoWriter.fourcc(*fourcc)
        if mode.format and not is_set:
            raise CameraError(self._explain(f"does not give the pixel format {fourcc.rstrip()} in this mode"))
        if is_set and mode.as_jpeg and fourcc in _JPEG_FORMATS:
            self._gives_jpegs = set_(cv2.CAP_PROP_CONVERT_RGB, 0)

    def grab(self) -> float:
        """Take the next picture and return its time of capture: the driver's own if that is plausible."""
        for _ in range(_MAX_BUFFERED):
            asked = self._monotonic()
            taken = self._grab()
            now = self._monotonic()
            # A picture that waited in the driver while we were busy is skipped. One that we
            # had to wait for is as new as this camera's pictures get, whatever its stamp.
            if now - asked > _AT_ONCE_SECONDS or now - taken <= 2 * self._period:
                break
        return taken

    def _grab(self) -> float:
        if not self._capture.grab():
            self._capture.release()  # else the system would only say that it is in use, by us
            raise CameraError(self._explain("gives no picture"))
        return self._time_of_capture(self._monotonic())

    def _time_of_capture(self, now: float) -> float:
        # V4L2 drivers stamp a picture when its first or last line was taken, nearly
        # all by the monotonic clock, and OpenCV passes that on unchanged; its other
        # backends report a position in the stream instead.
        return plausible(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, now) if self._has_clock else now

    def retrieve(self) -> Image | bytes:
        """Return the picture last grabbed, or the device's own JPEG of it. Raises L{BrokenPictureError} if damaged."""
        try:
            done, image = self._capture.retrieve()
        except cv2.error:  # a picture that is smaller than its format says
            done = False
        if not done:
            raise BrokenPictureError(f"{self._label} gave a picture that cannot be read")
        return image.tobytes() if self._gives_jpegs else image  # type: ignore[return-value]

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def open_device(target: str, mode: Mode) -> ICamera:
    """Open the device C{target}, a number or a path, in the mode nearest to C{mode}. Raises L{CameraError}."""
    if sys.platform == "linux":
        return _open_v4l2(devices.path_of(target), mode)
    if mode.controls:
        raise CameraError("a camera's controls can be set on Linux only: leave out --control")
    return _opened(OpenCVCamera(int(target) if target.isdecimal() else target, cv2.CAP_ANY), mode)


def _open_v4l2(path: str, mode: Mode) -> ICamera:
    # OpenCV says neither why it cannot open a device nor which formats and controls there are; the system does.
    with devices.opened(path) as node:
        devices.check_capture(path, node)
        if mode.format:
            mode = replace(mode, format=devices.format_of(path, node, mode.format))
        set_controls(path, node, mode.controls)
    explain = partial(devices.why_no_picture, path)
    return _opened(OpenCVCamera(path, cv2.CAP_V4L2, explain=explain), mode)


def _opened(camera: OpenCVCamera, mode: Mode) -> ICamera:
    try:
        camera.ask_for(mode)
    except BaseException:
        camera.close()
        raise
    return camera
