"""The server as a service: how its parts are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from twistedcam.access.guards import KeyGuard, PasswordGuard, make_portal
from twistedcam.access.share import Share, ShareError, default_folder, load
from twistedcam.access.sharekey import web_token
from twistedcam.app.instructions import watch_commands, web_urls
from twistedcam.app.listener import Listener
from twistedcam.capture.encoder import ENCODING_JPEG, ENCODINGS, SMALLER, Settings
from twistedcam.capture.opencv import Mode
from twistedcam.capture.service import Capture
from twistedcam.capture.sources import Source
from twistedcam.hub import Hub
from twistedcam.interfaces import IGuard
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.web import status
from twistedcam.web.authenticators import BasicAuthenticator, NoAuthentication, RequestAuthenticator, TokenAuthenticator
from twistedcam.web.metrics import Metrics
from twistedcam.web.resources import WebFace
from twistedcam.web.site import AuthenticatedSite

log = Logger()

DEFAULT_HTTP, SHARED_HTTP = "tcp:8080:interface=127.0.0.1", "tcp:8080"
NO_HTTP = "off"
_NO_TLS = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nthis is watched over TLS: write https\n"


class Server(MultiService):
    """
    The server: cameras, those who watch them over the wire and over HTTP, and who may.

    C{leave} is called with an exit status when an endpoint fails after the start.
    """

    def __init__(
        self, options: Mapping[str, Any], reactor: Any, leave: Callable[[int], None] = lambda status: None
    ) -> None:
        super().__init__()
        self._leave = leave
        self._options = options
        self._reactor = reactor
        self._metrics = Metrics(reactor)
        self._share = _load_share(options) if options["share"] else None
        self._settings = Settings(options["width"], options["fps"], options["quality"])
        self.cameras = {source.name: self._add_camera(source) for source in options["cameras"]}
        self._metrics.setServiceParent(self)
        self._portal = make_portal(options["credCheckers"]) if "credCheckers" in options else None
        self._viewers = self._make_factory()
        self._add_wire()
        if options["http"] != NO_HTTP:
            self._add_web()
        if options["preview"]:
            self._add_preview()

    def _add_camera(self, source: Source) -> Capture:
        hubs = {encoding: Hub() for encoding in ENCODINGS}
        on_encoded = self._metrics.on_encoded(source.name)
        mode = Mode(self._options["size"], self._options["fps"], as_jpeg=not self._options["width"])
        open_camera = partial(source.open, mode)
        capture = Capture(self._reactor, source.name, open_camera, hubs, self._settings, on_encoded=on_encoded)
        capture.setServiceParent(self)
        self._metrics.watch_over(capture)
        return capture

    def _first_hubs(self) -> Mapping[str, Hub]:
        return next(iter(self.cameras.values())).hubs

    def _listen(self, description: str, factory: IProtocolFactory, instructions: Any, may_fail: bool = False) -> None:
        is_open = bool(self._options["open"] or self._share or self._portal)
        endpoint = serverFromString(self._reactor, description)
        is_secret = self._share is not None
        Listener(
            self._reactor, endpoint, factory, description, is_open, instructions, is_secret, may_fail, self._leave
        ).setServiceParent(self)

    def _make_factory(self) -> ViewerServerFactory:
        return ViewerServerFactory(
            self._reactor,
            {name: camera.hubs[ENCODING_JPEG] for name, camera in self.cameras.items()},
            self._first_hubs()[self._options["codec"]],
            self._make_guard,
            self._options["max-viewers"],
            lambda: status.count_viewers(self.cameras),
            {name: [camera.hubs[step] for step in SMALLER] for name, camera in self.cameras.items()},
        )

    def _add_wire(self) -> None:
        factory: IProtocolFactory = self._viewers
        key = ""
        if self._share is not None:
            factory, key = self._share.over_tls(factory), self._share.key
        for description in self._options["listen"]:
            self._listen(description, factory, partial(watch_commands, key=key))

    def _add_web(self) -> None:
        face = WebFace(
            self._reactor,
            self.cameras,
            self._viewers.has_room,
            lambda: status.state(self.cameras),
            self._metrics.render,
        )
        face.setServiceParent(self)
        asked = self._options["http"]
        description = asked or (SHARED_HTTP if self._share else DEFAULT_HTTP)
        factory: IProtocolFactory = AuthenticatedSite(
            face.root, self._door(), self._options["allow-origin"], self._reactor
        )
        token = ""
        if self._share is not None:
            factory, token = self._share.over_tls(factory, _NO_TLS), web_token(self._share.secret)
        is_tls = self._share is not None or description.startswith("ssl:")
        instructions = partial(web_urls, is_tls=is_tls, token=token)
        # A program that has the usual port does not keep the camera from those who watch it in other ways.
        self._listen(description, factory, instructions, may_fail=asked is None)

    def _add_preview(self) -> None:
        from twistedcam.app.preview import Preview

        Preview(self._reactor, self._first_hubs()[ENCODING_JPEG]).setServiceParent(self)

    def _make_guard(self) -> IGuard | None:
        if self._share is not None:
            return KeyGuard(self._share.secret, self._share.fingerprint)
        return PasswordGuard(self._portal) if self._portal is not None else None

    def _door(self) -> RequestAuthenticator:
        if self._share is not None:
            return TokenAuthenticator(web_token(self._share.secret), self._viewers.turns)
        if self._portal is not None:
            return BasicAuthenticator(PasswordGuard(self._portal), self._viewers.turns)
        return NoAuthentication()


def _state_folder(options: Mapping[str, Any]) -> Path:
    return Path(options["state-dir"]) if options["state-dir"] else default_folder()


def _load_share(options: Mapping[str, Any]) -> Share:
    folder = _state_folder(options)
    try:
        share = load(folder, bool(options["renew"]))
    except ShareError as error:
        raise SystemExit(f"camstream: --share: {error}") from None
    log.info("shared by the key that is kept in {folder}", folder=folder)
    return share
