"""
What the viewer's window costs, compared with ffplay: python -m benchmarks.viewer [--sizes 640x480,1920x1080,3840x2160]

A clip of 30 a second, served at each size to our viewer and, over HTTP, to ffplay, one after the other, each in a
window of a virtual X server. Prints the CPU time of the viewer's process per picture of the stream, and how long it
takes to end after q was pressed. Needs Xvfb, xdotool and ffmpeg.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.files import make
from benchmarks.processes import cpu_share, free_port, server, twistd

_FPS = 30


@contextlib.contextmanager
def screen() -> Iterator[dict[str, str]]:
    """An X server; yields the environment for programs that use it."""
    reading, writing = os.pipe()
    words = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "3840x2160x24"]
    process = subprocess.Popen(words, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as number:
        display = f":{number.readline().strip()}"
    yield {**os.environ, "DISPLAY": display, "SDL_AUDIODRIVER": "dummy"}
    process.terminate()
    process.wait()


def measure(command: list[str], title: str, environment: dict[str, str], seconds: float) -> tuple[float, float]:
    """CPU milliseconds per picture of the stream, and seconds from q to the end of the process."""
    folder = tempfile.gettempdir()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=quiet, stderr=quiet)
    try:
        find = ["xdotool", "search", "--sync", "--onlyvisible", "--name", title]
        window = subprocess.run(find, env=environment, capture_output=True, text=True, check=True, timeout=30).stdout
        time.sleep(2)
        taken = cpu_share(process.pid, seconds)
        pressed = time.monotonic()
        words = ["xdotool", "windowfocus", window.split()[0], "key", "q"]
        subprocess.run(words, env=environment, check=True, capture_output=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        return taken / _FPS * 1e3, time.monotonic() - pressed
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Measure both at each size and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="640x480,1920x1080,3840x2160")
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, screen() as environment:
        for size in options.sizes.split(","):
            path = Path(folder, f"{size}.mp4")
            make(path, size, _FPS, 15)
            web = free_port()
            words = ("--camera", str(path), "--width", "0", "--http", f"tcp:{web}:interface=127.0.0.1")
            with server(*words) as serving:
                ours = twistd("camstream-client", *serving.words)
                theirs = ["ffplay", "-fflags", "nobuffer", "-flags", "low_delay", f"http://127.0.0.1:{web}/stream"]
                mine, end = measure(ours, "RECEIVING VIDEO", environment, options.seconds)
                other, other_end = measure(theirs, "stream", environment, options.seconds)
            print(
                f"{size}: ours {mine:.1f} ms for a picture, ended {end:.2f} s after q; ffplay {other:.1f} ms, "
                f"{other_end:.2f} s: {mine / other:.2f} x",
                flush=True,
            )


if __name__ == "__main__":
    main()
