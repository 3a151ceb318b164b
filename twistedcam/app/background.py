"""Twisted's reactor in a thread of its own, for scripts that do not know it."""

from __future__ import annotations

import threading
from typing import Any

from twisted.logger import STDLibLogObserver, globalLogBeginner

from twistedcam.app import runtime

_lock = threading.Lock()


def running_reactor() -> Any:
    """The reactor: the one that runs, or ours, run in a daemon thread from the first call on."""
    # A script has no other place where it could be given one.
    from twisted.internet import reactor

    with _lock:
        if not reactor.running:  # type: ignore[attr-defined]
            runtime.keep_time(reactor)
            # To Python's own logging, where a script's log is; until logging begins, Twisted keeps it all.
            globalLogBeginner.beginLoggingTo([STDLibLogObserver("twistedcam")], redirectStandardIO=False)
            runs = threading.Event()
            reactor.callWhenRunning(runs.set)  # type: ignore[attr-defined]
            run = reactor.run  # type: ignore[attr-defined]
            threading.Thread(target=run, args=(False,), name="twistedcam", daemon=True).start()
            runs.wait()
    return reactor
