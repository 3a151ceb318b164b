"""Cameras with faults, for tests: found by --camera plugin:NAME where this folder's parent is on the path."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from twistedcam.errors import BrokenPictureError
from twistedcam.plugin import CameraPlugin, ImageCamera

IMAGE = np.zeros((48, 64, 3), np.uint8)


def paced(images: Iterator[Any]) -> ImageCamera:
    """A camera of C{images}, 50 a second."""
    return ImageCamera(images, 50)


class Hanging(ImageCamera):
    """Gives ten pictures, and then does not return."""

    def __init__(self) -> None:
        super().__init__(itertools.repeat(IMAGE, 10), 50)

    def grab(self) -> float:
        try:
            self._image = next(self._images)
        except StopIteration:
            threading.Event().wait()
        return time.monotonic()


class Breaking(ImageCamera):
    """Every second picture is broken, each time in another way."""

    def __init__(self) -> None:
        broken = (None, np.zeros((4, 4)), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 7), np.uint8), "half a JPEG")
        super().__init__(itertools.chain.from_iterable((IMAGE, bad) for bad in itertools.cycle(broken)), 50)

    def retrieve(self) -> Any:
        image = super().retrieve()
        if isinstance(image, str):
            raise BrokenPictureError(image)
        return image


def resizing() -> ImageCamera:
    """Ten pictures of each size, over and over."""
    sizes = itertools.cycle(((48, 64), (120, 40), (1, 1), (480, 640)))
    return paced(np.zeros((*size, 3), np.uint8) for size in sizes for _ in range(10))


def failing() -> ImageCamera:
    """Ten pictures, and then an unexpected exception."""

    def images() -> Iterator[Any]:
        yield from itertools.repeat(IMAGE, 10)
        raise ZeroDivisionError("the camera's own mistake")

    return paced(images())


def ending() -> ImageCamera:
    """Ten pictures, and then no more."""
    return paced(itertools.repeat(IMAGE, 10))


hanging = CameraPlugin("hanging", Hanging)
breaking = CameraPlugin("breaking", Breaking)
changing = CameraPlugin("resizing", resizing)
unforeseen = CameraPlugin("failing", failing)
lost = CameraPlugin("ending", ending)
