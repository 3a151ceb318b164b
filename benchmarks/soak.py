"""
Whether anything grows over time: python -m benchmarks.soak [--minutes 60] [--viewers 100] [--hostile]

A server with a camera that is lost once a minute, and viewers of mixed kinds over real sockets: some read everything,
some read 100 kB/s, some stop reading, and all of them leave and come back after a while. They log in by a password.
With --hostile the crowd of benchmarks.crowd attacks both ports all the while. Prints the server's memory, descriptors
and threads each minute, with the ages seen by the viewers that read everything and how many frames they missed; at the
end, how fast each grew.
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

from benchmarks.crowd import KINDS, attack
from benchmarks.peers import connect
from benchmarks.processes import free_port, memory
from benchmarks.slow_viewer import Reader
from twistedcam.frame import FrameError
from twistedcam.wire.framing import PREFIX

_LOST_EVERY_SECONDS = 60.0
_WARM_UP_MINUTES = 2
_TEXT = b'{"type":"hello","user":"me","password":"secret"}'
_HELLO = PREFIX.pack(len(_TEXT)) + _TEXT


def serve(wire: int, web: int) -> None:
    """The server, with the camera of this benchmark."""
    from twisted.internet import reactor
    from twisted.logger import LogLevel, globalLogBeginner

    from twistedcam.app.config import make_config
    from twistedcam.app.service import Server
    from twistedcam.capture.cards import TestCard
    from twistedcam.capture.mode import Mode
    from twistedcam.capture.sources import Source
    from twistedcam.capture.target import plain_target
    from twistedcam.errors import CameraError
    from twistedcam.interfaces import ICamera

    class Unsteady(TestCard):
        """A test card that is lost after a minute."""

        def __init__(self) -> None:
            super().__init__()
            self._until = time.monotonic() + _LOST_EVERY_SECONDS

        def grab(self) -> float:
            if time.monotonic() > self._until:
                raise CameraError("lost, as it is every minute")
            return super().grab()

    class UnsteadySource(Source):
        """The source of such cards."""

        def open(self, mode: Mode = Mode()) -> ICamera:
            return Unsteady()

    def count_errors(event: dict[str, object]) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            print(f"logged: {event.get('log_format')} {event.get('log_failure')}", flush=True)

    # As twistd does: until logging begins, Twisted keeps all events in memory.
    globalLogBeginner.beginLoggingTo([count_errors], redirectStandardIO=False)  # type: ignore[list-item]
    given = {
        "listen": f"tcp:{wire}:interface=127.0.0.1",
        "http": f"tcp:{web}:interface=127.0.0.1",
        "auth": "memory:me:secret",
    }
    server = Server(make_config(reactor, [UnsteadySource("soak", "given", plain_target("soak"))], given), reactor)
    reactor.callWhenRunning(server.startService)
    reactor.run()


def come_and_go(port: int, kind: int, ages: deque[float], missed: deque[float], end: float) -> None:
    """Run one viewer of this kind after another, until the end."""
    while time.monotonic() < end:
        until = min(end, time.monotonic() + random.uniform(10, 90))
        try:
            reader = Reader(port, (0, 0, 100_000, 1)[kind % 4], until, _HELLO)
            reader.run()
        except (OSError, FrameError):
            time.sleep(1)  # disconnected, like a viewer that reads nothing, or refused
            continue
        if kind % 4 < 2:
            live = [(at, frame) for at, frame in reader.frames[1:] if frame.state == "live"]
            ages.extend(at - (frame.captured or at) for at, frame in live)
            span = reader.frames[-1][1].sequence - reader.frames[0][1].sequence + 1 if reader.frames else 0
            missed.append(span - len(reader.frames))


def look(process: int) -> tuple[float, int, int]:
    """The memory in MB, descriptors and threads of a process."""
    return memory(process), len(os.listdir(f"/proc/{process}/fd")), len(os.listdir(f"/proc/{process}/task"))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--hostile", action="store_true")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    wire, web = free_port(), free_port()
    process = context.Process(target=serve, args=(wire, web), daemon=True)
    process.start()
    connect("127.0.0.1", wire).close()  # as soon as it listens
    if options.hostile:
        for kind in range(len(KINDS)):
            context.Process(target=attack, args=(wire, web, kind), daemon=True).start()
    ages: deque[float] = deque(maxlen=100_000)
    missed: deque[float] = deque()
    end = time.monotonic() + options.minutes * 60 + 1
    for kind in range(options.viewers):
        threading.Thread(target=come_and_go, args=(wire, kind, ages, missed, end), daemon=True).start()
    seen: list[tuple[float, int, int]] = []
    for minute in range(1, options.minutes + 1):
        time.sleep(60)
        seen.append(look(process.pid or 0))
        recent = sorted(ages) or [0.0]
        ages.clear()
        held, descriptors, threads = seen[-1]
        left_out = sum(missed)
        missed.clear()
        age, p99 = statistics.median(recent) * 1e3, recent[len(recent) * 99 // 100] * 1e3
        print(
            f"minute {minute}: {held:.1f} MB, {descriptors} descriptors, {threads} threads, "
            f"age {age:.1f} ms, p99 {p99:.1f}, {left_out:.0f} of {len(recent)} frames missed",
            flush=True,
        )
    minutes = list(range(len(seen)))[_WARM_UP_MINUTES:]
    for at, name in enumerate(("MB", "descriptors", "threads")):
        slope = statistics.linear_regression(minutes, [row[at] for row in seen[_WARM_UP_MINUTES:]]).slope
        print(f"{name}: {slope * 60:+.2f} an hour")
    process.terminate()


if __name__ == "__main__":
    main()
