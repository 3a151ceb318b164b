"""
Recording on the server: python -m benchmarks.recording [--seconds 20]

Prints the share of a core that a server of the test card in 640x480, with one viewer, takes without and with --record,
in turns, and what the viewer sees.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile

from benchmarks.processes import cpu_share, server, watch

_FPS = 30
_TURNS = 2


def measure(seconds: float, *options: str) -> str:
    """The server's share of a core, and what a viewer sees, in words."""
    with server("--camera", "test", "--width", "640", *options) as serving, multiprocessing.Pool(1) as pool:
        watch(serving.words, 2 * _FPS)
        seen = pool.apply_async(watch, (serving.words, int(_FPS * (seconds + 2))))
        share = cpu_share(serving.process, seconds)
        found = seen.get()
    return (
        f"{share:.1%} of a core, age {found['age']:.1f} ms (p99 {found['age_p99']:.1f}), {found['dropped']:.0f} dropped"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    for _ in range(_TURNS):
        print("not recorded:", measure(seconds), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            print("recorded:    ", measure(seconds, "--record", folder), flush=True)
            files = [entry for entry in os.scandir(folder) if entry.name.endswith(".mkv")]
            print(f"               {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
