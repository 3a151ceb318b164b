"""
Whether anything grows over time: python -m benchmarks.soak [--minutes 60] [--viewers 100]

A server with a camera that is lost once a minute, and viewers of mixed kinds over real sockets: some read everything,
some read 100 kB/s, some stop reading, and all of them leave and come back after a while. Prints the server's memory,
descriptors and threads each minute, with the ages seen by the viewers that read everything; at the end, how fast each
grew.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import threading
import time
from collections import deque
from multiprocessing.connection import Connection

from benchmarks.processes import memory
from benchmarks.slow_viewer import Reader

_LOST_EVERY_SECONDS = 60.0
_WARM_UP_MINUTES = 2


def serve(tell: Connection) -> None:
    """The server, with the camera of this benchmark."""
    from twisted.internet import reactor
    from twisted.logger import LogLevel, globalLogBeginner

    from twistedcam.capture.cards import TestCard
    from twistedcam.capture.service import Capture
    from twistedcam.errors import CameraError
    from twistedcam.hub import Hub
    from twistedcam.server.factory import ViewerServerFactory

    class Unsteady(TestCard):
        """A test card that is lost after a minute."""

        def __init__(self) -> None:
            super().__init__()
            self._until = time.monotonic() + _LOST_EVERY_SECONDS

        def grab(self) -> float:
            if time.monotonic() > self._until:
                raise CameraError("lost, as it is every minute")
            return super().grab()

    def count_errors(event: dict[str, object]) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            print(f"logged: {event.get('log_format')} {event.get('log_failure')}", flush=True)

    # As twistd does: until logging begins, Twisted keeps all events in memory.
    globalLogBeginner.beginLoggingTo([count_errors], redirectStandardIO=False)  # type: ignore[list-item]
    hub = Hub()
    Capture(reactor, "soak", Unsteady, {"jpeg": hub}).startService()
    factory = ViewerServerFactory(reactor, {"soak": hub}, hub)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    tell.send(port.getHost().port)  # type: ignore[attr-defined]
    reactor.run()


def come_and_go(port: int, kind: int, ages: deque[float], end: float) -> None:
    """Run one viewer of this kind after another, until the end."""
    while time.monotonic() < end:
        until = min(end, time.monotonic() + random.uniform(10, 90))
        try:
            reader = Reader(port, (0, 0, 100_000, 1)[kind % 4], until)
            reader.run()
        except OSError:
            time.sleep(1)  # disconnected, like a viewer that reads nothing
            continue
        if kind % 4 < 2:
            live = [(at, frame) for at, frame in reader.frames[1:] if frame.state == "live"]
            ages.extend(at - (frame.captured or at) for at, frame in live)


def look(process: int) -> tuple[float, int, int]:
    """The memory in MB, descriptors and threads of a process."""
    return memory(process), len(os.listdir(f"/proc/{process}/fd")), len(os.listdir(f"/proc/{process}/task"))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--viewers", type=int, default=100)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    port = ours.recv()
    ages: deque[float] = deque(maxlen=100_000)
    end = time.monotonic() + options.minutes * 60 + 1
    for kind in range(options.viewers):
        threading.Thread(target=come_and_go, args=(port, kind, ages, end), daemon=True).start()
    seen: list[tuple[float, int, int]] = []
    for minute in range(1, options.minutes + 1):
        time.sleep(60)
        seen.append(look(process.pid or 0))
        recent = sorted(ages) or [0.0]
        ages.clear()
        held, descriptors, threads = seen[-1]
        age, p99 = statistics.median(recent) * 1e3, recent[len(recent) * 99 // 100] * 1e3
        print(
            f"minute {minute}: {held:.1f} MB, {descriptors} descriptors, {threads} threads, "
            f"age {age:.1f} ms, p99 {p99:.1f}",
            flush=True,
        )
    minutes = list(range(len(seen)))[_WARM_UP_MINUTES:]
    for at, name in enumerate(("MB", "descriptors", "threads")):
        slope = statistics.linear_regression(minutes, [row[at] for row in seen[_WARM_UP_MINUTES:]]).slope
        print(f"{name}: {slope * 60:+.2f} an hour")
    process.terminate()


if __name__ == "__main__":
    main()
