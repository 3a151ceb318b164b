"""
What a 1080p picture costs on its way to a frame: python -m benchmarks.picture [--clip FILE]

Passing on a camera's own JPEG, compared with decoding and encoding it again; and for a picture that comes as an array,
the shares of resizing and encoding. CPU time of one core, medians.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import cv2

from benchmarks.processes import milliseconds
from twistedcam.capture.cards import TestCard
from twistedcam.capture.encoder import Settings, encode
from twistedcam.codec import decode, encode_jpeg
from twistedcam.encodings import ENCODING_JPEG
from twistedcam.frame import Frame

_SIZE = (1920, 1080)


cpu_milliseconds = partial(milliseconds, clock=time.process_time)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", help="a video file whose first picture is taken, in place of the test card")
    options = parser.parse_args()
    picture = cv2.VideoCapture(options.clip).read()[1] if options.clip else TestCard().retrieve()
    image: Any = cv2.resize(picture, _SIZE)
    jpeg = encode_jpeg(image)

    def make(picture: Any, width: int = 0) -> None:
        encode(picture, [ENCODING_JPEG], Settings(width)).frames("", 0, 0.0)

    untouched = cpu_milliseconds(lambda: make(jpeg))
    again = cpu_milliseconds(lambda: make(decode(Frame.from_jpeg(jpeg))))
    whole = cpu_milliseconds(lambda: make(image))
    resized = cpu_milliseconds(lambda: make(image, 640))
    size = f"{len(jpeg) / 1000:.0f} kB"
    print(f"its own JPEG of {size}, untouched: {untouched:.3f} ms; decoded and encoded: {again:.2f} ms")
    print(f"an array: encoded at full size {whole:.2f} ms, at 640 {resized:.2f} ms")
    print(f"untouched is {untouched / again:.3f} x decoding and encoding")


if __name__ == "__main__":
    main()
