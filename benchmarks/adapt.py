"""
What a viewer gets over a link that cannot take full pictures: python -m benchmarks.adapt [--seconds 30]

Pictures of about 50 kB, 25 a second, over 300 kB/s and 20 ms (tests.emulated_link; needs root), from the real server to
the real viewer, with and without --no-adapt, from the first picture on.
"""

from __future__ import annotations

import argparse

from benchmarks.frames import clip
from benchmarks.links import LINKS
from benchmarks.processes import server, watch
from tests.emulated_link import SERVER_HOST, link

_LINK = LINKS["300 kB/s, 20 ms"]
_FPS = 25
_QUALITY = "82"  # at which the clip's pictures are of some 50 kB


def main() -> None:
    """Watch in both ways and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    with link(_LINK) as ends:
        words = ("--camera", clip(), "--width", "640", "--quality", _QUALITY, "--open")
        with server(*words, host=SERVER_HOST, end=ends.server) as serving:
            for name, expected, more in (("adapting", 0.7 * _FPS, []), ("--no-adapt", 0.25 * _FPS, ["--no-adapt"])):
                seen = watch([*serving.words, *more], int(expected * seconds), ends.viewer)
                print(f"{name}: {seen['fps']:.1f} fps, age median {seen['age']:.0f} ms, p99 {seen['age_p99']:.0f}")


if __name__ == "__main__":
    main()
