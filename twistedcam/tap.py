"""C{twistd camstream}: the server's options."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from twistedcam.app import runtime
from twistedcam.app.options import GroupedOptions, drop_default_pidfile, number
from twistedcam.app.service import DEFAULT_HTTP, NO_HTTP, Server
from twistedcam.capture.encoder import ENCODING_JPEG, ENCODING_PICKLE
from twistedcam.capture.sources import parse_source
from twistedcam.interfaces import CameraError
from twistedcam.rates import MAX_FPS
from twistedcam.server.factory import MAX_VIEWERS

DEFAULT_LISTEN, SHARED_LISTEN = "tcp:9999:interface=127.0.0.1", "tcp:9999"


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise usage.UsageError(f"--size: {text!r} is no size, write it like 1280x720")
    return int(found[1]), int(found[2])


_size.coerceDoc = ""  # type: ignore[attr-defined]


class Options(GroupedOptions, AuthOptionMixin):  # type: ignore[misc]
    """What C{twistd camstream} understands."""

    longdesc = "Serves cameras live, over TCP and over HTTP: every viewer sees what is now, however slow it is."

    groups = {
        "Cameras": ("camera", "size", "width", "fps", "quality"),
        "Where it is watched": ("listen", "http", "codec", "max-viewers", "allow-origin", "preview"),
        "Who may watch": ("share", "renew", "state-dir", "auth", "help-auth", "help-auth-type", "open"),
    }

    supportedInterfaces = (IUsernamePassword,)

    optParameters = [
        ["state-dir", None, None, "Where --share keeps its key, in place of the user's data folder."],
        ["size", None, None, "What to ask a device for, such as 1280x720; it gives the nearest it has.", _size],
        ["width", "w", 320, "Width in pixels, 0 for as captured; nothing is enlarged.", number("width", int, 0, 16384)],
        ["fps", "r", 0.0, "At most so many frames a second, 0 for all.", number("fps", float, 0, MAX_FPS)],
        ["quality", "q", 80, "JPEG quality, 1 to 100.", number("quality", int, 1, 100)],
        ["max-viewers", "m", MAX_VIEWERS, "So many may watch at once.", number("max-viewers", int, 1, 10**6)],
        ["allow-origin", None, "", "Let web pages of this origin read what is served, such as http://host:8123, or *."],
        [
            "codec",
            None,
            ENCODING_JPEG,
            "What a viewer that says nothing gets: jpeg, or pickle for the tutorial's client.",
        ],
    ]
    optFlags = [
        ["share", None, "Let other machines watch by a key, over TLS; prints the line to paste there."],
        ["renew", None, "With --share: make a new key, the old one is of no use any more."],
        ["open", None, "Let everybody watch who can reach an endpoint that is not on this machine alone."],
        ["preview", None, "Show the TRANSMITTING VIDEO window here; q closes it, the server goes on."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["cameras"] = []
        self["listen"] = []
        self["http"] = None

    def opt_camera(self, source: str) -> None:
        """[NAME=]SOURCE: 0, /dev/video2, a video file, a URL, plugin:NAME, or test; repeatable; the default is 0."""
        try:
            camera = parse_source(source)
        except CameraError as error:
            raise usage.UsageError(f"--camera: {error}") from None
        if camera.name in [other.name for other in self["cameras"]]:
            raise usage.UsageError(
                f"--camera: two cameras are called {camera.name!r}, write NAME={source} for one of them"
            )
        self["cameras"].append(camera)

    opt_c = opt_camera

    def opt_listen(self, description: str) -> None:
        """A server endpoint string, repeatable; the default is tcp:9999:interface=127.0.0.1, with --share tcp:9999."""
        _check_endpoint("listen", description, DEFAULT_LISTEN)
        self["listen"].append(description)

    opt_l = opt_listen

    def opt_http(self, description: str) -> None:
        """The web face's endpoint, or off; the default is tcp:8080:interface=127.0.0.1, with --share tcp:8080."""
        if description != NO_HTTP:
            _check_endpoint("http", description, DEFAULT_HTTP)
        self["http"] = description

    def postOptions(self) -> None:
        """Check what can be checked before anything starts."""
        if self["codec"] not in (ENCODING_JPEG, ENCODING_PICKLE):
            raise usage.UsageError(f"--codec: {self['codec']!r} is neither jpeg nor pickle")
        if not self["cameras"]:
            self.opt_camera("0")
        self["listen"] = self["listen"] or [SHARED_LISTEN if self["share"] else DEFAULT_LISTEN]
        self._check_access()
        if self["preview"]:
            self._check_display()
        drop_default_pidfile(self, only_in_foreground=True)

    def _check_access(self) -> None:
        ways = [f"--{name}" for name in ("share", "open") if self[name]] + ["--auth"] * ("credCheckers" in self)
        if len(ways) > 1:
            raise usage.UsageError(f"{' and '.join(ways)}: one of them says who may watch, leave out the other")
        if self["renew"] and not self["share"]:
            raise usage.UsageError("--renew: it goes with --share")
        if (self["share"] or "credCheckers" in self) and self["codec"] == ENCODING_PICKLE:
            raise usage.UsageError("--codec pickle is for viewers that say nothing, and those are not let in here")

    def _check_display(self) -> None:
        from twistedcam.client.display import DisplayError, check_display

        try:
            check_display()
        except DisplayError as error:
            raise usage.UsageError(f"{error}: leave out --preview") from None


def _check_endpoint(option: str, description: str, example: str) -> None:
    from twisted.internet import reactor

    try:
        serverFromString(reactor, description)
    except Exception as error:  # each kind of endpoint has errors of its own
        advice = f"write it like {example}"
        raise usage.UsageError(f"--{option}: {description!r} is no endpoint ({error}): {advice}") from None


def makeService(options: Options, reactor: Any = None) -> Server:
    """The server as a service."""
    if reactor is None:
        from twisted.internet import reactor

        runtime.prepare(reactor)
    return Server(options, reactor, partial(runtime.leave, reactor))
