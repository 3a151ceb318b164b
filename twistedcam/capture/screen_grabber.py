"""
The program that captures a screen, in a process of its own: L{twistedcam.capture.screen} starts it.

The wheels of PyAV and of OpenCV both contain libraries of X, of different versions but with the same names: a process
that has loaded OpenCV's crashes as soon as PyAV opens a screen. So this module is run as a file that imports neither
OpenCV nor the rest of this package, and PyAV only when it runs.

Each byte on the standard input asks for one picture. Each answer begins with L{HEADER}: its kind, the time of capture
by C{time.monotonic}, which all processes share, and two numbers.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

HEADER = struct.Struct("<cdII")
OPENED = b"O"
PICTURE = b"P"  # the numbers are its width and height; its pixels follow, (H, W, 3) uint8 BGR
ENDED = b"E"

_MAX_AGE_SECONDS = 5.0


def main(arguments: list[str]) -> None:
    """Open the input device C{arguments[0]} of ffmpeg, under the name and with the options that follow."""
    import av
    import numpy as np  # noqa: F401 - to_ndarray would import it while the first picture waits

    kind, name, *options = arguments
    try:
        container = av.open(name, format=kind, options=dict(text.split("=", 1) for text in options))
        _answer(OPENED)
        while sys.stdin.buffer.read(1):
            _send(next(_frames(container)))
    except (av.error.FFmpegError, ValueError, StopIteration):  # whose text says nothing
        _answer(ENDED)


def _frames(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    from av.error import BlockingIOError as NotYetError

    while True:
        try:
            yield from container.decode(video=0)
            return
        except NotYetError:  # on macOS, where it does not wait
            time.sleep(0.005)


def _send(frame: av.VideoFrame) -> None:
    # By the time of day on Linux and Windows; macOS has another clock, and the time of delivery has to do.
    age = time.time() - (frame.time or 0.0)
    taken = time.monotonic() - (age if 0 <= age <= _MAX_AGE_SECONDS else 0.0)
    _answer(PICTURE, taken, frame.width, frame.height, frame.to_ndarray(format="bgr24").tobytes())


def _answer(kind: bytes, taken: float = 0.0, width: int = 0, height: int = 0, pixels: bytes = b"") -> None:
    sys.stdout.buffer.write(HEADER.pack(kind, taken, width, height))
    sys.stdout.buffer.write(pixels)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
