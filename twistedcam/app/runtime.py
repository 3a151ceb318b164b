"""How the process of a command keeps time, how much it may open, and how it ends when its terminal does."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

log = Logger()

_DESCRIPTORS = 65_536


def prepare(reactor: Any) -> None:
    """Make C{reactor}, which does not run yet, that of a command: it keeps time, may open much, and ends on SIGHUP."""
    keep_time(reactor)
    _open_as_many_as_allowed()
    reactor.callWhenRunning(_end_on_hangup, reactor)


def keep_time(reactor: Any) -> None:
    """Make C{reactor}, which does not run yet, measure time steadily, whatever the clock is set to."""
    # Twisted's reactors go by the time of day: with that set back by an hour, whatever
    # was to be done in a second would be done in an hour and a second.
    reactor.seconds = time.monotonic


def _open_as_many_as_allowed() -> None:
    # A viewer takes a descriptor, and many systems give 1,024 to who does not ask for more.
    with contextlib.suppress(ImportError, OSError, ValueError):  # none of this on Windows, and not all on macOS
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
        if resource.RLIM_INFINITY != soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _end_on_hangup(reactor: Any) -> None:
    hangup = getattr(signal, "SIGHUP", None)
    # Under nohup it is ignored, and has to stay so.
    if hangup is None or signal.getsignal(hangup) != signal.SIG_DFL:
        return

    def end(number: int, frame: FrameType | None) -> None:
        log.info("the terminal is gone (SIGHUP)")
        reactor.sigTerm(number, frame)

    signal.signal(hangup, end)


def leave(reactor: Any, status: int) -> None:
    """Stop C{reactor} and its services, and end the process of a command with this exit status."""
    if status:
        atexit.register(_exit, status)
    reactor.callWhenRunning(_stop, reactor)


def _stop(reactor: Any) -> None:
    with contextlib.suppress(ReactorNotRunning):  # it is stopping already
        reactor.stop()


def _exit(status: int) -> None:
    # twistd exits with 0 whatever happened, except after a signal, and offers no other way.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
