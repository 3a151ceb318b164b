"""Video files to read in tests."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from twistedcam.codec import Image

_IDENTITY = b"".join(n.to_bytes(4, "big", signed=True) for n in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))


def grey(level: int, width: int = 64, height: int = 48) -> Image:
    """A picture of one colour."""
    return np.full((height, width, 3), level, np.uint8)


def write_video(path: str, count: int = 10, fps: float = 20.0) -> None:
    """A real video file, each of whose pictures is lighter than the one before."""
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for n in range(count):
        writer.write(grey(n * 20))
    writer.release()


def encode_video(path: str, images: Sequence[Image], milliseconds: Sequence[int], codec: str = "libx264") -> None:
    """A video file of C{images}, each at its own time."""
    with av.open(path, "w") as container:
        stream: Any = container.add_stream(codec, rate=1000)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = {"gif": "rgb8", "apng": "rgb24", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        stream.codec_context.time_base = Fraction(1, 1000)
        if codec == "libx264":
            stream.options = {"bf": "0", "crf": "1"}
        for image, at in zip(images, milliseconds, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def turn(path: str, matrix: Sequence[int]) -> None:
    """Give the MP4 file a display matrix: the factors from x to x, x to y, y to x and y to y."""
    a, b, c, d = (n << 16 for n in matrix)
    turned = b"".join(n.to_bytes(4, "big", signed=True) for n in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    content = Path(path).read_bytes()
    at = content.index(_IDENTITY, content.index(b"tkhd"))
    Path(path).write_bytes(content[:at] + turned + content[at + len(turned) :])


def corners(width: int = 64, height: int = 32) -> Image:
    """A picture with white in its top left corner only."""
    image = grey(0, width, height)
    image[: height // 4, : width // 4] = 255
    return image


def bright_corner(image: Image) -> str:
    """Which corner is white."""
    height, width = image.shape[:2]
    ends = {"top": slice(None, height // 4), "bottom": slice(-(height // 4), None)}
    sides = {"left": slice(None, width // 4), "right": slice(-(width // 4), None)}
    means = {f"{end} {side}": image[ends[end], sides[side]].mean() for end in ends for side in sides}
    return max(means, key=lambda corner: means[corner])
