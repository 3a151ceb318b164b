"""
How old a picture is when a viewer on the same machine has it: python -m benchmarks.age [--frames 600] [--viewers 1]

The test card at 640 x 480, 30 a second, from the real server to real headless viewers; beside it what encoding and
decoding such a picture take, below which nobody can go.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

from benchmarks.processes import milliseconds, server, watch
from twistedcam.camera import TestCard
from twistedcam.codec import decode, encode_jpeg
from twistedcam.frame import Frame


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--viewers", type=int, default=1)
    options = parser.parse_args()
    with server("--camera", "test", "--width", "640") as port, ThreadPoolExecutor(options.viewers) as pool:
        watch(port, 10)  # the camera is open from here on
        reports = list(pool.map(lambda _: watch(port, options.frames), range(options.viewers)))
    image = TestCard().retrieve()
    frame = Frame.from_jpeg(encode_jpeg(image))
    encode, decoding = milliseconds(lambda: encode_jpeg(image)), milliseconds(lambda: decode(frame))
    for seen in reports:
        print(
            f"age median {seen['age']:.1f} ms, p99 {seen['age_p99']:.1f} ms, "
            f"{seen['fps']:.2f} fps, {seen['dropped']:.0f} dropped"
        )
    print(f"encoding takes {encode:.1f} ms of that, decoding {decoding:.1f} ms more")


if __name__ == "__main__":
    main()
