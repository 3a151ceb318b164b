"""
Figures for the faults that the tests only check: python -m benchmarks.faults

How long the server takes to end after each signal, with a live camera and with one that hangs; the memory that viewers
which read nothing cost; how soon 50 viewers are back after the server was killed, and how they are spread; and the CPU
time of a flood of pings before it is cut off.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import cpu_seconds, memory, twistd
from twistedcam.wire.messages import Ping, pack

_TESTS = Path(__file__).parent.parent / "tests"
_STALLED = 200
_VIEWERS = 50


class Server:
    """A server process on a free port, or on C{port}."""

    def __init__(self, camera: str = "test", port: int = 0) -> None:
        folder = tempfile.mkdtemp()
        listen = ("--listen", f"tcp:{port}:interface=127.0.0.1", "--http", "off")
        environment = os.environ | {"PYTHONPATH": str(_TESTS / "plugins"), "PYTHONUNBUFFERED": "1"}
        words = ("--camera", camera, "--width", "0", *listen)
        self.lines: list[tuple[float, str]] = []
        self.process = subprocess.Popen(
            twistd("camstream", *words),
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.port = int(self.said(r"listening on 127\.0\.0\.1:(\d+)")[1])

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append((time.monotonic(), line))

    def said(self, pattern: str) -> re.Match[str]:
        """Wait for a line that matches."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for _, line in list(self.lines):
                found = re.search(pattern, line)
                if found:
                    return found
            time.sleep(0.01)
        raise RuntimeError(f"it never said {pattern}")

    def memory(self) -> float:
        """The memory in kB."""
        return memory(self.process.pid) * 1000

    def end(self, number: int = signal.SIGKILL) -> float:
        """Send the signal, and return how many seconds the end took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait()
        return time.monotonic() - began


@contextlib.contextmanager
def viewers(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open C{count} connections."""
    connections = []
    for number in range(count):
        connections.append(socket.create_connection(("127.0.0.1", port)))
        if number % 20 == 19:
            time.sleep(0.05)
    yield connections
    for connection in connections:
        connection.close()


def signals() -> None:
    """Print how long the server takes to end."""
    for camera, sign in (("test", ": live"), ("plugin:hanging", "no signal")):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            server = Server(camera)
            with viewers(server.port, 1):
                server.said(sign)
                seconds = server.end(number)
                print(f"{number.name}, camera {sign.strip(': ')}: {seconds:.2f} s, by {server.process.returncode}")


def stalled() -> None:
    """Print what viewers that read nothing cost."""
    server = Server()
    with viewers(server.port, 1) as (reader,):
        server.said(": live")
        threading.Thread(target=drain, args=(reader,), daemon=True).start()
        time.sleep(3)
        before = server.memory()
        with viewers(server.port, _STALLED):
            time.sleep(15)
            cost = (server.memory() - before) / _STALLED
        print(f"{_STALLED} viewers that read nothing: {cost:.1f} kB each of the process's memory")
        server.end()


def drain(connection: socket.socket) -> None:
    """Read everything that is there."""
    with contextlib.suppress(OSError):
        while connection.recv(1 << 20):
            pass


def restart() -> None:
    """Print how soon all viewers are back."""
    server = Server()
    folder = tempfile.mkdtemp()
    words = ("camstream-client", "--port", str(server.port), "--headless")
    watching = [
        subprocess.Popen(twistd(*words), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(_VIEWERS)
    ]
    server.said(f", {_VIEWERS} watching")
    server.end()
    again = Server(port=server.port)
    began = again.lines[-1][0]
    again.said(f", {_VIEWERS} watching")
    came = sorted(at - began for at, line in again.lines if " came, " in line)
    print(
        f"{_VIEWERS} viewers after the server was started again: the first after {came[0]:.2f} s, "
        f"half after {statistics.median(came):.2f} s, all after {came[-1]:.2f} s"
    )
    for one in watching:
        one.kill()
    again.end()


def flood() -> None:
    """Print what endless pings cost."""
    server = Server()
    pings = pack(Ping(1.0)) * 10_000
    with viewers(server.port, 1) as (connection,):
        server.said(" came")
        before = cpu_seconds(server.process.pid)
        with contextlib.suppress(OSError):
            connection.sendall(pings)
        server.said("more than 100 messages in a second")
        select.select([], [], [], 0.2)
        print(f"10,000 pings at once: ended after {cpu_seconds(server.process.pid) - before:.2f} s of CPU")
    server.end()


def main() -> None:
    """Run all of them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # under nohup or in the background both are ignored, by servers as well
    for one in (signals, stalled, restart, flood):
        one()


if __name__ == "__main__":
    main()
