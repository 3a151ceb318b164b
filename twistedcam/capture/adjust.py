"""Turn pictures, and write the time and the camera's name into them."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable
from typing import Protocol

import cv2
import numpy as np

from twistedcam.codec import Image

_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_FLIPS = {"h": 1, "v": 0}
_WHITE = (255, 255, 255)
_LEAST_HEIGHT, _SHARE_OF_HEIGHT = 14, 1 / 24  # of a line, in pixels and of the picture


def turn(image: Image, rotate: int, flip: str) -> Image:
    """C{image} rotated by 0, 90, 180 or 270 degrees clockwise, then flipped (C{"h"}, C{"v"} or empty)."""
    if rotate:
        image = cv2.rotate(image, _ROTATIONS[rotate])  # type: ignore[assignment]
    if flip:
        image = cv2.flip(image, _FLIPS[flip])  # type: ignore[assignment]
    return image


def overlay_lines(parts: Iterable[str], name: str, captured: float) -> list[str]:
    """The lines of an overlay: C{"time"} is the local time at C{captured}, in seconds since the epoch."""
    texts = {"time": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(captured)), "name": name}
    return [texts[part] for part in dict.fromkeys(parts)]


class Font(Protocol):
    """A font of OpenCV's; heights of lines and widths are in pixels."""

    def width(self, text: str, height: int) -> int:
        """The width of C{text} in a line of C{height}."""

    def put(self, image: Image, text: str, height: int) -> None:
        """Write C{text} in a line of C{height} at the top of C{image}."""


class ScalableFont:
    """The font of OpenCV 5, which has Latin, Greek, Cyrillic, Hebrew and Chinese characters, among others."""

    # A cv2.FontFace is made for each call, in less than a microsecond: it keeps state, and the threads of all cameras
    # write.
    def width(self, text: str, height: int) -> int:
        """The width of C{text} in a line of C{height}."""
        return int(cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("uni"), max(1, height * 4 // 5))[2])

    def put(self, image: Image, text: str, height: int) -> None:
        """Write C{text} in a line of C{height} at the top of C{image}."""
        at = (height // 4, height * 3 // 4)
        cv2.putText(image, text, at, _WHITE, cv2.FontFace("uni"), max(1, height * 4 // 5))


class AsciiFont:
    """The font of OpenCV 4: accents are left out, and a question mark stands for each character that it lacks."""

    def width(self, text: str, height: int) -> int:
        """The width of C{text} in a line of C{height}."""
        return int(cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, height / 36, 1)[0][0])

    def put(self, image: Image, text: str, height: int) -> None:
        """Write C{text} in a line of C{height} at the top of C{image}."""
        at, weight = (height // 4, height * 3 // 4), 1 + height // 30
        cv2.putText(image, _ascii(text), at, cv2.FONT_HERSHEY_SIMPLEX, height / 36, _WHITE, weight, cv2.LINE_AA)


def _ascii(text: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return plain.encode("ascii", "replace").decode()


_FONT: Font = ScalableFont() if hasattr(cv2, "FontFace") else AsciiFont()


def write_lines(image: Image, lines: Iterable[str], font: Font = _FONT) -> Image:
    """
    A copy of C{image} with C{lines} at the top left, white on a darkened strip.

    A line is 1/24 of the height of the picture and at least 14 pixels high, and smaller if it would not fit the width.
    """
    image = np.array(image, order="C")
    height = max(_LEAST_HEIGHT, round(image.shape[0] * _SHARE_OF_HEIGHT))
    top = 0
    for line in lines:
        top += _write_line(image[top:], line, height, font)
    return image


def _write_line(image: Image, text: str, height: int, font: Font) -> int:
    """Write C{text} at the top of C{image}, and return how many pixels high it became."""
    margins, width = height // 2, font.width(text, height)
    if width + margins > image.shape[1]:
        height = max(1, height * image.shape[1] // (width + margins))
        margins, width = height // 2, font.width(text, height)
    strip = image[:height, : width + margins]
    if strip.size:
        strip //= 4
        font.put(image, text, height)
    return height
