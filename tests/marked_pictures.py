"""
Pictures that can be told from each other and from broken ones: each holds its number, twice, above two colours.

As a script, it serves ten of them a second over HTTP, at a port of the system's choice on this machine, and for pages
of the origins in its arguments.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 320, 240
LEFT, RIGHT = (200, 80, 40), (40, 80, 200)  # the colours, BGR
COLOUR_TOLERANCE = 40  # of JPEG, and of what programs do to colours

_BITS, _BLOCK = 16, 20  # of a number; the size of the square for a bit in pixels


def picture(number: int) -> Any:
    """The picture with C{number}: its bits in the first row of blocks, and their complement in the second."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:, : WIDTH // 2], image[:, WIDTH // 2 :] = LEFT, RIGHT
    bits = np.array([number >> bit & 1 for bit in range(_BITS)], np.uint8)
    rows = np.kron(np.array([bits, 1 - bits], np.uint8) * 255, np.ones((_BLOCK, _BLOCK), np.uint8))
    image[: 2 * _BLOCK] = rows[:, :, np.newaxis]
    return image


def read(image: Any) -> int | None:
    """The number in C{image}, which may be scaled; None if any of it is not as it has to be."""
    seen = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(int)
    middles = slice(_BLOCK // 2, None, _BLOCK)
    rows = seen[middles, middles].mean(axis=2)
    bits, complement = rows[0] > 127, rows[1] > 127
    if (bits == complement).any():
        return None
    for x, colour in ((WIDTH // 4, LEFT), (3 * WIDTH // 4, RIGHT)):
        for y in (3 * _BLOCK, HEIGHT // 2, HEIGHT - _BLOCK):
            if not is_colour(seen[y, x], colour):
                return None
    return int(sum(1 << bit for bit in range(_BITS) if bits[bit]))


def is_colour(pixels: Any, colour: tuple[int, int, int]) -> Any:
    """Whether each of C{pixels}, of shape (..., 3), is nearly C{colour}."""
    return (abs(pixels.astype(int) - colour) < COLOUR_TOLERANCE).all(axis=-1)


def pictures() -> Iterator[Any]:
    """Ten pictures a second, numbered from 1."""
    for number in range(1, 1 << _BITS):
        time.sleep(0.1)
        yield picture(number)


if __name__ == "__main__":
    import twistedcam

    http = "tcp:0:interface=127.0.0.1"
    twistedcam.serve(pictures(), width=0, listen="unix:camera", http=http, allow_origin=sys.argv[1:])
