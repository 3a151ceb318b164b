"""
What a web viewer costs, beside uStreamer: python -m benchmarks.web [--device /dev/video0] [--viewers 20] [--seconds 10]

Needs a real camera, because uStreamer reads nothing else, and Debian's ustreamer. Both serve its pictures at 640 x 480
and JPEG quality 80 over HTTP, in turns. The cost of one viewer and frame is the CPU time of the server's process for
--viewers further viewers, divided by their number and by the frames that they received.
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator

from benchmarks.processes import cpu_seconds, twistd

_PORTS = {"ours": 18080, "ustreamer": 18081}
_FEW = 2


def command(name: str, device: str) -> list[str]:
    """The command that starts each of them."""
    port = _PORTS[name]
    if name == "ours":
        unix = f"unix:{tempfile.mkdtemp()}/camera"
        words = ("--camera", device, "--width", "0", "--quality", "80", "--listen", unix)
        return twistd("camstream", *words, "--http", f"tcp:{port}:interface=127.0.0.1")
    size = ("--format", "YUYV", "--resolution", "640x480", "--quality", "80", "--encoder", "CPU", "--workers", "2")
    return ["ustreamer", "--device", device, *size, "--host", "127.0.0.1", "--port", str(port)]


@contextlib.contextmanager
def running(name: str, device: str) -> Iterator[int]:
    """The process of the server, ready for viewers."""
    process = subprocess.Popen(command(name, device), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", _PORTS[name])).close()
                break
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def watch(port: int, viewers: int, seconds: float, process: int) -> tuple[float, int, int]:
    """The CPU seconds that C{viewers} cost in C{seconds}, and the frames and bytes that they all received."""
    selector = selectors.DefaultSelector()
    for _ in range(viewers):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        selector.register(connection, selectors.EVENT_READ)
    frames = received = 0
    began = before = 0.0
    warm = time.monotonic() + 2
    while not began or time.monotonic() < began + seconds:
        for key, _ in selector.select(0.1):
            portion = key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
            if began:
                frames += portion.lower().count(b"content-length")
                received += len(portion)
        if not began and time.monotonic() > warm:
            began, before = time.monotonic(), cpu_seconds(process)
    taken = cpu_seconds(process) - before
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return taken, frames, received


def measure(name: str, options: argparse.Namespace) -> float:
    """Microseconds of CPU for each further viewer and frame."""
    with running(name, options.device) as process:
        watch(_PORTS[name], 1, 2, process)  # the camera is open from here on
        few, few_frames, _ = watch(_PORTS[name], _FEW, options.seconds, process)
        many, many_frames, received = watch(_PORTS[name], _FEW + options.viewers, options.seconds, process)
    cost = (many - few) / max(1, many_frames - few_frames) * 1e6
    rate = many_frames / (_FEW + options.viewers) / options.seconds
    print(f"{name}: {cost:.1f} us, {rate:.1f} fps of {received / max(1, many_frames) / 1000:.1f} kB", flush=True)
    return cost


def main() -> None:
    """Measure in turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="/dev/video0")
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    costs: dict[str, list[float]] = {name: [] for name in _PORTS}
    for _ in range(options.times):
        for name, measured in costs.items():
            measured.append(measure(name, options))
    ours, theirs = (statistics.median(measured) for measured in costs.values())
    print(f"median for a viewer and frame: ours {ours:.1f} us, ustreamer {theirs:.1f} us: {ours / theirs:.2f} x")


if __name__ == "__main__":
    main()
