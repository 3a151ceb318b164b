"""A camera whose errors do not quote what is secret in its target, whatever it raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from zope.interface import implementer

from twistedcam.capture.reasons import as_camera_error
from twistedcam.capture.target import Target
from twistedcam.codec import Image
from twistedcam.interfaces import ICamera


@implementer(ICamera)
class ConfidentialCamera:
    """
    The camera that C{open_camera} returns for C{target}, with the target's secrets removed from all its errors.

    What a library raises may quote a URL or a part of it. Raises L{CameraError}.
    """

    def __init__(self, open_camera: Callable[[], ICamera], target: Target) -> None:
        self._target = target
        with self._hiding():
            self._camera = open_camera()
            self.interval: float = self._camera.interval

    def __getattr__(self, name: str) -> Any:
        """Attributes that only some cameras have."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._camera, name)

    def grab(self) -> float:
        """Take the next picture."""
        with self._hiding():
            return self._camera.grab()

    def retrieve(self) -> Image | bytes:
        """Return the picture last grabbed."""
        with self._hiding():
            return self._camera.retrieve()

    def close(self) -> None:
        """Close the camera."""
        with self._hiding():
            self._camera.close()

    @contextmanager
    def _hiding(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            raise as_camera_error(error, self._target.hide) from None
