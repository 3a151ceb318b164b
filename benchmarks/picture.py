"""
What a 1080p picture costs on its way to a frame: python -m benchmarks.picture [--clip FILE]

A camera's own JPEG sent as it is, beside decoding and encoding it again; and for a picture that comes as an array, the
shares of resizing and encoding. CPU time of one core, medians.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import cv2

from benchmarks.processes import milliseconds
from twistedcam.capture.cards import TestCard
from twistedcam.capture.encoder import ENCODING_JPEG, Encoder, Settings
from twistedcam.codec import complete, decode, encode_jpeg
from twistedcam.frame import Frame

_SIZE = (1920, 1080)


cpu_milliseconds = partial(milliseconds, clock=time.process_time)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", help="a video file whose first picture is taken, in place of the test card")
    options = parser.parse_args()
    picture = cv2.VideoCapture(options.clip).read()[1] if options.clip else TestCard().retrieve()
    image: Any = cv2.resize(picture, _SIZE)
    jpeg = encode_jpeg(image)
    own, full, small = (Encoder("", Settings(width)) for width in (0, 0, 640))
    untouched = cpu_milliseconds(lambda: own.encode([ENCODING_JPEG], complete(jpeg), 0.0))
    again = cpu_milliseconds(lambda: full.encode([ENCODING_JPEG], decode(Frame.from_jpeg(jpeg)), 0.0))
    whole = cpu_milliseconds(lambda: full.encode([ENCODING_JPEG], image, 0.0))
    resized = cpu_milliseconds(lambda: small.encode([ENCODING_JPEG], image, 0.0))
    size = f"{len(jpeg) / 1000:.0f} kB"
    print(f"its own JPEG of {size}, untouched: {untouched:.3f} ms; decoded and encoded: {again:.2f} ms")
    print(f"an array: encoded at full size {whole:.2f} ms, at 640 {resized:.2f} ms")
    print(f"untouched is {untouched / again:.3f} x decoding and encoding")


if __name__ == "__main__":
    main()
