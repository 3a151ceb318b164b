"""
What one viewer and frame cost: python -m benchmarks.fanout [--viewers 500] [--fps 10] [--only ours,floor,...]

Frames of 20 kB go to so many viewers, which one process reads; the CPU time of the sending process, divided by viewers
and frames, for us and, in the same run and in turns:

- floor: C that calls send() once for each viewer and frame (floor.c beside this file, compiled by cc)
- imagezmq: its ImageSender in PUB mode with send_jpg, as its documents advise for many viewers; pip install imagezmq
- gstreamer: matroskademux ! identity sync=true ! tcpserversink; gstreamer1.0-tools, -plugins-base and -plugins-good

Each row is what the median of its turns was, and how many times the floor that is.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.frames import make_frame
from benchmarks.processes import cpu_seconds
from twistedcam.recording import Recording

FRAME_BYTES = 20_000
_SETTLE_SECONDS = 2.0


def serve_ours(tell: Connection, fps: float, viewers: int) -> None:
    """Our server, without a camera."""
    from twisted.internet import reactor
    from twisted.internet.task import LoopingCall

    from twistedcam.broadcast import Hub
    from twistedcam.server import CameraFactory

    hub = Hub()
    factory = CameraFactory(reactor, {"": hub}, hub, max_viewers=10**6)  # type: ignore[arg-type]
    port = reactor.listenTCP(0, factory, 4096, "127.0.0.1")  # type: ignore[attr-defined]
    tell.send(port.getHost().port)  # type: ignore[attr-defined]
    numbers = iter(range(10**9))
    LoopingCall(lambda: hub.publish(make_frame(next(numbers), FRAME_BYTES))).start(1 / fps)
    reactor.run()  # type: ignore[attr-defined]


def serve_imagezmq(tell: Connection, fps: float, viewers: int) -> None:
    """imagezmq's publisher."""
    import imagezmq

    port = free_port()
    sender = imagezmq.ImageSender(connect_to=f"tcp://127.0.0.1:{port}", REQ_REP=False)
    tell.send(port)
    due = time.monotonic()
    for number in range(10**9):
        sender.send_jpg("camera", make_frame(number, FRAME_BYTES).payload)
        due = max(due + 1 / fps, time.monotonic() - 1 / fps)
        time.sleep(max(0.0, due - time.monotonic()))


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def floor() -> str:
    """The compiled floor.c."""
    program = os.path.join(tempfile.gettempdir(), f"twistedcam-floor-{os.getuid()}")
    subprocess.run(["cc", "-O2", "-o", program, str(Path(__file__).with_name("floor.c"))], check=True)
    return program


@contextlib.contextmanager
def python_server(
    serve: Callable[[Connection, float, int], None], fps: float, viewers: int
) -> Iterator[tuple[int, int]]:
    """A server of ours or in Python: its process and port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, fps, viewers), daemon=True)
    process.start()
    yield process.pid or 0, ours.recv()
    process.kill()
    process.join()


def record(fps: float) -> str:
    """A minute of our frames as a file, for what paces itself by a file's times."""
    path = os.path.join(tempfile.mkdtemp(), "frames.mkv")
    now = 0.0
    recording = Recording(path, lambda: now, by_capture=False)
    for number in range(int(60 * fps)):
        recording.add(make_frame(number, FRAME_BYTES))
        now += 1 / fps
    recording.close()
    return path


@contextlib.contextmanager
def command_server(name: str, fps: float, viewers: int) -> Iterator[tuple[int, int]]:
    """A server that is a program: its process and port."""
    port = free_port()
    if name == "floor":
        command = [floor(), "serve", str(port), str(FRAME_BYTES), str(fps), str(viewers)]
    else:
        source = f"filesrc location={record(fps)} ! matroskademux ! identity sync=true"
        sink = f"tcpserversink host=127.0.0.1 port={port}"
        command = ["gst-launch-1.0", "-q", *f"{source} ! {sink}".split()]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        # The floor counts whom it accepts, so nobody may knock there.
        if name == "floor" or socket.socket().connect_ex(("127.0.0.1", port)) == 0:
            break
        time.sleep(0.05)
    yield process.pid, port
    process.kill()
    process.wait()


def read_plainly(port: int, viewers: int, seconds: float) -> subprocess.Popen[str]:
    """A process with so many connections, which prints when they are there, and the bytes that came at its end."""
    command = [floor(), "read", str(port), str(viewers), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


_READ_ZMQ = """
import sys, time, zmq
port, viewers, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
context = zmq.Context(io_threads=1)
context.set(zmq.MAX_SOCKETS, viewers + 10)
poller, sockets = zmq.Poller(), []
for _ in range(viewers):
    socket = context.socket(zmq.SUB)
    socket.subscribe(b"")
    socket.connect(f"tcp://127.0.0.1:{port}")
    poller.register(socket, zmq.POLLIN)
    sockets.append(socket)
print("connected", flush=True)
total, end = 0, time.monotonic() + seconds
while time.monotonic() < end:
    for socket, _ in poller.poll(100):
        while True:
            try:
                total += sum(map(len, socket.recv_multipart(zmq.NOBLOCK)))
            except zmq.Again:
                break
print(total)
"""


def read_zmq(port: int, viewers: int, seconds: float) -> subprocess.Popen[str]:
    """The same for ZeroMQ's subscribers."""
    words = [str(port), str(viewers), str(seconds)]
    return subprocess.Popen([sys.executable, "-c", _READ_ZMQ, *words], stdout=subprocess.PIPE, text=True)


def measure(name: str, options: argparse.Namespace) -> tuple[float, float]:
    """Microseconds for a viewer and frame, and the share of the frames that arrived."""
    viewers, fps, seconds = options.viewers, options.fps, options.seconds
    python = {"ours": serve_ours, "imagezmq": serve_imagezmq}
    server = python_server(python[name], fps, viewers) if name in python else command_server(name, fps, viewers)
    with server as (process, port):
        read = read_zmq if name == "imagezmq" else read_plainly
        reader = read(port, viewers, seconds + _SETTLE_SECONDS)
        assert reader.stdout is not None
        reader.stdout.readline()
        time.sleep(_SETTLE_SECONDS)
        before = cpu_seconds(process)
        received = int(reader.stdout.readline())
        taken = cpu_seconds(process) - before
        reader.wait()
    frames = received / FRAME_BYTES * seconds / (seconds + _SETTLE_SECONDS)
    return taken / frames * 1e6, frames / (viewers * fps * seconds)


def main() -> None:
    """Measure in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=500)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default="floor,ours,imagezmq,gstreamer")
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    names = options.only.split(",")
    costs: dict[str, list[float]] = {name: [] for name in names}
    shares: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.times):
        for name in names:
            cost, share = measure(name, options)
            costs[name].append(cost)
            shares[name].append(share)
    lowest = statistics.median(costs["floor"]) if "floor" in costs else float("nan")
    for name, measured in costs.items():
        median = statistics.median(measured)
        print(
            f"{name}: {median:.1f} us ({min(measured):.1f} to {max(measured):.1f}), {median / lowest:.2f} x the floor, "
            f"{statistics.median(shares[name]):.0%} of the frames"
        )


if __name__ == "__main__":
    main()
