"""How the process of a command keeps time, and how it ends when its terminal does."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

from twisted.logger import Logger

log = Logger()


def prepare(reactor: Any) -> None:
    """Make C{reactor}, which does not run yet, the one of a command: it keeps time, and ends cleanly on SIGHUP."""
    keep_time(reactor)
    reactor.callWhenRunning(_end_on_hangup, reactor)


def keep_time(reactor: Any) -> None:
    """Make C{reactor}, which does not run yet, measure time steadily, whatever the clock is set to."""
    # Twisted's reactors go by the time of day: with that set back by an hour, whatever
    # was to be done in a second would be done in an hour and a second.
    reactor.seconds = time.monotonic


def _end_on_hangup(reactor: Any) -> None:
    hangup = getattr(signal, "SIGHUP", None)
    # Under nohup it is ignored, and has to stay so.
    if hangup is None or signal.getsignal(hangup) != signal.SIG_DFL:
        return

    def end(number: int, frame: FrameType | None) -> None:
        log.info("the terminal is gone (SIGHUP)")
        reactor.sigTerm(number, frame)

    signal.signal(hangup, end)
