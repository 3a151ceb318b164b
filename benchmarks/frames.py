"""Frames of a given size, for measurements that need no camera."""

from __future__ import annotations

import functools
import time

from twistedcam.camera import TestCard
from twistedcam.codec import encode_jpeg
from twistedcam.frame import Frame, stamp


@functools.cache
def _jpeg(size: int) -> bytes:
    card = TestCard()
    jpeg = encode_jpeg(card.retrieve(), 50)
    missing = size - len(jpeg) - 4
    if missing < 0:
        raise ValueError(f"the picture alone is {len(jpeg)} bytes")
    return jpeg[:20] + b"\xff\xfe" + (missing + 2).to_bytes(2, "big") + bytes(missing) + jpeg[20:]


def make_frame(sequence: int, size: int) -> Frame:
    """A 640 x 480 frame of now, some 75 bytes larger than C{size} for its metadata."""
    return stamp(_jpeg(size), "benchmark", sequence, time.time())
