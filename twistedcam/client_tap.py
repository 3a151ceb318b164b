"""C{twistd camstream-client}: the viewer's options, and how its parts are put together."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

from twisted.internet.endpoints import clientFromString
from twisted.python import usage

from twistedcam import snapshot
from twistedcam.display import DisplayError, OpenCVDisplay, check_display
from twistedcam.options import drop_default_pidfile, number
from twistedcam.program import Program
from twistedcam.snapshot import SnapshotError

TITLE = "RECEIVING VIDEO"


class Options(usage.Options):  # type: ignore[misc]
    """What C{twistd camstream-client} understands."""

    longdesc = (
        "Shows a camera of a camstream server as it is now. "
        "Keys: q or Esc quit, s snapshot, f full screen, i fps, age, frames dropped, camera."
    )

    optParameters = [
        ["host", "H", "127.0.0.1", "The server's name or address."],
        ["port", "p", 9999, "The server's TCP port.", number("port", int, 1, 65535)],
        ["endpoint", None, None, "A client endpoint string, in place of --host and --port."],
        ["camera", "c", "", "Which camera, where the server has several."],
        ["frames", None, 0, "Stop with exit status 0 after so many frames.", number("frames", int, 1, 10**9)],
        ["snapshot", None, None, "Write one picture to this JPEG file and stop."],
        ["max-message", None, 64, "The largest message to accept, in MiB.", number("max-message", int, 1, 4096)],
    ]
    optFlags = [
        ["headless", None, "Open no window."],
        ["allow-pickle", None, "Accept the tutorial server's pickles, of uint8 arrays only."],
    ]

    def postOptions(self) -> None:
        """Check what can be checked before anything starts."""
        if self["endpoint"] is not None:
            self._check_endpoint()
        if self["snapshot"] is not None:
            self["snapshot"] = os.path.abspath(self["snapshot"])
            try:
                snapshot.check_path(self["snapshot"])
            except SnapshotError as problem:
                raise usage.UsageError(f"--snapshot: {problem}") from None
        if self.opens_window():
            try:
                check_display()
            except DisplayError as problem:
                raise usage.UsageError(f"{problem}: use --headless where there is no screen") from None
        drop_default_pidfile(self, only_in_foreground=False)

    def opens_window(self) -> bool:
        """Whether what was asked for takes a window."""
        return not self["headless"] and self["snapshot"] is None

    def _check_endpoint(self) -> None:
        from twisted.internet import reactor

        try:
            clientFromString(reactor, self["endpoint"])
        except Exception as problem:  # each kind of endpoint has errors of its own
            advice = "write it like tcp:HOST:9999"
            raise usage.UsageError(f"--endpoint: {self['endpoint']!r} is no endpoint ({problem}): {advice}") from None


def makeService(options: Options, reactor: Any = None) -> Program:
    """The viewer as a service, which ends the process when it is done."""
    if reactor is None:
        from twisted.internet import reactor

    def leave(status: int) -> None:
        if status:
            atexit.register(_exit, status)
        reactor.callWhenRunning(reactor.stop)

    return Program(options, reactor, leave, OpenCVDisplay(TITLE) if options.opens_window() else None)


def _exit(status: int) -> None:
    # twistd ends with 0 whatever happened, unless by a signal, and has no other way to say it.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
