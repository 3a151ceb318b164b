"""
What a slow viewer sees, and what it costs the others: python -m benchmarks.slow_viewer [--seconds 20]

A stream of 600 kB/s (20 kB frames, 30 a second) over real sockets to one viewer that reads 300 kB/s, with a socket as
the system makes it, and to one that reads all it gets. The age of each frame, by its own metadata, when it is
complete at the viewer; for us, and for a server that sends each viewer the newest frame from a thread with sendall.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import socket
import statistics
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from benchmarks.frames import make_frame
from twistedcam.frame import Frame
from twistedcam.framing import PREFIX

_FPS = 30
_FRAME_BYTES = 20_000
_SLOW_BYTES_PER_SECOND = 300_000
_READ_BYTES = 4096


def serve_ours(tell: Connection) -> None:
    """Our server, without a camera."""
    from twisted.internet import reactor
    from twisted.internet.task import LoopingCall

    from twistedcam.broadcast import Hub
    from twistedcam.server import CameraFactory

    hub = Hub()
    port = reactor.listenTCP(0, CameraFactory(reactor, {"": hub}, hub), interface="127.0.0.1")  # type: ignore
    tell.send(port.getHost().port)  # type: ignore[attr-defined]
    numbers = iter(range(10**9))
    LoopingCall(lambda: hub.publish(make_frame(next(numbers), _FRAME_BYTES))).start(1 / _FPS)
    reactor.run()  # type: ignore[attr-defined]


def serve_sendall(tell: Connection) -> None:
    """The obvious server: a thread for each viewer sends it the newest frame, again and again."""
    newest = make_frame(0, _FRAME_BYTES)
    renewed = threading.Condition()

    def capture() -> None:
        nonlocal newest
        for sequence in range(1, 10**9):
            time.sleep(1 / _FPS)
            with renewed:
                newest = make_frame(sequence, _FRAME_BYTES)
                renewed.notify_all()

    def send(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                with renewed:
                    renewed.wait()
                    frame = newest
                connection.sendall(frame.message)

    threading.Thread(target=capture, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        tell.send(server.getsockname()[1])
        while True:
            threading.Thread(target=send, args=(server.accept()[0],), daemon=True).start()


class Reader(threading.Thread):
    """A viewer that reads at most C{bytes_per_second}, and notes when it had each frame."""

    def __init__(self, port: int, bytes_per_second: float, until: float) -> None:
        super().__init__(daemon=True)
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._bytes_per_second = bytes_per_second
        self._until = until
        self._next = 0.0  # when it may read on: what it did not read in time it does not make up for
        self.frames: list[tuple[float, Frame]] = []

    def run(self) -> None:
        """Read until it is time."""
        received = bytearray()
        while time.monotonic() < self._until:
            received += self._read()
            while len(received) >= 8:
                end = 8 + PREFIX.unpack_from(received)[0]
                if len(received) < end:
                    break
                self.frames.append((time.time(), Frame.from_jpeg(bytes(received[8:end]))))
                del received[:end]
        self._connection.close()

    def _read(self) -> bytes:
        if not self._bytes_per_second:
            return self._connection.recv(65536)
        time.sleep(max(0.0, self._next - time.monotonic()))
        portion = self._connection.recv(_READ_BYTES)
        self._next = max(self._next, time.monotonic()) + len(portion) / self._bytes_per_second
        return portion

    def report(self) -> tuple[float, str]:
        """The median age in seconds, and a line about all of it, less the first three seconds."""
        seen = [(at, frame) for at, frame in self.frames if frame.sequence > 3 * _FPS]
        ages = sorted(at - (frame.captured or 0.0) for at, frame in seen)
        sequences = [frame.sequence for _, frame in seen]
        span = sequences[-1] - sequences[0] + 1
        line = (
            f"age median {statistics.median(ages):.4f} s, p95 {ages[len(ages) * 95 // 100]:.4f}, "
            f"largest {ages[-1]:.4f}; {len(seen)} of {span} frames"
        )
        return statistics.median(ages), line


def measure(name: str, serve: Callable[[Connection], None], seconds: float) -> float:
    """Run one server and both viewers; the slow viewer's median age in seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    port = ours.recv()
    until = time.monotonic() + seconds
    slow, fast = Reader(port, _SLOW_BYTES_PER_SECOND, until), Reader(port, 0, until)
    for reader in (slow, fast):
        reader.start()
    for reader in (slow, fast):
        reader.join()
    process.terminate()
    process.join()
    median, line = slow.report()
    print(f"{name}, viewer at 300 kB/s:  {line}")
    print(f"{name}, viewer at full speed: {fast.report()[1]}", flush=True)
    return median


def main() -> None:
    """Measure both, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    ours = measure("ours", serve_ours, seconds)
    theirs = measure("sendall", serve_sendall, seconds)
    print(f"the slow viewer's median age: ours is {ours / theirs:.2f} x that with sendall")


if __name__ == "__main__":
    main()
