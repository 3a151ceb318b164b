"""The process of a command: its output, its monotonic clock, its limit on open files, and its end on SIGHUP."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from twistedcam.app import output

log = Logger()

_DESCRIPTORS = 65_536


def prepare(reactor: Any) -> None:
    """Prepare C{reactor}, which does not run yet, and its process for a command: output, clock, open files, SIGHUP."""
    output.install(reactor)
    keep_time(reactor)
    _let_stop_again(reactor)
    _raise_file_limit()
    reactor.callWhenRunning(_end_on_hangup, reactor)


def keep_time(reactor: Any) -> None:
    """Make C{reactor}, which does not run yet, measure time by a monotonic clock."""
    # Twisted's reactors use the time of day: if that is set back by an hour,
    # a call that was due in a second comes an hour late.
    reactor.seconds = time.monotonic


def _let_stop_again(reactor: Any) -> None:
    # Each signal stops the reactor, for which the second one would be an error with a traceback in the log.
    reactor.stop = partial(_stop_once, reactor.stop)


def _stop_once(stop: Callable[[], None]) -> None:
    with contextlib.suppress(ReactorNotRunning):  # it is stopping already
        stop()


def _raise_file_limit() -> None:
    # Each viewer takes a file descriptor, and many systems allow 1,024 unless a process asks for more.
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no limits, macOS refuses some values
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
        if resource.RLIM_INFINITY != soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def connection_limit(cameras: int) -> int:
    """
    How many connections this process may have: its soft limit on open files, less what the rest of it needs.

    That is 16 files, 4 for each of C{cameras}, and a reserve of a quarter of the limit, at most 128: in one turn of the
    reactor Twisted accepts a hundred connections, and those that make room for them are closed in the next turn. The
    result is at least 8.
    """
    try:
        import resource
    except ImportError:  # Windows, whose select() waits for at most 512 sockets
        return 500
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        soft = _DESCRIPTORS
    return max(8, soft - (16 + 4 * cameras + min(soft // 4, 128)))


def _end_on_hangup(reactor: Any) -> None:
    hangup = getattr(signal, "SIGHUP", None)
    # Under nohup it is ignored, and has to stay ignored.
    if hangup is None or signal.getsignal(hangup) != signal.SIG_DFL:
        return

    def end(number: int, frame: FrameType | None) -> None:
        log.info("the terminal was closed (SIGHUP)")
        reactor.sigTerm(number, frame)

    signal.signal(hangup, end)


def leave(reactor: Any, status: int) -> None:
    """Stop C{reactor} and its services, and end the process of a command with this exit status."""
    atexit.register(_exit, status)
    reactor.callWhenRunning(_stop_once, reactor.stop)


def _exit(status: int) -> None:
    # twistd exits with 0 whatever happened, except after a signal, and has no option to change that. With any status: a
    # thread that is in OpenCV while the interpreter ends would abort the process.
    output.finish()
    os._exit(status)
