"""
What a viewer says of a network that is cut and comes back: python -m benchmarks.cut [--seconds 30] [--times 3]

Needs root and iproute2: server and viewer run in network namespaces of their own, and a third one between them stops
handing on packets, both ways and without a word. Prints how soon the viewer said so, as its window does, and how soon
it was connected again after the network was back.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator

from benchmarks.processes import twistd

_NAMES = ("twistedcam-server", "twistedcam-between", "twistedcam-viewer")
_SERVER, _BETWEEN, _VIEWER = _NAMES


def ip(*words: str) -> None:
    """Run C{ip} with C{words}."""
    subprocess.run(["ip", *words], check=True)


def pass_on(yes: bool) -> None:
    """Let packets through, or not."""
    command = f"echo {int(yes)} > /proc/sys/net/ipv4/ip_forward"
    ip("netns", "exec", _BETWEEN, "sh", "-c", command)


@contextlib.contextmanager
def network() -> Iterator[None]:
    """The three namespaces: 10.98.1.1 is the server, 10.98.2.1 the viewer."""
    try:
        for name in _NAMES:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        for number, name in ((1, _SERVER), (2, _VIEWER)):
            ip("link", "add", "end", "netns", name, "type", "veth", "peer", "name", f"to{number}", "netns", _BETWEEN)
            ip("-n", name, "addr", "add", f"10.98.{number}.1/24", "dev", "end")
            ip("-n", _BETWEEN, "addr", "add", f"10.98.{number}.2/24", "dev", f"to{number}")
            ip("-n", name, "link", "set", "end", "up")
            ip("-n", _BETWEEN, "link", "set", f"to{number}", "up")
            ip("-n", name, "route", "add", "default", "via", f"10.98.{number}.2")
        pass_on(True)
        yield
    finally:
        for name in _NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Talker:
    """A process in a namespace, and what it says, with the time of each line."""

    def __init__(self, namespace: str, *words: str) -> None:
        self._lines: queue.Queue[tuple[float, str]] = queue.Queue()
        command = ["ip", "netns", "exec", namespace, *twistd(*words)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tempfile.gettempdir()
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put((time.monotonic(), line))

    def said(self, pattern: str, patience: float = 60.0) -> float:
        """When it said what matches C{pattern}."""
        while True:
            at, line = self._lines.get(timeout=patience)
            if re.search(pattern, line):
                return at


def main() -> None:
    """Cut, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    with network():
        server = Talker(_SERVER, "camstream", "--camera", "test", "--open", "--listen", "tcp:9999")
        server.said("watch with")
        viewer = Talker(_VIEWER, "camstream-client", "--host", "10.98.1.1", "--headless")
        viewer.said("connected to")
        told, back = [], []
        for _ in range(options.times):
            time.sleep(3)
            cut = time.monotonic()
            pass_on(False)
            told.append(viewer.said("reconnecting: nothing was heard") - cut)
            time.sleep(max(0.0, cut + options.seconds - time.monotonic()))
            returned = time.monotonic()
            pass_on(True)
            back.append(viewer.said("connected to") - returned)
            print(f"said so after {told[-1]:.1f} s, connected {back[-1]:.1f} s after it was back", flush=True)
        for process in (viewer.process, server.process):
            process.terminate()
            process.wait()
    print(f"median: said so after {statistics.median(told):.1f} s, connected after {statistics.median(back):.1f} s")


if __name__ == "__main__":
    main()
