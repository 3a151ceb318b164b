"""The two commands as real processes, for benchmarks."""

from __future__ import annotations

import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_REPORT = re.compile(r"(\d+) frames in ([\d.]+) s, ([\d.]+) fps, (\d+) dropped, age ([\d.]+) ms \(p99 ([\d.]+) ms\)")


def twistd(*words: str) -> list[str]:
    """The command line of C{twistd -n} with C{words}, in this Python."""
    return [os.path.join(os.path.dirname(sys.executable), "twistd"), "-n", *words]


def free_port() -> int:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def cpu_seconds(process: int) -> float:
    """The CPU seconds that a process has used, in all threads and in the kernel."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_share(process: int, seconds: float) -> float:
    """The share of one core that a process uses in the next C{seconds}."""
    before, began = cpu_seconds(process), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(process) - before) / (time.monotonic() - began)


def memory(process: int) -> float:
    """The memory of a process in MB."""
    return int(Path(f"/proc/{process}/status").read_text().split("VmRSS:")[1].split()[0]) / 1000


def allow_many_connections() -> None:
    """Raise the descriptor limit of this process, and those that it starts, to the maximum."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def milliseconds(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """The median time of C{function}, by C{clock}."""
    measured = []
    for _ in range(100):
        began = clock()
        function()
        measured.append(clock() - began)
    return statistics.median(measured) * 1000


class Server(NamedTuple):
    """A running camstream server: its process, its port, and the options that a viewer needs for it."""

    process: int
    port: int
    words: tuple[str, ...]


@contextmanager
def server(*options: str, host: str = "127.0.0.1", end: Iterable[str] = ()) -> Iterator[Server]:
    """
    A camstream server on a port of the kernel's choice, until the block ends; with C{--share} it is TLS.

    C{end} are the words before a command that runs at one end of an emulated link, or on one core.
    """
    with tempfile.TemporaryDirectory() as folder:
        listen = ("--listen", f"tcp:0:interface={host}")
        state = ("--state-dir", folder) if "--share" in options else ()
        web = () if "--http" in options else ("--http", "off")
        command = [*end, *twistd("camstream", *listen, *state, *web, *options)]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            port, key = _announced(process.stdout or (), "--share" in options)
            # Keep reading, so that the server never blocks on its output.
            drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
            yield Server(process.pid, port, ("--host", host, "--port", str(port), *(("--key", key) if key else ())))
        finally:
            process.terminate()
            status = process.wait()
            drain.wait()
            print(f"server: exit status {status}", file=sys.stderr)


def _announced(lines: Iterable[str], is_shared: bool) -> tuple[int, str]:
    """The port and the key that a server prints."""
    port, key = 0, ""
    for line in lines:
        port = int(found[1]) if (found := re.search(r"listening on [\d.]+:(\d+)", line)) else port
        key = found[1] if (found := re.search(r"--key (\S+)", line)) else key
        if port and (key or not is_shared):
            return port, key
    raise RuntimeError("the server did not start")


def watch(words: Iterable[str], frames: int, end: Iterable[str] = ()) -> dict[str, float]:
    """What a headless viewer saw in C{frames} frames: fps, dropped, and the median and p99 age in ms."""
    command = [*end, *twistd("camstream-client", *words, "--headless", "--frames", str(frames))]
    output = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False).stdout
    found = _REPORT.search(output)
    if found is None:
        raise RuntimeError(f"the viewer reported nothing: {output[-500:]}")
    return dict(zip(("frames", "seconds", "fps", "dropped", "age", "age_p99"), map(float, found.groups()), strict=True))
