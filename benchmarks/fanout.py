"""
What one viewer and frame cost: python -m benchmarks.fanout [--viewers 500,2000@10] [--only ours,floor,...]

JPEGs of 20 kB from a clip go to a number of viewers, which one process reads. The cost is the CPU time of the sending
process, divided by viewers and frames. Several servers are measured in turns in the same run: floor is a C program
that only calls send(), once for each viewer and frame (floor.c beside this file, compiled by cc); benchmarks.peers
describes the others. Each row is the median of the turns, and its ratio to the floor.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.frames import FPS, jpegs, make_frame, whole_loops
from benchmarks.peers import command
from benchmarks.processes import allow_many_connections, cpu_seconds, free_port

_SETTLE_SECONDS = 2.0


def floor() -> str:
    """The compiled floor.c."""
    program = os.path.join(tempfile.gettempdir(), f"twistedcam-floor-{os.getuid()}")
    subprocess.run(["cc", "-O2", "-o", program, str(Path(__file__).with_name("floor.c"))], check=True)
    return program


def mean_bytes() -> float:
    """The average size of the messages that are sent."""
    return statistics.fmean(len(make_frame(number).message) for number in range(len(jpegs())))


@contextlib.contextmanager
def serving(name: str, fps: float, viewers: int) -> Iterator[tuple[int, int]]:
    """A server: the process whose CPU time is measured, and its port."""
    port = free_port()
    with tempfile.NamedTemporaryFile() as file:
        file.writelines(make_frame(number).message for number in range(len(jpegs())))
        file.flush()
        ours = command("serve", name, "127.0.0.1", port, fps)
        words = [floor(), "serve", str(port), file.name, str(fps), str(viewers)] if name == "floor" else ours
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for_listener(port)
            yield child(process.pid), port
        finally:
            process.kill()
            process.wait()


def wait_for_listener(port: int, count: int = 1) -> None:
    """Wait until C{count} sockets listen on C{port}, without connecting: the floor counts what it accepts."""
    end = time.monotonic() + 20
    while Path("/proc/net/tcp").read_text().count(f":{port:04X} 00000000:0000 0A") < count:
        if time.monotonic() > end:
            raise RuntimeError("the server did not start")
        time.sleep(0.05)


def child(process: int) -> int:
    """The program that C{process} runs to do the work, or itself."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(children[0]) if children else process


class Reader:
    """A process with many connections, which counts the bytes that come when it has settled."""

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def settled(self) -> None:
        """Wait until all connections have been made and have settled, and the counting begins."""
        self._line()

    def received(self) -> int:
        """Wait for the number of bytes that it counted."""
        return int(self._line())

    def end(self) -> None:
        """Wait for its end: a server has work to do when the connections go."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def read_plainly(port: int, viewers: int, seconds: float, end: Iterable[str] = ()) -> Reader:
    """A reader that only reads; C{end} are words before the command, as for L{server}."""
    return Reader([*end, floor(), "read", str(port), str(viewers), str(_SETTLE_SECONDS), str(seconds)])


_CONNECT_ZMQ = """
import zmq
context = zmq.Context(io_threads=1)
context.set(zmq.MAX_SOCKETS, viewers + 10)
poller, sockets = zmq.Poller(), []
for _ in range(viewers):
    socket = context.socket(zmq.SUB)
    socket.subscribe(b"")
    socket.connect(f"tcp://127.0.0.1:{port}")
    poller.register(socket, zmq.POLLIN)
    sockets.append(socket)
def portions():
    for socket, _ in poller.poll(10):
        try:
            while True:
                yield sum(map(len, socket.recv_multipart(zmq.NOBLOCK)))
        except zmq.Again:
            pass
"""
_CONNECT_TLS = """
import selectors, socket, ssl
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
selector, buffer = selectors.DefaultSelector(), bytearray(1 << 18)
for _ in range(viewers):
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ)
def portions():
    for key, _ in selector.select(0.01):
        try:
            while True:
                yield key.fileobj.recv_into(buffer)
        except ssl.SSLWantReadError:
            pass
"""
_READ = """
def read(seconds):
    total, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        total += sum(portions())
    return total
read(settle)
print("settled", flush=True)
print(read(seconds))
"""


def _read_by(connect: str, port: int, viewers: int, seconds: float) -> Reader:
    words = f"import time\nport, viewers, settle, seconds = {port}, {viewers}, {_SETTLE_SECONDS}, {seconds}"
    return Reader([sys.executable, "-c", words + connect + _READ])


_READERS = {"imagezmq": partial(_read_by, _CONNECT_ZMQ), "tls": partial(_read_by, _CONNECT_TLS)}


def measure(name: str, viewers: int, fps: float, seconds: float) -> tuple[float, float]:
    """Microseconds for a viewer and frame, and the share of the frames that arrived."""
    with serving(name, fps, viewers) as (process, port):
        reader = _READERS.get(name, read_plainly)(port, viewers, seconds)
        reader.settled()
        before = cpu_seconds(process)
        frames = reader.received() / mean_bytes()
        taken = cpu_seconds(process) - before
        reader.end()
    return taken / frames * 1e6, frames / (viewers * fps * seconds)


def _viewers_and_fps(text: str) -> tuple[int, float]:
    viewers, _, fps = text.partition("@")
    return int(viewers), float(fps or FPS)


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--viewers", default="10,100,500,2000@10", help="numbers of viewers; @N: at N frames a second instead of 30"
    )
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default="floor,ours,sendall,imagezmq,gstreamer")
    parser.add_argument("--save", type=argparse.FileType("w"), help="opened now, not when hours are over")
    options = parser.parse_args()
    allow_many_connections()
    names = options.only.split(",")
    kept = []
    for viewers, fps in map(_viewers_and_fps, options.viewers.split(",")):
        seconds = whole_loops(options.seconds, fps)
        turns = [(name, *measure(name, viewers, fps, seconds)) for _ in range(options.times) for name in names]
        costs = {name: [cost for one, cost, _ in turns if one == name] for name in names}
        shares = {name: statistics.median(share for one, _, share in turns if one == name) for name in names}
        lowest = statistics.median(costs["floor"]) if "floor" in costs else float("nan")
        print(f"{viewers} viewers, {fps:g} fps")
        for name, measured in costs.items():
            median = statistics.median(measured)
            least, most = min(measured), max(measured)
            figures = {"us": median, "least": least, "most": most}
            kept.append({"name": name, "viewers": viewers, "fps": fps, **{k: round(v, 2) for k, v in figures.items()}})
            print(
                f"  {name:10} {median:5.1f} us ({least:.1f} to {most:.1f}), "
                f"{median / lowest:.2f} x the floor, {shares[name]:.0%} of the frames",
                flush=True,
            )
    if options.save:
        options.save.write("\n".join(map(json.dumps, kept)) + "\n")


if __name__ == "__main__":
    main()
