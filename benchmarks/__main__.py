"""
Run all benchmarks that need only one machine: python -m benchmarks [--only fanout,age] [--save FOLDER]

It takes about 45 minutes. Each benchmark is also a command of its own, such as python -m benchmarks.fanout, with
options; its docstring says what it compares and needs: a C compiler, the peers (pip install -e '.[benchmarks]' and
GStreamer), root for links and adapt, ffmpeg, Xvfb and xdotool for files and viewer. Not included are unplug, cut,
real_camera, web, browser and soak, which need a camera, a browser or an hour. --save keeps the results for
benchmarks.tables and benchmarks.plots.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

_COMMANDS = {
    "start": [],
    "framing": [],
    "picture": [],
    "files": [],
    "age": ["--viewers", "1,10,100,500,2000"],
    "fanout": ["--seconds", "4"],
    "workers": ["--viewers", "500,2000"],
    "slow_viewer": ["--seconds", "10"],
    "links": ["--seconds", "12"],
    "adapt": [],
    "viewer": [],
    "faults": [],
}
_PLOTTED = {"links", "fanout"}


def main() -> None:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(_COMMANDS))
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    names = options.only.split(",")
    unknown = set(names) - set(_COMMANDS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there is: {', '.join(_COMMANDS)}")
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in names:
        print(f"\n{name}", flush=True)
        keep = ["--save", str(options.save / f"{name}.jsonl")] if options.save and name in _PLOTTED else []
        command = [sys.executable, "-m", f"benchmarks.{name}", *_COMMANDS[name], *keep]
        if subprocess.run(command, check=False).returncode:
            print(f"{name} was not measured to its end")


if __name__ == "__main__":
    main()
