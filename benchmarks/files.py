"""
Whether the rate of a file is kept, and what a file costs: python -m benchmarks.files [--seconds 10]

A clip at 640 x 480 and 60 a second, and one at 1080p and 30 a second, both H.264, served to one headless viewer. CPU
time is that of the server, as a share of one core; for the second clip also the shares of decoding, resizing and
encoding. Needs ffmpeg.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import imutils

from benchmarks.frames import clip
from benchmarks.processes import cpu_share, milliseconds, server, watch
from twistedcam.codec import encode_jpeg


def make(path: Path, size: str, fps: int, seconds: float) -> None:
    """The clip in a loop, at another size and rate."""
    words = [
        "-vf",
        f"scale={size.replace('x', ':')}",
        "-r",
        str(fps),
        "-t",
        str(seconds),
        "-pix_fmt",
        "yuv420p",
        str(path),
    ]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", clip(), *words], check=True)


def serve(path: Path, width: int, fps: int, seconds: float) -> tuple[float, float, float]:
    """Frames a second at the viewer, frames missed, and the server's share of a core."""
    with server("--camera", str(path), "--width", str(width)) as serving, ThreadPoolExecutor() as pool:
        watch(serving.words, 10)
        seeing = pool.submit(watch, serving.words, int(fps * seconds))
        time.sleep(1.5)
        share = cpu_share(serving.process, seconds - 2.5)
        seen = seeing.result()
    return seen["fps"], seen["dropped"], share


def main() -> None:
    """Make the files, serve them and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        for size, fps, width in (("640x480", 60, 0), ("1920x1080", 30, 640), ("1920x1080", 30, 0)):
            path = Path(folder, f"{size}-{fps}.mp4")
            if not path.exists():
                make(path, size, fps, seconds + 5)
            seen, dropped, share = serve(path, width, fps, seconds)
            sent = f"sent {width} wide" if width else "sent as it is"
            print(
                f"{size} of {fps} fps, {sent}: {seen:.2f} fps, {dropped:.0f} dropped, {share:.1%} of a core", flush=True
            )
        capture = cv2.VideoCapture(str(path))
        image: Any = capture.read()[1]
        small: Any = imutils.resize(image, width=640)
        decoding = milliseconds(capture.read, time.process_time)
        parts = {
            "decoding": decoding,
            "resizing to 640": milliseconds(lambda: imutils.resize(image, width=640), time.process_time),
            "encoding that": milliseconds(lambda: encode_jpeg(small), time.process_time),
            "encoding 1080p": milliseconds(lambda: encode_jpeg(image), time.process_time),
        }
        print(", ".join(f"{what} {ms:.2f} ms of CPU" for what, ms in parts.items()))


if __name__ == "__main__":
    main()
