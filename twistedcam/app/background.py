"""Twisted's reactor in a thread of its own, for scripts that do not use Twisted."""

from __future__ import annotations

import os
import threading
from typing import Any

from twisted.logger import STDLibLogObserver, globalLogBeginner
from twisted.python.threadable import isInIOThread

from twistedcam.app import runtime

_FORKED = (
    "this process was forked from one whose connections run in a thread, which a fork does not copy: start it by "
    'multiprocessing.set_start_method("spawn"), or use twistedcam only after the fork'
)

_lock = threading.Lock()
_started_in: int | None = None  # the process in which the reactor was started by us


class NoReactorError(RuntimeError):
    """There is no reactor that could be waited for; the text says why, and what to do."""


def running_reactor() -> Any:
    """
    The global reactor. If it is not running yet, it is started in a daemon thread.

    Raises L{NoReactorError} in the reactor's own thread, and in a process that was forked after the start.
    """
    # A script has no way to pass us a reactor.
    from twisted.internet import reactor

    global _started_in
    check_can_wait(_started_in)
    with _lock:
        if not reactor.running:
            _started_in = os.getpid()
            runtime.keep_time(reactor)
            # Scripts log by Python's logging. Twisted would keep all events in memory until logging begins.
            globalLogBeginner.beginLoggingTo([STDLibLogObserver("twistedcam")], redirectStandardIO=False)
            is_running = threading.Event()
            reactor.callWhenRunning(is_running.set)
            run = reactor.run
            threading.Thread(target=run, args=(False,), name="twistedcam", daemon=True).start()
            is_running.wait()
    return reactor


def is_reactor_thread() -> bool:
    """Whether this is the thread in which the global reactor runs."""
    from twisted.internet import reactor

    return bool(reactor.running) and isInIOThread()


def check_can_wait(process: int | None) -> None:
    """
    Raise L{NoReactorError} in the reactor's thread, and in a process other than that with the number C{process}, in
    which the reactor was started by us; None if it was not.
    """
    if process not in (None, os.getpid()):
        raise NoReactorError(_FORKED)
    if is_reactor_thread():
        raise NoReactorError("this is the reactor's thread, which must not wait: use twistedcam.watch here")
