"""
All measurements that need nothing but this machine: python -m benchmarks [--only fanout,age]

Each is a command of its own as well, such as python -m benchmarks.fanout, with options. Not among them, since they need
root, a camera, a browser or an hour: unplug, cut, real_camera, web, browser and soak.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys

_COMMANDS = {
    "framing": [],
    "picture": [],
    "age": [],
    "slow_viewer": ["--seconds", "10"],
    "fanout": ["--only", "floor,ours"],
    "faults": [],
}


def main() -> None:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(_COMMANDS))
    names = parser.parse_args().only.split(",")
    unknown = set(names) - set(_COMMANDS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there is: {', '.join(_COMMANDS)}")
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in names:
        print(f"\n{name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *_COMMANDS[name]], check=True)


if __name__ == "__main__":
    main()
