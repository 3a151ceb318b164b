"""
What a viewer reports when the network is cut and comes back: python -m benchmarks.cut [--seconds 30] [--times 3]

Server and viewer are at the ends of an emulated link (tests.emulated_link; needs root), which stops passing packets on
in both directions, without a reset. Prints how soon the viewer reported it, as its window would, and how soon it was
connected again after the network was back.
"""

from __future__ import annotations

import argparse
import queue
import re
import statistics
import subprocess
import tempfile
import threading
import time

from benchmarks.processes import twistd
from tests.emulated_link import SERVER_HOST, Conditions, link


class Talker:
    """A process at one end of a link, and its output, with the time of each line."""

    def __init__(self, end: list[str], *words: str) -> None:
        self._lines: queue.Queue[tuple[float, str]] = queue.Queue()
        command = [*end, *twistd(*words)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tempfile.gettempdir()
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put((time.monotonic(), line))

    def said(self, pattern: str, patience: float = 60.0) -> float:
        """When a line matched C{pattern}."""
        while True:
            at, line = self._lines.get(timeout=patience)
            if re.search(pattern, line):
                return at


def main() -> None:
    """Cut the network and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    with link(Conditions(delay=0.001), may_be_cut=True) as ends:
        server = Talker(ends.server, "camstream", "--camera", "test", "--open", "--listen", "tcp:9999")
        server.said("watch with")
        viewer = Talker(ends.viewer, "camstream-client", "--host", SERVER_HOST, "--headless")
        viewer.said("connected to")
        told, back = [], []
        for _ in range(options.times):
            time.sleep(3)
            cut = time.monotonic()
            ends.cut.set()
            told.append(viewer.said("reconnecting: nothing was heard") - cut)
            time.sleep(max(0.0, cut + options.seconds - time.monotonic()))
            returned = time.monotonic()
            ends.cut.clear()
            back.append(viewer.said("connected to") - returned)
            print(f"said so after {told[-1]:.1f} s, connected {back[-1]:.1f} s after it was back", flush=True)
        for process in (viewer.process, server.process):
            process.terminate()
            process.wait()
    print(f"median: said so after {statistics.median(told):.1f} s, connected after {statistics.median(back):.1f} s")


if __name__ == "__main__":
    main()
