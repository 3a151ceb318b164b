"""A real X server without a screen, Xvfb, for the tests of several packages."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure


class XServer(ProcessProtocol):
    """A running Xvfb, which chooses its number."""

    def __init__(self) -> None:
        self.display: Deferred[str] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self._said = b""

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        self._said += data
        if childFD == 3 and self._said.endswith(b"\n"):
            self.display.callback(f":{int(self._said.split()[-1])}")

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        if not self.display.called:
            self.display.errback(reason)
        self.ended.callback(None)

    def count_clients(self) -> int:
        """How many programs are connected to it."""
        path, connected = f"/tmp/.X11-unix/X{int(self._said.split()[-1])}", "03"
        lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        return sum(line[5] == connected and line[-1].lstrip("@") == path for line in lines[1:])

    def kill(self) -> Deferred[None]:
        """End it."""
        with contextlib.suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")  # type: ignore[union-attr]
        return self.ended


def start_x(*options: str) -> XServer:
    """Start a white screen of 320x240 pixels."""
    server = XServer()
    words = ["Xvfb", "-displayfd", "3", "-screen", "0", "320x240x24", "-wr", "-nolisten", "tcp", *options]
    reactor.spawnProcess(server, "Xvfb", words, dict(os.environ), childFDs={0: "w", 1: "r", 2: "r", 3: "r"})
    return server


def write_cookie(path: str) -> str:
    """Write a cookie for all displays to C{path}, for C{-auth} and XAUTHORITY, and return the absolute path."""
    name, cookie = b"MIT-MAGIC-COOKIE-1", b"0123456789abcdef"
    fields = (b"", b"", name, cookie)
    with open(path, "wb") as file:  # family, then address, number, name and data, each after its length
        file.write(b"\xff\xff" + b"".join(len(field).to_bytes(2, "big") + field for field in fields))
    return os.path.abspath(path)
