"""
A time-lapse: one picture every few seconds, as a video of 25 pictures a second.

    python timelapse.py [SERVER [SECONDS [PICTURES [FILE]]]]
    python timelapse.py 127.0.0.1:9999 10 360 hour.mkv
"""

from __future__ import annotations

import sys
import time

import twistedcam
from twistedcam.recording import Recording

FPS = 25


def main() -> None:
    """Take the pictures, over one connection, so that none of them has to wait for the camera to open."""
    server = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9999"
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    pictures = int(sys.argv[3]) if len(sys.argv) > 3 else 360
    path = sys.argv[4] if len(sys.argv) > 4 else "timelapse.mkv"
    shown_at = 0.0
    due = time.monotonic()
    # The video plays the pictures faster than they were taken.
    recording = Recording(path, lambda: shown_at, by_capture=False)
    with twistedcam.Client(server) as client:
        while recording.frames < pictures:
            done, _ = client.read()
            if not done or client.frame is None or time.monotonic() < due:
                continue
            recording.add(client.frame)
            shown_at += 1 / FPS
            due += seconds
    recording.close()
    print(f"{path}: {recording.frames} pictures, {recording.frames / FPS:.1f} s")


if __name__ == "__main__":
    main()
