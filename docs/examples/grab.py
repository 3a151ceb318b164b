"""
One picture of a camera: in a notebook, grab() shows it; on the command line, it is written to a file.

    python grab.py [SERVER [FILE]]
"""

from __future__ import annotations

import sys
from pathlib import Path

import twistedcam
from twistedcam.frame import Frame


class Picture:
    """A frame that notebooks display as a picture."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    def _repr_jpeg_(self) -> bytes:
        return self.frame.payload


def grab(server: str = "127.0.0.1:9999", camera: str = "") -> Picture:
    """The current picture of a camera. Raises L{RuntimeError} if there is none."""
    with twistedcam.Client(server, camera) as client:
        done, _ = client.read()
        if not done or client.frame is None:
            raise RuntimeError(client.problem)
        return Picture(client.frame)


def main() -> None:
    """Write the picture to a file, and print what it is."""
    server = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9999"
    path = Path(sys.argv[2] if len(sys.argv) > 2 else "picture.jpg")
    frame = grab(server).frame
    path.write_bytes(frame.payload)
    print(f"{path}: {frame.camera}, number {frame.sequence}, {frame.width} x {frame.height}")


if __name__ == "__main__":
    main()
