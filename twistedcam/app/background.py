"""Twisted's reactor in a thread of its own, for scripts that do not use Twisted."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import twisted.internet
from twisted.logger import STDLibLogObserver, globalLogBeginner
from twisted.python import threadable

from twistedcam.app import runtime
from twistedcam.errors import TwistedcamError

_REACTOR = "twisted.internet.reactor"

_lock = threading.Lock()
_logs = False
# The reactor that was installed when this process was forked from another, and whether it ran there. It is kept, and
# nothing of it is closed: its epoll object and its sockets are shared with that process.
_inherited: tuple[Any, bool] = (None, False)


class ReactorError(TwistedcamError, RuntimeError):
    """The reactor cannot be used in this way; the text says what to do instead."""


def _forked() -> None:
    global _lock, _inherited
    _lock = threading.Lock()  # another thread of the first process may have held it
    reactor: Any = sys.modules.get(_REACTOR)
    if reactor is not None:
        _inherited = (reactor, reactor.running)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def running_reactor(instead: str) -> Any:
    """
    The global reactor. If it is not running yet, it is started in a daemon thread; in a forked process, a new one is.

    Raises L{ReactorError} if it cannot be started, and in its own thread, where a script would wait for itself;
    C{instead} says what to do there.
    """
    with _lock:
        _forget_inherited()
        # A script has no way to pass us a reactor.
        from twisted.internet import reactor

        if not reactor.running:
            _start(reactor)
    refuse_in_thread_of(reactor, instead)
    return reactor


def is_in_thread_of(reactor: Any) -> bool:
    """Whether this is the thread in which C{reactor} runs."""
    return bool(reactor.running) and threadable.isInIOThread()


def refuse_in_thread_of(reactor: Any, instead: str) -> None:
    """Raise L{ReactorError} in the thread in which C{reactor} runs; C{instead} says what to do there."""
    if is_in_thread_of(reactor):
        raise ReactorError(f"this would wait for ever in the reactor's own thread: {instead}")


def _forget_inherited() -> None:
    """Uninstall a reactor whose thread was left behind by a fork, or that would share its epoll object."""
    reactor, ran = _inherited
    is_installed = reactor is not None and vars(twisted.internet).get("reactor") is reactor
    if is_installed and (ran or not reactor.running):
        del sys.modules[_REACTOR]
        del vars(twisted.internet)["reactor"]


def _start(reactor: Any) -> None:
    runtime.keep_time(reactor)
    _begin_logging()
    started = threading.Event()
    problems: list[Exception] = []

    def run() -> None:
        try:
            reactor.run(installSignalHandlers=False)
        except Exception as problem:
            problems.append(problem)
        started.set()

    reactor.callWhenRunning(started.set)
    threading.Thread(target=run, name="twistedcam", daemon=True).start()
    started.wait()
    if problems:
        reason = str(problems[0]) or type(problems[0]).__name__
        raise ReactorError(f"the reactor cannot be started ({reason}): use a new process, or start it yourself before")


def _begin_logging() -> None:
    # Scripts log by Python's logging. Twisted would keep all events in memory until logging begins.
    global _logs
    if not _logs:
        globalLogBeginner.beginLoggingTo([STDLibLogObserver("twistedcam")], redirectStandardIO=False)
    _logs = True
