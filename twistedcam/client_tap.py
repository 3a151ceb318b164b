"""C{twistd camstream-client}: the viewer's options."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from struct import Struct
from typing import Any

from twisted.python import usage

from twistedcam import recording
from twistedcam.access.sharekey import KeyTextError
from twistedcam.app import runtime
from twistedcam.app.options import GroupedOptions, drop_default_pidfile, number
from twistedcam.client import snapshot
from twistedcam.client.address import Address, AddressError, parse_host
from twistedcam.client.app import Program
from twistedcam.client.config import ClientConfig
from twistedcam.client.discovery import find_servers
from twistedcam.client.display import DisplayError, OpenCVDisplay, check_display
from twistedcam.errors import TwistedcamError
from twistedcam.net import DEFAULT_PORT
from twistedcam.secret import Secret
from twistedcam.wire.framing import PREFIX, read_prefix

TITLE = "RECEIVING VIDEO"
PASSWORD_VARIABLE = "TWISTEDCAM_PASSWORD"
KEY_VARIABLE = "TWISTEDCAM_KEY"
NOTHING_FOUND = "no server is announced on this network: its owner has to start it with --announce"
_MIB = 1024 * 1024


def _prefix(text: str) -> Struct:
    try:
        return read_prefix(text)
    except ValueError as error:
        raise usage.UsageError(f"--prefix: {error}") from None


_prefix.coerceDoc = ""  # type: ignore[attr-defined]
_EVERY = number("snapshot-every", float, 0.1, 10**6)


class Options(GroupedOptions):
    """The options of C{twistd camstream-client}; parsing them makes C{config}."""

    config: ClientConfig

    longdesc = (
        "Shows a camera of a camstream server, live. "
        "Keys: q or Esc quit, s snapshot, r record, n next camera, f full screen, "
        "i frame rate, age, dropped frames and camera."
    )

    groups = {
        "The server": ("find", "host", "port", "endpoint", "camera", "list"),
        "Access": ("key", "tls", "ca", "user", "password-file"),
        "What to do with the pictures": ("headless", "frames", "record", "snapshot", "snapshot-every"),
        "What to accept": ("no-adapt", "allow-pickle", "prefix", "max-message"),
    }

    optParameters = [
        ["host", "H", "127.0.0.1", "The name or address of the server."],
        ["port", "p", DEFAULT_PORT, "The TCP port of the server.", number("port", int, 1, 65535)],
        ["endpoint", None, None, "A client endpoint string, instead of --host and --port."],
        ["camera", "c", "", "The camera to watch, if the server has several."],
        [
            "key",
            "k",
            None,
            f"The key of a shared camera, as its server shows it; - asks for it, unless {KEY_VARIABLE} is set.",
        ],
        ["ca", None, None, "A PEM file with the authority that signed the server's certificate; with --tls."],
        ["user", "u", None, "The name to log in with; the password is asked for."],
        ["password-file", None, None, f"A file to read the password from; or set {PASSWORD_VARIABLE}."],
        ["frames", None, 0, "Stop after this many frames, with exit status 0.", number("frames", int, 1, 10**9)],
        ["snapshot", None, None, "Write one picture to this JPEG file and stop."],
        ["snapshot-every", None, 0.0, "Write a picture to the current folder at this interval in seconds.", _EVERY],
        ["record", None, None, "Write the video to this new Matroska file (.mkv)."],
        ["prefix", None, None, "How another kind of server writes lengths, as Python's struct has it: '>L'.", _prefix],
        ["max-message", None, 64, "The largest message to accept, in MiB.", number("max-message", int, 1, 4096)],
    ]
    optFlags = [
        ["find", None, "Print the servers that are announced on the local network, how to watch them, and stop."],
        ["list", None, "Print the names of the server's cameras and stop."],
        ["no-adapt", None, "Always take full-size pictures, even if a slow link then carries fewer of them."],
        ["headless", None, "Open no window."],
        ["tls", None, "Use TLS, and check the server's certificate."],
        ["allow-pickle", None, "Accept pickles from the tutorial's server, of uint8 arrays only."],
    ]

    def postOptions(self) -> None:
        """Check what can be checked before anything starts, and make the configuration."""
        if self["find"]:
            self._find()
        self.config = ClientConfig(
            address=self._address(),
            camera=self["camera"],
            lists_cameras=bool(self["list"]),
            adapt=not self["no-adapt"],
            allow_pickle=bool(self["allow-pickle"]),
            max_message_bytes=self["max-message"] * _MIB,
            prefix=self["prefix"] or PREFIX,
            frames=self["frames"],
            snapshot=self._path("snapshot", snapshot.check_path),
            snapshot_every=self["snapshot-every"],
            record=self._path("record", recording.check_path),
            headless=bool(self["headless"]),
        )
        if self.config.opens_window:
            try:
                check_display()
            except DisplayError as problem:
                raise usage.UsageError(f"{problem}; without a screen, use --headless") from None
        drop_default_pidfile(self, only_in_foreground=False)

    def _find(self) -> None:
        """Print the servers on the network, and end the process: with status 1 if there are none."""
        usual = Options()
        others = [f"--{name}" for name, value in self.items() if name != "find" and value != usual[name]]
        if others:
            raise usage.UsageError(f"--find: it works alone, leave out {', '.join(others)}")
        try:
            found = find_servers()
        except TwistedcamError as problem:
            raise usage.UsageError(f"--find: {problem}") from None
        for line in (line for server in found for line in server.describe()):
            print(line, flush=True)
        if not found:
            sys.exit(NOTHING_FOUND)
        sys.exit(0)

    def _path(self, option: str, check: Callable[[str], None]) -> str:
        """The path that was given, as an absolute path that C{check} accepts; empty if none was given."""
        if self[option] is None:
            return ""
        path: str = os.path.abspath(self[option])
        try:
            check(path)
        except TwistedcamError as problem:
            raise usage.UsageError(f"--{option}: {problem}") from None
        return path

    def _address(self) -> Address:
        """The server's address, with the TLS and the credentials to use there."""
        if self["key"] is not None and (self["tls"] or self["user"]):
            raise usage.UsageError("--key: a key needs neither --tls nor --user, leave them out")
        if self["ca"] is not None and not self["tls"]:
            raise usage.UsageError("--ca: it works only together with --tls")
        address = Address(self._host(), self["port"], self["endpoint"] or "")
        if self["endpoint"] is not None:
            self._check_endpoint(address)
        if self["key"] is not None:
            address = self._with_key(address)
        if self["tls"]:
            address = self._with_tls(address)
        if self["user"] is not None:
            address = address.with_password(self["user"], Secret(self._password()))
        return address

    def _host(self) -> str:
        try:
            return parse_host(self["host"])
        except AddressError as problem:
            raise usage.UsageError(f"--host: {problem}") from None

    def _check_endpoint(self, address: Address) -> None:
        from twisted.internet import reactor

        try:
            address.to_endpoint(reactor)
        except AddressError as problem:
            raise usage.UsageError(f"--endpoint: {problem}") from None

    def _with_key(self, address: Address) -> Address:
        key = _ask("--key", KEY_VARIABLE, "Key of the shared camera: ") if self["key"] == "-" else self["key"]
        try:
            return address.with_key(key)
        except KeyTextError as problem:
            raise usage.UsageError(f"--key: {problem}") from None

    def _with_tls(self, address: Address) -> Address:
        path = self["ca"]
        try:
            return address.with_tls(None if path is None else Path(path).read_bytes())
        except OSError as problem:
            raise usage.UsageError(f"--ca: {path}: {problem.strerror}") from None
        except AddressError as problem:
            raise usage.UsageError(f"--ca: {path}: {problem}") from None

    def _password(self) -> str:
        if self["password-file"] is not None:
            try:
                return Path(self["password-file"]).read_text().rstrip("\r\n")
            except (OSError, ValueError) as problem:
                raise usage.UsageError(f"--password-file: {problem}") from None
        return _ask("--user", PASSWORD_VARIABLE, f"Password of {self['user']}: ")


def _ask(option: str, variable: str, prompt: str) -> str:
    """A secret that must not appear in the list of processes: from the environment, or typed at the terminal."""
    if variable in os.environ:
        return os.environ[variable]
    if not sys.stdin.isatty():
        raise usage.UsageError(f"{option}: there is no terminal to ask at, set {variable}")
    return getpass.getpass(prompt)


def makeService(options: Options, reactor: Any = None) -> Program:
    """The viewer as a service, which ends the process when it is done."""
    if reactor is None:
        from twisted.internet import reactor

        runtime.prepare(reactor)

    display = OpenCVDisplay(TITLE) if options.config.opens_window else None
    return Program(options.config, reactor, time.monotonic, time.time, partial(runtime.leave, reactor), display)
