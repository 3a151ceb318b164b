"""C{twistd camstream}: the server's options, and how its parts are put together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.python import usage

from twistedcam import process
from twistedcam.auth import KeyGuard, PasswordGuard, make_portal
from twistedcam.broadcast import Hub
from twistedcam.camera import Source, parse_source
from twistedcam.capture import Capture
from twistedcam.encoder import ENCODINGS, JPEG, PICKLE, Settings
from twistedcam.interfaces import CameraError, IGuard
from twistedcam.listener import Listener
from twistedcam.options import drop_default_pidfile, number
from twistedcam.server import MAX_VIEWERS, CameraFactory
from twistedcam.share import Share, ShareError, default_folder, load

log = Logger()

DEFAULT_LISTEN = "tcp:9999:interface=127.0.0.1"
SHARED_LISTEN = "tcp:9999"


class Options(usage.Options, AuthOptionMixin):  # type: ignore[misc]
    """What C{twistd camstream} understands."""

    longdesc = "Serves cameras live over TCP: every viewer sees what is now, however slow it is."

    supportedInterfaces = (IUsernamePassword,)

    optParameters = [
        ["state-dir", None, None, "Where --share keeps its key, in place of the user's data folder."],
        ["width", "w", 320, "Width in pixels, 0 for as captured; nothing is enlarged.", number("width", int, 0, 16384)],
        ["fps", "r", 0.0, "At most so many frames a second, 0 for all.", number("fps", float, 0, 1000)],
        ["quality", "q", 80, "JPEG quality, 1 to 100.", number("quality", int, 1, 100)],
        ["max-viewers", "m", MAX_VIEWERS, "So many may watch at once.", number("max-viewers", int, 1, 10**6)],
        ["codec", None, JPEG, "What a viewer that says nothing gets: jpeg, or pickle for the tutorial's client."],
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

    def opt_camera(self, source: str) -> None:
        """[NAME=]SOURCE: 0, /dev/video2, a video file, a URL, or test; repeatable; the default is 0."""
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
        from twisted.internet import reactor

        try:
            serverFromString(reactor, description)
        except Exception as error:  # each kind of endpoint has errors of its own
            advice = f"write it like {DEFAULT_LISTEN}"
            raise usage.UsageError(f"--listen: {description!r} is no endpoint ({error}): {advice}") from None
        self["listen"].append(description)

    opt_l = opt_listen

    def postOptions(self) -> None:
        """Check what can be checked before anything starts."""
        if self["codec"] not in (JPEG, PICKLE):
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
        if (self["share"] or "credCheckers" in self) and self["codec"] == PICKLE:
            raise usage.UsageError("--codec pickle is for viewers that say nothing, and those are not let in here")

    def _check_display(self) -> None:
        from twistedcam.display import DisplayError, check_display

        try:
            check_display()
        except DisplayError as error:
            raise usage.UsageError(f"{error}: leave out --preview") from None


def makeService(options: Options, reactor: Any = None) -> MultiService:
    """The server as a service."""
    if reactor is None:
        from twisted.internet import reactor

        process.prepare(reactor)
    service = MultiService()
    settings = Settings(options["width"], options["fps"], options["quality"])
    hubs = {source.name: _add_camera(service, reactor, source, settings) for source in options["cameras"]}
    first = next(iter(hubs.values()))
    share = _load_share(options) if options["share"] else None
    guarded = CameraFactory(
        reactor,
        {name: by_codec[JPEG] for name, by_codec in hubs.items()},
        first[options["codec"]],
        _make_guards(options, share),
        options["max-viewers"],
    )
    factory = share.over_tls(guarded) if share is not None else guarded
    is_open = bool(options["open"] or share or "credCheckers" in options)
    for description in options["listen"]:
        endpoint = serverFromString(reactor, description)
        Listener(endpoint, factory, description, is_open, share.key if share else "").setServiceParent(service)
    if options["preview"]:
        from twistedcam.preview import Preview

        Preview(reactor, first[JPEG]).setServiceParent(service)
    return service


def _state_folder(options: Options) -> Path:
    return Path(options["state-dir"]) if options["state-dir"] else default_folder()


def _load_share(options: Options) -> Share:
    folder = _state_folder(options)
    try:
        share = load(folder, bool(options["renew"]))
    except ShareError as error:
        raise SystemExit(f"camstream: --share: {error}") from None
    log.info("shared by the key that is kept in {folder}", folder=folder)
    return share


def _make_guards(options: Options, share: Share | None) -> Callable[[], IGuard | None]:
    if share is not None:
        return partial(KeyGuard, share.secret, share.fingerprint)
    if "credCheckers" in options:
        return partial(PasswordGuard, make_portal(options["credCheckers"]))
    return lambda: None


def _add_camera(service: MultiService, reactor: Any, source: Source, settings: Settings) -> dict[str, Hub]:
    hubs = {encoding: Hub() for encoding in ENCODINGS}
    Capture(reactor, source.name, source.open, hubs, settings).setServiceParent(service)
    return hubs
