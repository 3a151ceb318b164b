"""twistd, whose time of day is off by the number of seconds in the file "skew", if that exists."""

from __future__ import annotations

import os
import sys
import time

_real = time.time


def _skewed() -> float:
    try:
        with open("skew") as file:
            return _real() + float(file.read() or 0)
    except FileNotFoundError:
        return _real()


time.time = _skewed

from twisted.scripts.twistd import run  # noqa: E402 - Twisted takes the time of day when it is imported

sys.argv[0] = os.path.join(os.path.dirname(sys.executable), "twistd")
run()
