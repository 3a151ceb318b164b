"""The two commands as real processes, for measurements."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_REPORT = re.compile(r"(\d+) frames in ([\d.]+) s, ([\d.]+) fps, (\d+) dropped, age ([\d.]+) ms \(p99 ([\d.]+) ms\)")


def twistd(*words: str) -> list[str]:
    """The command line of C{twistd -n} with C{words}, in this Python."""
    return [os.path.join(os.path.dirname(sys.executable), "twistd"), "-n", *words]


def cpu_seconds(process: int) -> float:
    """What a process has taken until now, all its threads and the kernel's work for it."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def milliseconds(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """The median time of C{function}, by C{clock}."""
    measured = []
    for _ in range(100):
        began = clock()
        function()
        measured.append(clock() - began)
    return statistics.median(measured) * 1000


@contextmanager
def server(*options: str) -> Iterator[int]:
    """A camstream server on a port of the kernel's choice, which is given; it ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        command = twistd("camstream", "--listen", "tcp:0:interface=127.0.0.1", *options)
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
                if found:
                    # Read on, so that the server never waits for us to.
                    drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
                    yield int(found[1])
                    break
            else:
                raise RuntimeError("the server did not start")
        finally:
            process.terminate()
            status = process.wait()
            drain.wait()
            print(f"server: exit status {status}")


def watch(port: int, frames: int) -> dict[str, float]:
    """What a headless viewer saw in C{frames} frames: fps, dropped, and the median and p99 age in ms."""
    command = twistd("camstream-client", "--port", str(port), "--headless", "--frames", str(frames))
    output = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False).stdout
    found = _REPORT.search(output)
    if found is None:
        raise RuntimeError(f"the viewer reported nothing: {output[-500:]}")
    return dict(zip(("frames", "seconds", "fps", "dropped", "age", "age_p99"), map(float, found.groups()), strict=True))
