"""What a command sets up in its process."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.app import output, runtime


class FakeReactor:
    """A reactor that does not run."""

    def __init__(self) -> None:
        self.seconds: Any = time.time
        self.when_running: list[tuple[Any, ...]] = []
        self.ended_by: int | None = None

    def callWhenRunning(self, *call: Any) -> None:  # noqa: N802
        """Keep the call."""
        self.when_running.append(call)

    def sigTerm(self, number: int, frame: object) -> None:  # noqa: N802
        """Record the signal."""
        self.ended_by = number


class StoppableReactor(FakeReactor):
    """A reactor that can be stopped once."""

    stops = 0

    def stop(self) -> None:
        """Stop, or say that it has been stopped."""
        if self.stops:
            raise ReactorNotRunning
        self.stops += 1


class PrepareTests(SynchronousTestCase):
    """Clock, open files and SIGHUP."""

    def setUp(self) -> None:
        self.limits: list[tuple[int, int]] = []
        self.limit = (1024, 4096)
        self.signals: dict[int, Any] = {signal.SIGHUP: signal.SIG_DFL}
        fake = SimpleNamespace(
            RLIMIT_NOFILE=7,
            RLIM_INFINITY=-1,
            getrlimit=lambda which: self.limit,
            setrlimit=lambda which, limits: self.limits.append(limits),
        )
        self.patch_module("resource", fake)
        self.queued: list[Any] = []
        self.patch(output, "install", self.queued.append)
        self.patch(signal, "getsignal", self.signals.get)
        self.patch(signal, "signal", self.signals.__setitem__)
        self.reactor = StoppableReactor()

    def patch_module(self, name: str, module: Any) -> None:
        """Make C{import name} return C{module} in this test, or fail if that is None."""
        patched = mock.patch.dict(sys.modules, {name: module})
        patched.start()
        self.addCleanup(patched.stop)

    def prepare(self) -> None:
        """Prepare the reactor, and let it run."""
        runtime.prepare(self.reactor)
        for function, *args in self.reactor.when_running:
            function(*args)

    def test_clock(self) -> None:
        """The reactor's time is a monotonic clock's."""
        self.prepare()
        self.assertIs(self.reactor.seconds, time.monotonic)

    def test_output(self) -> None:
        """The standard streams are made such that nobody has to read them."""
        self.prepare()
        self.assertEqual(self.queued, [self.reactor])

    def test_open_files(self) -> None:
        """As many files may be open as the system allows, within reason; a limit that is higher already stays."""
        for limit, expected in (
            ((1024, 4096), [(4096, 4096)]),
            ((1024, 1_000_000), [(65_536, 1_000_000)]),
            ((1024, -1), [(65_536, -1)]),
            ((100_000, 1_000_000), []),
            ((-1, -1), []),
        ):
            self.limit, self.limits = limit, []
            self.prepare()
            self.assertEqual(self.limits, expected)

    def test_connection_limit(self) -> None:
        """Some files are kept back for the process itself and its cameras, and a few connections are always left."""
        for limit, cameras, expected in (
            ((256, 256), 1, 172),
            ((256, 4096), 3, 164),
            ((16, 16), 1, 8),
            ((65_536, 65_536), 1, 65_388),
            ((-1, -1), 1, 65_388),
        ):
            self.limit = limit
            self.assertEqual(runtime.connection_limit(cameras), expected)

    def test_without_limits(self) -> None:
        """A system without such limits is no error."""
        self.patch_module("resource", None)
        self.prepare()
        self.assertEqual((self.limits, runtime.connection_limit(1)), ([], 500))

    def test_hangup(self) -> None:
        """SIGHUP ends the reactor as SIGTERM does."""
        self.prepare()
        self.signals[signal.SIGHUP](signal.SIGHUP, None)
        self.assertEqual(self.reactor.ended_by, signal.SIGHUP)

    def test_second_signal(self) -> None:
        """Stopping what stops already is no error."""
        self.prepare()
        self.reactor.stop()
        self.reactor.stop()
        self.assertEqual(self.reactor.stops, 1)

    def test_nohup(self) -> None:
        """A SIGHUP that is ignored stays ignored."""
        self.signals[signal.SIGHUP] = signal.SIG_IGN
        self.prepare()
        self.assertEqual(self.signals, {signal.SIGHUP: signal.SIG_IGN})


class LeaveTests(SynchronousTestCase):
    """The end of a command with an exit status."""

    def setUp(self) -> None:
        self.at_exit: list[tuple[Any, ...]] = []
        self.patch(atexit, "register", lambda *call: self.at_exit.append(call))
        self.reactor = StoppableReactor()

    def leave(self, status: int) -> None:
        """Leave, and let the reactor run."""
        runtime.leave(self.reactor, status)
        for function, *args in self.reactor.when_running:
            function(*args)

    def test_status(self) -> None:
        """The reactor is stopped, and the process ends with the status, when its output is written."""
        for status in (0, 3):
            self.setUp()
            ends: list[object] = []
            self.patch(os, "_exit", ends.append)
            self.patch(output, "finish", lambda ends=ends: ends.append("written"))
            self.leave(status)
            ((function, *args),) = self.at_exit
            function(*args)
            self.assertEqual((self.reactor.stops, ends), (1, ["written", status]))

    def test_twice(self) -> None:
        """Leaving while the reactor is stopping already is no error."""
        self.leave(0)
        self.leave(0)
        self.assertEqual(self.reactor.stops, 1)
