"""Drawn pictures: the test card and the NO SIGNAL card."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
from zope.interface import implementer

from twistedcam.codec import Image
from twistedcam.interfaces import ICamera

_TEST_CARD_FPS = 30


@implementer(ICamera)
class TestCard:
    """Colour bars with a moving mark and a running clock, 640 x 480 pixels at 30 fps."""

    interval = 1 / _TEST_CARD_FPS

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._background = _colour_bars(640, 480)
        self._count = 0

    def grab(self) -> float:
        """Advance by one picture."""
        self._count += 1
        return self._monotonic()

    def retrieve(self) -> Image:
        """Draw the present time and the mark in its place."""
        image = self._background.copy()
        x = self._count * 8 % image.shape[1]
        cv2.rectangle(image, (x, 330), (x + 24, 354), (255, 255, 255), -1)
        now = self._wall()
        clock = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
        cv2.putText(image, clock, (110, 430), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 3, cv2.LINE_AA)
        return image

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _colour_bars(width: int, height: int) -> Image:
    colours = [(191, 191, 191), (0, 191, 191), (191, 191, 0), (0, 191, 0), (191, 0, 191), (0, 0, 191), (191, 0, 0)]
    image = np.full((height, width, 3), 16, np.uint8)
    edges = np.linspace(0, width, len(colours) + 1).astype(int)
    for colour, left, right in zip(colours, edges, edges[1:], strict=False):
        image[: height * 2 // 3, left:right] = colour
    return image


def no_signal_card(width: int, height: int, camera: str, reason: str, since: float) -> Image:
    """The picture shown while C{camera} is lost, with the reason and the time of the loss (seconds since the epoch)."""
    image = np.full((height, width, 3), 32, np.uint8)
    image[:: max(2, height // 60)] = 40
    clock = time.strftime("since %H:%M:%S on %d %B %Y", time.localtime(since))
    for text, at, share in (("NO SIGNAL", 0.4, 0.6), (camera, 0.55, 0.5), (reason, 0.7, 0.9), (clock, 0.82, 0.6)):
        _centre(image, text, at, share)
    return image


def _centre(image: Image, text: str, at: float, share: float) -> None:
    """Write one centred line at the fraction C{at} of the height, at most C{share} of the width and a tenth high."""
    height, width = image.shape[:2]
    text = text.encode("ascii", "replace").decode()  # OpenCV's fonts have no more than ASCII
    weight = 2 if height >= 360 else 1
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1, weight)
    scale = min(share * width / max(1, text_width), 0.1 * height / max(1, text_height))
    origin = (int((width - text_width * scale) / 2), int(height * at))
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (230, 230, 230), weight, cv2.LINE_AA)
