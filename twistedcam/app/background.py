"""Twisted's reactor in a thread of its own, for scripts that do not use Twisted."""

from __future__ import annotations

import threading
from typing import Any

from twisted.logger import STDLibLogObserver, globalLogBeginner

from twistedcam.app import runtime

_lock = threading.Lock()


def running_reactor() -> Any:
    """The global reactor. If it is not running yet, it is started in a daemon thread."""
    # A script has no way to pass us a reactor.
    from twisted.internet import reactor

    with _lock:
        if not reactor.running:
            runtime.keep_time(reactor)
            # Scripts log by Python's logging. Twisted would keep all events in memory until logging begins.
            globalLogBeginner.beginLoggingTo([STDLibLogObserver("twistedcam")], redirectStandardIO=False)
            is_running = threading.Event()
            reactor.callWhenRunning(is_running.set)
            run = reactor.run
            threading.Thread(target=run, args=(False,), name="twistedcam", daemon=True).start()
            is_running.wait()
    return reactor
