"""
Whether every picture of a real camera reaches a viewer: python -m benchmarks.real_camera [--camera 0] [--seconds 20]

Prints the rate at a headless viewer as a share of the rate that the camera reports.
"""

from __future__ import annotations

import argparse

import cv2

from benchmarks.processes import server, watch
from twistedcam.capture.sources import parse_source


def main() -> None:
    """Serve the camera, watch it, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--camera", default="0")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--width", default="320")
    options = parser.parse_args()
    target = parse_source(options.camera).target.reveal()
    capture = cv2.VideoCapture(int(target) if target.isdecimal() else target)
    claimed = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    with server("--camera", options.camera, "--width", options.width) as serving:
        watch(serving.words, 5)  # the camera is open from here on
        seen = watch(serving.words, int(claimed * options.seconds))
    print(
        f"camera {options.camera}: claims {claimed:.1f} fps, the viewer saw {seen['fps']:.2f} "
        f"({seen['fps'] / claimed:.1%}) for {seen['seconds']:.1f} s, {seen['dropped']:.0f} dropped, "
        f"age {seen['age']:.1f} ms (p99 {seen['age_p99']:.1f})"
    )


if __name__ == "__main__":
    main()
