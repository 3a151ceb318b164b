"""Twisted's reactor in a thread of its own, for scripts that do not use Twisted."""

from __future__ import annotations

import threading
from typing import Any

from twisted.logger import STDLibLogObserver, globalLogBeginner

from twistedcam.app import runtime

_lock = threading.Lock()


def running_reactor() -> Any:
    """The global reactor. If nothing runs it yet, a daemon thread does from the first call on."""
    # A script has no other place to give us one.
    from twisted.internet import reactor

    with _lock:
        if not reactor.running:
            runtime.keep_time(reactor)
            # A script's log is Python's own. Twisted would keep all events in memory until logging begins.
            globalLogBeginner.beginLoggingTo([STDLibLogObserver("twistedcam")], redirectStandardIO=False)
            is_running = threading.Event()
            reactor.callWhenRunning(is_running.set)
            run = reactor.run
            threading.Thread(target=run, args=(False,), name="twistedcam", daemon=True).start()
            is_running.wait()
    return reactor
