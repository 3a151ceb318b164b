"""Real processes for tests: they are started, their output is read, and they are ended with the test."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase


class Running(ProcessProtocol):
    """A running process: its output until now, and how it ended."""

    def __init__(self) -> None:
        self.output = ""
        self.signalled: int | None = None  # what ended it, if it was a signal
        self.ended: Deferred[int] = Deferred()
        self._awaited: list[tuple[str, Deferred[re.Match[str]]]] = []

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        self.output += data.decode(errors="replace")
        self._tell()

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        status = 0 if reason.check(ProcessDone) else getattr(reason.value, "exitCode", None)
        self.signalled = getattr(reason.value, "signal", None)
        for _, told in self._awaited:
            told.errback(AssertionError(f"the process ended with {status} and said: {self.output}"))
        self._awaited = []
        self.ended.callback(-1 if status is None else status)

    def said(self, pattern: str) -> Deferred[re.Match[str]]:
        """Return a Deferred that fires with the match when C{pattern} is found in the output."""
        told: Deferred[re.Match[str]] = Deferred()
        self._awaited.append((pattern, told))
        self._tell()
        return told

    def signal(self, name: str) -> None:
        """Send a signal; if the process is gone, nothing happens."""
        with contextlib.suppress(ProcessExitedAlready):
            self.transport.signalProcess(signal.Signals[f"SIG{name}"])  # type: ignore[union-attr]

    def _tell(self) -> None:
        for pattern, told in tuple(self._awaited):
            found = re.search(pattern, self.output)
            if found:
                self._awaited.remove((pattern, told))
                told.callback(found)


class ProcessTestCase(TestCase):
    """A test with real processes in a folder of its own."""

    timeout = 180  # many start two processes several times, which takes half of this on a busy machine

    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)

    def start(self, program: str, *words: str, shell: str = "", web_face: str = "off") -> Running:
        """Start a program of this Python's folder, or a Python file of this one; C{shell} commands are run before."""
        running = Running()
        here = os.path.dirname(os.path.abspath(__file__))
        command = os.path.join(os.path.dirname(sys.executable), program)
        if "camstream" in words and "--http" not in words and web_face == "off":
            at = words.index("camstream") + 1
            words = (*words[:at], "--http", "off", *words[at:])  # all tests would share its usual port
        arguments = [command, *words]
        if program.endswith(".py"):
            arguments = [sys.executable, os.path.join(here, program), *words]
        if shell:
            arguments = ["/bin/sh", "-c", f'{shell} && exec "$@"', "sh", *arguments]
        environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
        environment |= {"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.path.join(here, "plugins")}
        reactor.spawnProcess(running, arguments[0], arguments, environment, self.folder)
        self.addCleanup(self.finish, running)
        return running

    def script(self, text: str, *words: str) -> Running:
        """Start a Python script that consists of C{text}."""
        with open(os.path.join(self.folder, "script.py"), "w") as file:
            file.write(text)
        return self.start("python", "script.py", *words)

    def finish(self, running: Running) -> Deferred[int]:
        """End a process."""
        running.signal("KILL")
        return running.ended

    def twistd(self, *words: str) -> Running:
        """C{twistd -n} with C{words}."""
        return self.start("twistd", "-n", *words)

    def serve(self, *options: str) -> Running:
        """A server on C{unix:camera} in the test's folder, where no other test interferes."""
        return self.twistd("camstream", "--listen", "unix:camera", *options)

    def watch(self, *options: str) -> Running:
        """A headless viewer of that server."""
        return self.twistd("camstream-client", "--endpoint", "unix:camera", "--headless", *options)


def turn() -> Deferred[None]:
    """Return a Deferred that fires in the reactor's next iteration."""
    return deferLater(reactor, 0.001)
