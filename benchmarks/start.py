"""
How fast the commands start, and what an idle server uses: python -m benchmarks.start [--times 5]

The time from starting the server until it reports that it listens, and from starting the viewer until it ends after its
second picture; and the CPU time and memory of a server that nobody watches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from benchmarks.processes import cpu_share, memory, server, watch

_REST_SECONDS = 10.0


def main() -> None:
    """Start both several times and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    listening, pictures = [], []
    for _ in range(times):
        began = time.monotonic()
        with server("--camera", "test") as serving:
            listening.append(time.monotonic() - began)
            began = time.monotonic()
            watch(serving.words, 2)
            pictures.append(time.monotonic() - began)
    with server("--camera", "test") as serving:
        share = cpu_share(serving.process, _REST_SECONDS)
        threads = len(list(Path(f"/proc/{serving.process}/task").iterdir()))
        print(f"at rest: {share:.1%} of a core, {memory(serving.process):.1f} MB, {threads} threads")
    for what, seconds in (("listening", listening), ("the viewer's second picture, and its end", pictures)):
        print(f"{what}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


if __name__ == "__main__":
    main()
