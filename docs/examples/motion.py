"""
Marks what moves in a camera's pictures, and serves the marked pictures as a camera of its own.

    python motion.py [SERVER [LISTEN]]
    python motion.py 127.0.0.1:9999 tcp:9998:interface=127.0.0.1

To watch it: twistd -n camstream-client --port 9998
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import cv2
import numpy as np

import twistedcam
from twistedcam.codec import Image


def marked(server: str) -> Iterator[Image]:
    """The server's pictures, with a rectangle around everything that moves."""
    background = cv2.createBackgroundSubtractorMOG2(history=200, detectShadows=False)
    with twistedcam.Client(server) as client:
        for image in client:
            moving = cv2.dilate(background.apply(image), np.ones((3, 3), np.uint8), iterations=3)
            outlines, _ = cv2.findContours(moving, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            for outline in outlines:
                x, y, width, height = cv2.boundingRect(outline)
                if width * height > image.shape[0] * image.shape[1] / 500:
                    cv2.rectangle(image, (x, y), (x + width, y + height), (0, 0, 255), 2)
            yield image


def main() -> None:
    """Serve until interrupted. The server's camera is on only while this one is watched."""
    server = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9999"
    listen = sys.argv[2] if len(sys.argv) > 2 else "tcp:9998:interface=127.0.0.1"
    twistedcam.serve(lambda: marked(server), "motion", listen=listen, http="off")


if __name__ == "__main__":
    main()
