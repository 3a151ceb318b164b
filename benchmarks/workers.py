"""
What further processes for one camera would gain: python -m benchmarks.workers [--viewers 100,500,2000] [--times 3]

The server's own factory in one process and, in turns with it, in three: one has the camera, and two watch it over a
local socket and pass its frames on, each to the viewers that the kernel assigns to it from one port. CPU is that of all
their processes per viewer and frame; the age is that of one real viewer, which joined last.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from twisted.internet.defer import ensureDeferred

from benchmarks.fanout import mean_bytes, read_plainly, wait_for_listener
from benchmarks.frames import FPS, whole_loops
from benchmarks.peers import camera_factory, command, publish_clip
from benchmarks.processes import allow_many_connections, cpu_seconds, free_port, watch
from twistedcam.app.watch import watch as frames_of

_WORKERS = 2


def capture(path: str) -> None:
    """The process that has the camera."""
    from twisted.internet import reactor

    hub, factory = camera_factory()
    reactor.listenUNIX(path, factory)  # type: ignore[attr-defined]
    publish_clip(hub, FPS)


def pass_on(path: str, port: int) -> None:
    """A process that passes its frames on."""
    from twisted.internet import reactor

    hub, factory = camera_factory()
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(4096)
    listening.setblocking(False)
    reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)  # type: ignore[attr-defined]

    async def publish() -> None:
        async for frame in frames_of(reactor, f"unix:{path}"):
            hub.publish(frame)

    ensureDeferred(publish())
    reactor.run()


@contextlib.contextmanager
def serving(workers: int) -> Iterator[tuple[list[int], int]]:
    """A server of one process, or of one and C{workers} more: its processes and its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = os.path.join(folder, "camera")
        ours = [sys.executable, "-m", "benchmarks.workers"]
        commands = [[*ours, "--capture", path], *[[*ours, "--pass-on", path, "--port", str(port)]] * workers]
        processes = []
        for words in commands if workers else [command("serve", "ours", "127.0.0.1", port, FPS)]:
            processes.append(subprocess.Popen(words))
            stack.callback(processes[-1].wait)
            stack.callback(processes[-1].kill)
            while workers and not Path(path).exists():
                time.sleep(0.05)
        wait_for_listener(port, max(workers, 1))
        yield [process.pid for process in processes], port


def measure(workers: int, viewers: int, seconds: float) -> tuple[float, float, float]:
    """Microseconds per viewer and frame, and the last viewer's median age and p99 in ms."""
    with serving(workers) as (processes, port):
        reading = whole_loops(seconds + 2, FPS)
        reader = read_plainly(port, viewers - 1, reading)
        reader.settled()
        before, began = sum(map(cpu_seconds, processes)), time.monotonic()
        seen = watch(("--host", "127.0.0.1", "--port", str(port)), int(seconds * FPS))
        share = (sum(map(cpu_seconds, processes)) - before) / (time.monotonic() - began)
        received = reader.received() / mean_bytes() / reading
        reader.end()
    return share / received * 1e6, seen["age"], seen["age_p99"]


def main() -> None:
    """Measure in turns and print; or run as one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", default="100,500,2000")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--capture", metavar="PATH", help=argparse.SUPPRESS)
    parser.add_argument("--pass-on", metavar="PATH", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    allow_many_connections()
    if options.capture:
        capture(options.capture)
    elif options.pass_on:
        pass_on(options.pass_on, options.port)
    else:
        for viewers in map(int, options.viewers.split(",")):
            turns = [(n, measure(n, viewers, options.seconds)) for _ in range(options.times) for n in (0, _WORKERS)]
            for workers in (0, _WORKERS):
                rows = [row for one, row in turns if one == workers]
                cost, age, p99 = (statistics.median(column) for column in zip(*rows, strict=True))
                print(
                    f"{viewers} viewers, {'1 process' if not workers else f'{1 + workers} processes'}: {cost:.1f} us, "
                    f"age {age:.1f} ms, p99 {p99:.1f} ms ({min(row[2] for row in rows):.1f} to "
                    f"{max(row[2] for row in rows):.1f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
