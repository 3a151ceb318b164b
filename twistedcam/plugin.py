"""Cameras of other people's making: whatever yields images, and plugins found by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from twistedcam.codec import Image
from twistedcam.interfaces import CameraError, ICamera, ICameraPlugin


@implementer(ICamera)
class ImageCamera:
    """A camera whose pictures are what C{images} yields: (H, W, 3) uint8 BGR arrays, C{fps} a second or at its pace."""

    def __init__(self, images: Iterable[Any], fps: float = 0.0) -> None:
        self.interval = 1 / fps if fps else 0.0
        self._images = iter(images)
        self._image: Any = None

    def grab(self) -> float:
        """Take the next image."""
        try:
            self._image = next(self._images)
        except StopIteration:
            raise CameraError("it has no more pictures") from None
        return time.monotonic()

    def retrieve(self) -> Image:
        """The image last taken."""
        return self._image  # type: ignore[no-any-return]

    def close(self) -> None:
        """Nothing is held: the images go on where they were when they are wanted again."""
        self._image = None


@implementer(IPlugin, ICameraPlugin)
@dataclass(frozen=True)
class CameraPlugin:
    """What a module in C{twisted/plugins} holds to be found as C{--camera plugin:NAME}; see L{ICameraPlugin}."""

    name: str
    make: Callable[[], Any]

    def open(self) -> Any:
        """An ICamera, or images."""
        return self.make()


def as_camera(made: Any, fps: float = 0.0) -> ICamera:
    """C{made} if it is an L{ICamera}, otherwise a camera of the images that it, or a call of it, yields."""
    if ICamera.providedBy(made):
        return made  # type: ignore[no-any-return]
    return ImageCamera(made() if callable(made) else made, fps)


def find_plugin(name: str) -> ICameraPlugin:
    """The camera plugin called C{name}. Raises L{CameraError}."""
    plugins = {plugin.name: plugin for plugin in getPlugins(ICameraPlugin)}
    if name not in plugins:
        known = f"there is: {', '.join(sorted(plugins))}" if plugins else "there is none at all"
        raise CameraError(f"there is no camera plugin {name!r:.60}; {known}")
    return plugins[name]


def open_plugin(name: str) -> ICamera:
    """The camera of the plugin called C{name}. Raises L{CameraError}."""
    return as_camera(find_plugin(name).open())
