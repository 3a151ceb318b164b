"""A Raspberry Pi's own camera, by picamera2: C{--camera plugin:picamera}."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import implementer

from twistedcam.capture.mode import Mode
from twistedcam.capture.stamps import plausible
from twistedcam.codec import Image
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera

_DEFAULT_SIZE = (1280, 720)


def boot_seconds() -> float:
    """Seconds since the system was started: the clock of libcamera's stamps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@implementer(ICamera)
class PiCamera:
    """
    An open camera of picamera2, C{device}, a C{Picamera2} that was started.

    C{monotonic} and C{boottime} give the time by the clocks of L{ICamera.grab} and of the stamps.
    """

    interval = 0.0

    def __init__(
        self,
        device: Any,
        monotonic: Callable[[], float] = time.monotonic,
        boottime: Callable[[], float] = boot_seconds,
    ) -> None:
        self._device = device
        self._monotonic = monotonic
        self._boottime = boottime
        self._image: Any = None

    def grab(self) -> float:
        """Take the next picture and return when its first line was read, by the driver."""
        request = self._device.capture_request()
        try:
            self._image = request.make_array("main")  # a copy
            stamp = request.get_metadata().get("SensorTimestamp")
        finally:
            request.release()  # the camera has only a few
        age = 0.0 if stamp is None else self._boottime() - stamp / 1e9
        now = self._monotonic()
        return plausible(now - age, now)

    def retrieve(self) -> Image:
        """Return the picture last grabbed."""
        return self._image  # type: ignore[no-any-return]

    def close(self) -> None:
        """Release the camera."""
        self._image = None
        self._device.close()  # which stops it


def pi_cameras() -> list[str]:
    """The models of the Pi's own cameras. Raises L{CameraError} if picamera2 is missing."""
    return [str(about.get("Model", "camera")) for about in _import_picamera2().global_camera_info()]


def open_picamera(mode: Mode = Mode()) -> ICamera:
    """Open the Pi's first camera in the mode nearest to C{mode}. Raises L{CameraError}."""
    make_device = _import_picamera2()
    if not make_device.global_camera_info():
        raise CameraError("no Pi camera was found; check its cable, and whether rpicam-hello --list-cameras has it")
    try:
        device = make_device()
    except (RuntimeError, IndexError) as error:
        raise CameraError(f"the Pi's camera is in use by another program, or does not answer ({error})") from None
    try:
        _start(device, mode)
    except BaseException:
        device.close()
        raise
    return PiCamera(device)


def _import_picamera2() -> Any:
    try:
        from picamera2 import Picamera2  # Debian's package, for the Pi only
    except ImportError as error:
        raise CameraError(
            "plugin:picamera needs picamera2: sudo apt install python3-picamera2, and in a virtual environment make"
            f" that with python3 -m venv --system-site-packages ({error})"
        ) from None
    return Picamera2


def _start(device: Any, mode: Mode) -> None:
    if mode.format:
        raise CameraError("a Pi camera's pixel format cannot be chosen: leave out format")
    controls = _controls(device.camera_controls, mode.controls)
    if mode.fps:
        microseconds = round(1e6 / mode.fps)
        controls["FrameDurationLimits"] = (microseconds, microseconds)
    # In picamera2's "RGB888" the bytes of a pixel are blue, green, red. Without a queue
    # a picture is never older than the request for it.
    main = {"size": mode.size or _DEFAULT_SIZE, "format": "RGB888"}
    device.configure(device.create_video_configuration(main=main, controls=controls, queue=False))
    device.start()


def _controls(known: Any, wanted: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """The controls C{wanted} as libcamera takes them; C{known} has the least and the largest value of each."""
    controls = {}
    for name, value in wanted:
        if name not in known:
            raise CameraError(f"the Pi's camera has no control {name!r}; it has {', '.join(sorted(known))}")
        least, most = known[name][:2]
        if not isinstance(least, int | float) or not isinstance(most, int | float):
            raise CameraError(f"the control {name} of the Pi's camera is not a number, and cannot be set here")
        if not least <= value <= most:
            raise CameraError(f"the control {name} of the Pi's camera cannot be {value}, it is {least} to {most}")
        controls[name] = type(least)(value)
    return controls
