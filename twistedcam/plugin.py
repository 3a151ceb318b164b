"""Cameras from other packages: images that are yielded or read, and plugins found by name."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedAny
from zope.interface import implementer

from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera, ICameraPlugin, IModeCameraPlugin

_SAME_IMAGE_SECONDS = 2.0
_POLL_SECONDS = 0.005

if TYPE_CHECKING:  # Twisted imports this module whenever it lists its commands, which need no OpenCV
    from twistedcam.codec import Image


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
    A camera of an object that is read as cv2.VideoCapture is, or as imutils' VideoStream: C{read} returns True and the
    image, or the newest image alone.

    It is read C{fps} times a second, or, if that is 0, as fast as it gives new images. It stays open: it belongs to the
    script.
    """

    def __init__(
        self,
        capture: Any,
        fps: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.interval = 1 / fps if fps else 0.0
        self._capture = capture
        self._monotonic = monotonic
        self._sleep = sleep
        self._image: Any = None

    def grab(self) -> float:
        """Take the next image. Raises L{CameraError} if there is none."""
        until = self._monotonic() + _SAME_IMAGE_SECONDS
        before, self._image = self._image, self._read()
        while self._image is before:  # imutils does not wait for the next one
            if self._monotonic() > until:
                raise CameraError("it gives the same picture again and again")
            self._sleep(_POLL_SECONDS)
            self._image = self._read()
        return self._monotonic()

    def retrieve(self) -> Image:
        """Return the image last taken."""
        return self._image  # type: ignore[no-any-return]

    def close(self) -> None:
        """Release the last image."""
        self._image = None

    def _read(self) -> Any:
        found = self._capture.read()
        is_there, image = found if isinstance(found, tuple) and len(found) == 2 else (found is not None, found)
        if not is_there:
            raise CameraError(getattr(self._capture, "problem", "") or "it gave no picture")
        return image


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


def as_camera(made: Any, fps: float = 0.0) -> ICamera:
    """
    Return C{made} if it is an L{ICamera}, otherwise a camera of the images that it reads or yields, or a call of it.

    Raises TypeError if it is nothing of this kind.
    """
    if ICamera.providedBy(made):
        return made
    check_images(made)
    if _is_capture(made):
        return CaptureCamera(made, fps)
    return as_camera(made(), fps) if callable(made) else ImageCamera(made, fps)


def check_images(made: Any) -> None:
    """Raise TypeError if L{as_camera} cannot make a camera of C{made}."""
    is_something_else = isinstance(made, str | bytes | bytearray | os.PathLike | io.IOBase | Mapping | Set)
    is_array = hasattr(made, "shape")
    gives_images = ICamera.providedBy(made) or _is_capture(made) or callable(made) or isinstance(made, Iterable)
    if is_something_else or is_array or not gives_images:
        what = "a single array" if is_array else f"a {type(made).__name__}"
        wanted = "an iterable of arrays, a callable that returns one, or an object like cv2.VideoCapture"
        raise TypeError(f"{what} gives no pictures: pass {wanted}")


def _is_capture(made: Any) -> bool:
    return callable(getattr(made, "read", None)) and not isinstance(made, type)


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
