"""C{twistd camstream-client}: the viewer's options, and how its parts are put together."""

from __future__ import annotations

import atexit
import getpass
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import clientFromString
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust
from twisted.python import usage

from twistedcam import recording
from twistedcam.access.credentials import NoCredentials, PasswordCredentials, use_key
from twistedcam.access.sharekey import KeyTextError
from twistedcam.app import runtime
from twistedcam.app.options import GroupedOptions, drop_default_pidfile, number
from twistedcam.client import snapshot
from twistedcam.client.app import Program
from twistedcam.client.display import DisplayError, OpenCVDisplay, check_display
from twistedcam.client.snapshot import SnapshotError
from twistedcam.recording import RecordingError

TITLE = "RECEIVING VIDEO"
PASSWORD_VARIABLE = "TWISTEDCAM_PASSWORD"
KEY_VARIABLE = "TWISTEDCAM_KEY"
_EVERY = number("snapshot-every", float, 0.1, 10**6)


class Options(GroupedOptions):
    """What C{twistd camstream-client} understands."""

    longdesc = (
        "Shows a camera of a camstream server as it is now. "
        "Keys: q or Esc quit, s snapshot, r record, n next camera, f full screen, "
        "i fps, age, frames dropped, camera."
    )

    groups = {
        "The server": ("host", "port", "endpoint", "camera", "list"),
        "To be let in": ("key", "tls", "ca", "user", "password-file"),
        "What to do with the pictures": ("headless", "frames", "record", "snapshot", "snapshot-every"),
        "What to accept": ("no-adapt", "allow-pickle", "max-message"),
    }

    optParameters = [
        ["host", "H", "127.0.0.1", "The server's name or address."],
        ["port", "p", 9999, "The server's TCP port.", number("port", int, 1, 65535)],
        ["endpoint", None, None, "A client endpoint string, in place of --host and --port."],
        ["camera", "c", "", "Which camera, where the server has several."],
        [
            "key",
            "k",
            None,
            f"The key of a shared camera, as its server shows it; - to be asked for it, or set {KEY_VARIABLE}.",
        ],
        ["ca", None, None, "A PEM file with the authority of the server's certificate; with --tls."],
        ["user", "u", None, "The name to log in with; the password is asked for."],
        ["password-file", None, None, f"Where to read the password; or set {PASSWORD_VARIABLE}."],
        ["frames", None, 0, "Stop with exit status 0 after so many frames.", number("frames", int, 1, 10**9)],
        ["snapshot", None, None, "Write one picture to this JPEG file and stop."],
        ["snapshot-every", None, 0.0, "Write a picture here every so many seconds.", _EVERY],
        ["record", None, None, "Write the video to this new Matroska file (.mkv)."],
        ["max-message", None, 64, "The largest message to accept, in MiB.", number("max-message", int, 1, 4096)],
    ]
    optFlags = [
        ["list", None, "Print the names of the server's cameras and stop."],
        ["no-adapt", None, "Take full pictures, however few of them, where the link is slow."],
        ["headless", None, "Open no window."],
        ["tls", None, "Speak TLS, and check the server's certificate."],
        ["allow-pickle", None, "Accept the tutorial server's pickles, of uint8 arrays only."],
    ]

    def postOptions(self) -> None:
        """Check what can be checked before anything starts."""
        if self["endpoint"] is not None:
            self._check_endpoint()
        self._check_access()
        if self["snapshot"] is not None:
            self["snapshot"] = os.path.abspath(self["snapshot"])
            try:
                snapshot.check_path(self["snapshot"])
            except SnapshotError as problem:
                raise usage.UsageError(f"--snapshot: {problem}") from None
        if self["record"] is not None:
            self["record"] = os.path.abspath(self["record"])
            try:
                recording.check_path(self["record"])
            except RecordingError as problem:
                raise usage.UsageError(f"--record: {problem}") from None
        if self.opens_window():
            try:
                check_display()
            except DisplayError as problem:
                raise usage.UsageError(f"{problem}: use --headless where there is no screen") from None
        drop_default_pidfile(self, only_in_foreground=False)

    def _check_access(self) -> None:
        """Make of the options what the connection needs: tls_context, and make_credentials."""
        self["tls_context"], self["make_credentials"] = None, NoCredentials
        if self["key"] is not None and (self["tls"] or self["user"]):
            raise usage.UsageError("--key: a key needs neither --tls nor --user, leave them out")
        if self["ca"] is not None and not self["tls"]:
            raise usage.UsageError("--ca: it is of use with --tls only")
        if self["key"] is not None:
            self._use_key()
        if self["tls"]:
            self["tls_context"] = optionsForClientTLS(self["host"], trustRoot=self._authority())
        if self["user"] is not None:
            self["make_credentials"] = partial(PasswordCredentials, self["user"], self._password())

    def _use_key(self) -> None:
        key = _ask("--key", KEY_VARIABLE, "Key of the shared camera: ") if self["key"] == "-" else self["key"]
        try:
            self["tls_context"], self["make_credentials"] = use_key(key)
        except KeyTextError as problem:
            raise usage.UsageError(f"--key: {problem}") from None

    def _authority(self) -> Any:
        if self["ca"] is None:
            return platformTrust()
        try:
            return Certificate.loadPEM(Path(self["ca"]).read_bytes())
        except OSError as problem:
            raise usage.UsageError(f"--ca: {self['ca']}: {problem.strerror}") from None
        except Exception:  # pyOpenSSL's own
            raise usage.UsageError(f"--ca: {self['ca']} holds no certificate in PEM") from None

    def _password(self) -> str:
        if self["password-file"] is not None:
            try:
                return Path(self["password-file"]).read_text().rstrip("\r\n")
            except (OSError, ValueError) as problem:
                raise usage.UsageError(f"--password-file: {problem}") from None
        return _ask("--user", PASSWORD_VARIABLE, f"Password of {self['user']}: ")

    def opens_window(self) -> bool:
        """Whether what was asked for takes a window."""
        return not self["headless"] and not self["list"] and self["snapshot"] is None

    def _check_endpoint(self) -> None:
        from twisted.internet import reactor

        try:
            clientFromString(reactor, self["endpoint"])
        except Exception as problem:  # each kind of endpoint has errors of its own
            advice = "write it like tcp:HOST:9999"
            raise usage.UsageError(f"--endpoint: {self['endpoint']!r} is no endpoint ({problem}): {advice}") from None


def _ask(option: str, variable: str, prompt: str) -> str:
    """What is not to be seen in a list of processes: from the environment, or from whoever sits there."""
    if variable in os.environ:
        return os.environ[variable]
    if not sys.stdin.isatty():
        raise usage.UsageError(f"{option}: there is nobody to ask, set {variable}")
    return getpass.getpass(prompt)


def makeService(options: Options, reactor: Any = None) -> Program:
    """The viewer as a service, which ends the process when it is done."""
    if reactor is None:
        from twisted.internet import reactor

        runtime.prepare(reactor)

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
