"""
What a slow viewer sees, and its effect on others: python -m benchmarks.slow_viewer [--seconds 20] [--only ours]

A stream of 600 kB/s (20 kB frames, 30 a second) over real sockets to one viewer that reads 300 kB/s, with the default
socket settings, and to one that reads everything. Prints the age of the frames, by their own metadata, when they are
complete at the viewer; for our server, and for one that sends each viewer the newest frame from a thread with sendall.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import subprocess
import threading
import time

from benchmarks.frames import FPS
from benchmarks.peers import command, connect
from benchmarks.processes import free_port
from twistedcam.frame import Frame
from twistedcam.wire.framing import PREFIX

_SLOW_BYTES_PER_SECOND = 300_000
_READ_BYTES = 4096


class Reader(threading.Thread):
    """A viewer that sends C{hello}, reads at most C{bytes_per_second}, and records when each frame was complete."""

    def __init__(self, port: int, bytes_per_second: float, until: float, hello: bytes = b"") -> None:
        super().__init__(daemon=True)
        self._connection = connect("127.0.0.1", port)
        self._connection.sendall(hello)
        self._bytes_per_second = bytes_per_second
        self._until = until
        self._next = 0.0  # when it may read again; it does not catch up on what it did not read in time
        self.frames: list[tuple[float, Frame]] = []  # without their payload

    def run(self) -> None:
        """Read until the time is over."""
        received = bytearray()
        while time.monotonic() < self._until:
            received += self._read()
            while len(received) >= 8:
                end = 8 + PREFIX.unpack_from(received)[0]
                if len(received) < end:
                    break
                frame = Frame.from_jpeg(bytes(received[8:end]))
                self.frames.append((time.time(), dataclasses.replace(frame, payload=b"")))
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
        """The median age in seconds, and a line with all figures, without the first three seconds."""
        seen = [(at, frame) for at, frame in self.frames if frame.sequence > 3 * FPS]
        ages = [at - (frame.captured or 0.0) for at, frame in seen]
        tenth = len(ages) // 10
        early, late = statistics.median(ages[:tenth]), statistics.median(ages[-tenth:])
        ordered = sorted(ages)
        sequences = [frame.sequence for _, frame in seen]
        span = sequences[-1] - sequences[0] + 1
        line = (
            f"age median {statistics.median(ages):.4f} s, p95 {ordered[len(ages) * 95 // 100]:.4f}, "
            f"largest {ordered[-1]:.4f}; {len(seen)} of {span} frames; first and last tenth {early:.4f} and {late:.4f}"
        )
        return statistics.median(ages), line


def measure(name: str, seconds: float) -> float:
    """Run one server and both viewers; the slow viewer's median age in seconds."""
    port = free_port()
    serving = subprocess.Popen(command("serve", name, "127.0.0.1", port))
    until = time.monotonic() + seconds
    slow, fast = Reader(port, _SLOW_BYTES_PER_SECOND, until), Reader(port, 0, until)
    for reader in (slow, fast):
        reader.start()
    for reader in (slow, fast):
        reader.join()
    serving.terminate()
    serving.wait()
    median, line = slow.report()
    print(f"{name}, viewer at 300 kB/s:  {line}")
    print(f"{name}, viewer at full speed: {fast.report()[1]}", flush=True)
    return median


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", default="ours,sendall")
    options = parser.parse_args()
    medians = {name: measure(name, options.seconds) for name in options.only.split(",")}
    if len(medians) == 2:
        ours, theirs = medians.values()
        print(f"the slow viewer's median age: {ours / theirs:.2f} x")


if __name__ == "__main__":
    main()
