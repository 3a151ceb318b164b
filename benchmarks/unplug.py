"""
What viewers see when a camera is unplugged repeatedly: python -m benchmarks.unplug [--times 10] [--disconnect]

Needs root and the kernel's vivid driver, whose camera is unbound from the driver and bound again; with --disconnect it
disappears as a USB camera does, by the driver's own control. Prints how soon NO SIGNAL was seen, how soon the camera
was live again, and the server's descriptors and threads after the first time and after the last.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import threading
import time
from pathlib import Path

from benchmarks.processes import server
from benchmarks.slow_viewer import Reader
from twistedcam.frame import LIVE, NO_SIGNAL

_DRIVER = Path("/sys/bus/platform/drivers/vivid")
_AWAY_SECONDS = 3.0
_PATIENCE_SECONDS = 30.0


def wait_for(reader: Reader, state: str, since: float) -> float:
    """Seconds from C{since} until C{reader} received a frame with that state."""
    while time.time() < since + _PATIENCE_SECONDS:
        for at, frame in reversed(reader.frames):
            if at < since:
                break
            if frame.state == state and (frame.captured or 0.0) >= since - 0.5:
                return at - since
        time.sleep(0.01)
    raise RuntimeError(f"no frame that is {state} came within {_PATIENCE_SECONDS:.0f} s")


def unplug(by_control: bool) -> None:
    """Unplug the camera."""
    if by_control:
        subprocess.run(["v4l2-ctl", "-d", "/dev/video0", "-c", "disconnect=1"], check=True)
    else:
        (_DRIVER / "unbind").write_text("vivid.0")


def plug_in(by_control: bool) -> None:
    """Plug the camera in again."""
    if by_control:
        (_DRIVER / "unbind").write_text("vivid.0")
    (_DRIVER / "bind").write_text("vivid.0")


def count(process: int) -> str:
    """The numbers of descriptors and threads."""
    folder = f"/proc/{process}"
    return f"{len(os.listdir(f'{folder}/fd'))} descriptors, {len(os.listdir(f'{folder}/task'))} threads"


def main() -> None:
    """Unplug and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--disconnect", action="store_true")
    options = parser.parse_args()
    with server("--camera", "0", "--width", "160") as serving:
        reader = Reader(serving.port, 0, time.monotonic() + 3600)
        threading.Thread(target=reader.run, daemon=True).start()
        wait_for(reader, LIVE, time.time())
        lost, live = [], []
        for number in range(1, options.times + 1):
            away = time.time()
            unplug(options.disconnect)
            lost.append(wait_for(reader, NO_SIGNAL, away))
            time.sleep(_AWAY_SECONDS)
            back = time.time()
            plug_in(options.disconnect)
            live.append(wait_for(reader, LIVE, back))
            time.sleep(1)
            held = count(serving.process)
            print(f"{number}: NO SIGNAL after {lost[-1]:.2f} s, live {live[-1]:.2f} s after it was back, {held}")
            del reader.frames[:-1]
        for what, seconds in (("NO SIGNAL", lost), ("live again", live)):
            print(f"{what}: median {statistics.median(seconds):.2f} s, largest {max(seconds):.2f} s")


if __name__ == "__main__":
    main()
