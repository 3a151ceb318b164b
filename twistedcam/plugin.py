"""Cameras from other packages: iterables of images, and plugins found by name."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import IOBase
from itertools import repeat
from typing import TYPE_CHECKING, Any

from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedAny
from zope.interface import implementer

from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera, ICameraPlugin, IModeCameraPlugin
from twistedcam.rates import MAX_FPS

if TYPE_CHECKING:  # Twisted imports this module whenever it lists its commands, which need no OpenCV
    from twistedcam.codec import Image


_ACCEPTED = (
    "an iterable of images, a function that returns one, an image as an array, a capture such as cv2.VideoCapture, "
    "or an ICamera"
)
_UNPACED_FPS = 30.0
_CAP_PROP_FPS, _CAP_PROP_FRAME_COUNT = 5, 7  # of cv2, which is not imported here
_BUFFERS = 8  # of a driver; most have 4
_PAUSE_SECONDS = 1.0  # without a read
_WAITED_SECONDS = 0.004  # a picture that took longer to read was not in a buffer


@implementer(ICamera)
class ImageCamera:
    """
    A camera whose pictures are what C{images} yields, (H, W, 3) uint8 BGR arrays.

    It is read C{fps} times a second, or, if that is 0, as fast as it yields.
    """

    def __init__(
        self, images: Iterable[Any], fps: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.interval = 1 / fps if fps else 0.0
        self._images = iter(images)
        self._monotonic = monotonic
        self._image: Any = None

    def grab(self) -> float:
        """Take the next image. Raises L{CameraError} if there is none."""
        try:
            self._image = next(self._images)
        except StopIteration:
            raise CameraError("it has no more pictures") from None
        return self._monotonic()

    def retrieve(self) -> Image:
        """Return the image last taken."""
        return self._image  # type: ignore[no-any-return]

    def close(self) -> None:
        """Release the last image; when the camera is opened again, the images continue where they were."""
        self._image = None


@implementer(ICamera)
class CaptureCamera:
    """
    A camera read from C{capture}, such as a cv2.VideoCapture, by its C{read}: that returns C{(ok, image)}, or an image.

    It is never released here. One thread reads it at a time. An object with C{isOpened} waits for each picture, except
    one that plays a file, which is read at the file's rate; others, such as imutils' VideoStream, return the last one
    at once, and are read 30 times a second.
    """

    def __init__(self, capture: Any, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.interval = _interval(capture)
        self._capture = capture
        self._monotonic = monotonic
        self._lock = threading.Lock()  # a read that hangs is given up, and a later attempt may begin meanwhile
        self._image: Any = None
        self._read_at = -math.inf

    def grab(self) -> float:
        """Read the next picture, and not one that has waited in a buffer. Raises L{CameraError} if there is none."""
        if not self._lock.acquire(blocking=False):
            raise CameraError("an earlier read has not ended")
        try:
            self._image = self._read_new()
        finally:
            self._lock.release()
        return self._monotonic()

    def _read_new(self) -> Any:
        """The next picture; after a pause, drivers return up to L{_BUFFERS} old ones at once."""
        to_drop = _BUFFERS if not self.interval and self._monotonic() - self._read_at > _PAUSE_SECONDS else 0
        while True:
            began = self._monotonic()
            image = self._read()
            self._read_at = self._monotonic()
            to_drop -= 1
            if to_drop < 0 or self._read_at - began > _WAITED_SECONDS:
                return image

    def _read(self) -> Any:
        found = self._capture.read()
        done, image = found if isinstance(found, tuple) and len(found) == 2 else (found is not None, found)
        if not done:
            raise CameraError(getattr(self._capture, "problem", "") or "it gives no more pictures")
        return image

    def retrieve(self) -> Image:
        """Return the picture last read."""
        return self._image  # type: ignore[no-any-return]

    def close(self) -> None:
        """Release the last picture."""
        self._image = None


@implementer(IPlugin, ICameraPlugin)
@dataclass(frozen=True)
class CameraPlugin:
    """
    Makes a camera available as C{--camera plugin:NAME}, from a module in C{twisted/plugins}.

    C{make} returns an L{ICamera} or an iterable of images, as L{ICameraPlugin.open} does.
    """

    name: str
    make: Callable[[], Any]

    def open(self) -> Any:
        """Call C{make}."""
        return self.make()


@implementer(IPlugin, IModeCameraPlugin)
@dataclass(frozen=True)
class ModeCameraPlugin:
    """
    A L{CameraPlugin} whose mode can be chosen: C{make} is called with a L{twistedcam.capture.mode.Mode}, or without.

    C{make} is the full name of a function, such as C{"package.module.open_camera"}, which is imported when it is used.
    """

    name: str
    make: str

    def open(self) -> Any:
        """Call C{make} for the default mode."""
        return namedAny(self.make)()

    def open_in_mode(self, mode: Any) -> Any:
        """Call C{make} with C{mode}."""
        return namedAny(self.make)(mode)


def _interval(capture: Any) -> float:
    """The seconds between reads of C{capture}; 0.0 if it waits for its pictures."""
    is_stream = not hasattr(capture, "isOpened")
    get = getattr(capture, "get", lambda prop: 0.0)
    if is_stream or not get(_CAP_PROP_FRAME_COUNT) > 0:
        return 1 / _UNPACED_FPS if is_stream else 0.0
    fps = get(_CAP_PROP_FPS)
    return 1 / fps if 0 < fps <= MAX_FPS else 1 / _UNPACED_FPS


def as_camera(made: Any, fps: float = 0.0) -> ICamera:
    """
    Return C{made} if it is an L{ICamera}, otherwise a camera that reads it, or what a call of it returns.

    That is an iterable of images, a capture such as cv2.VideoCapture, or one image as an array, which is shown once a
    second, or C{fps} times. Raises L{CameraError} for anything else.
    """
    if ICamera.providedBy(made):
        return made
    check_images(made)
    if is_capture(made):
        return CaptureCamera(made)
    if callable(made):
        return _as_camera_of(made(), fps)
    if hasattr(made, "ndim") and made.ndim < 4:
        return ImageCamera(repeat(made), fps or 1.0)
    return ImageCamera(made, fps)


def _as_camera_of(made: Any, fps: float) -> ICamera:
    if callable(made) and not is_capture(made):
        raise CameraError(_unusable(made))
    return as_camera(made, fps)


def check_images(images: Any) -> None:
    """Raise L{CameraError} unless L{as_camera} accepts C{images}; nothing is called or read."""
    if ICamera.providedBy(images) or is_capture(images):
        return
    if isinstance(images, (type, str, bytes, bytearray, memoryview, Mapping, IOBase)):
        raise CameraError(_unusable(images))
    is_no_picture = hasattr(images, "ndim") and images.ndim < 2
    if is_no_picture or not (callable(images) or hasattr(images, "__iter__")):
        raise CameraError(_unusable(images))


def is_capture(made: Any) -> bool:
    """Whether L{CaptureCamera} can read C{made}."""
    return callable(getattr(made, "read", None)) and not isinstance(made, (type, IOBase))


def _unusable(made: Any) -> str:
    kind = f"the class {made.__name__}" if isinstance(made, type) else f"of type {type(made).__name__}"
    return f"it is {kind}: write {_ACCEPTED}"


def find_plugin(name: str) -> ICameraPlugin:
    """Return the camera plugin called C{name}. Raises L{CameraError} if there is none."""
    plugins = {plugin.name: plugin for plugin in getPlugins(ICameraPlugin)}
    if name not in plugins:
        known = f"installed: {', '.join(sorted(plugins))}" if plugins else "none is installed"
        raise CameraError(f"there is no camera plugin {name!r:.60}; {known}")
    return plugins[name]


def open_plugin(name: str, mode: Any = None) -> ICamera:
    """Open the camera of the plugin called C{name}, in C{mode} if it has modes. Raises L{CameraError}."""
    plugin = find_plugin(name)
    if mode is not None and IModeCameraPlugin.providedBy(plugin):
        return as_camera(plugin.open_in_mode(mode))
    return as_camera(plugin.open())
