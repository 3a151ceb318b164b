"""Video files to read in tests."""

from __future__ import annotations

import cv2
import numpy as np


def write_video(path: str, count: int = 10, fps: float = 20.0) -> None:
    """A real video file, each of whose pictures is lighter than the one before."""
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for n in range(count):
        writer.write(np.full((48, 64, 3), n * 20, np.uint8))
    writer.release()
