"""The server as a service: how its parts are put together."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from twistedcam import __version__
from twistedcam.access.admission import Admission
from twistedcam.app.announcer import Announcer, announced_access, find_announced
from twistedcam.app.authentication import Authentication, prepare_authentication
from twistedcam.app.camera_config import CameraConfig
from twistedcam.app.config import Endpoint, Open, ServerConfig, Shared
from twistedcam.app.listener import Listener
from twistedcam.app.recorder import CameraRecorder
from twistedcam.app.runtime import connection_limit
from twistedcam.capture.service import Capture
from twistedcam.encodings import ENCODING_JPEG, ENCODINGS, SMALLER
from twistedcam.hub import Hub
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.web.hosts import Hosts
from twistedcam.web.metrics import Metrics
from twistedcam.web.proxies import Proxies
from twistedcam.web.resources import WebService
from twistedcam.web.site import AuthenticatedSite
from twistedcam.wire.announcement import Announcement

log = Logger()


class Server(MultiService):
    """
    The cameras, and their viewers over TCP and over HTTP.

    Constructing it touches neither files nor the network. The first start reads or makes a key, listens on the
    endpoints, and then renews the key if that was asked for; it raises L{StartError}. A server that was stopped can be
    started again, with the same key.

    C{leave} is called with an exit status if an endpoint fails after the start. C{now} is the time of day, in seconds
    since the epoch.
    """

    def __init__(
        self,
        config: ServerConfig,
        reactor: Any,
        leave: Callable[[int], None] = lambda status: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._now = now
        self._leave = leave
        self._config = config
        self._reactor = reactor
        self._has_listeners = False
        self._proxies = Proxies(config.trusted_proxies)
        limit = connection_limit(len(config.cameras))
        self._admission = Admission(reactor, config.max_viewers, limit, self._proxies.trusts)
        self._metrics = Metrics(reactor)
        self.cameras = {camera.name: self._add_camera(camera) for camera in config.cameras}
        self._metrics.setServiceParent(self)
        if config.preview:
            self._add_preview()

    def privilegedStartService(self) -> None:
        """Read the key and listen, before any privilege is given up."""
        self._add_listeners()
        super().privilegedStartService()

    def startService(self) -> None:
        """Start; C{twist}, unlike C{twistd}, has no privileged start."""
        self._add_listeners()
        super().startService()

    def stop_listening(self) -> Deferred[Any]:
        """Stop listening on all endpoints, after a start that has failed."""
        return gatherResults([service.stopService() for service in self if isinstance(service, Listener)])

    def _add_camera(self, camera: CameraConfig) -> Capture:
        hubs = {encoding: Hub() for encoding in ENCODINGS}
        on_encoded = self._metrics.on_encoded(camera.name)
        open_camera = partial(camera.source.open, camera.mode)
        capture = Capture(
            self._reactor, camera.name, open_camera, hubs, camera.settings, on_encoded=on_encoded, wall=self._now
        )
        capture.setServiceParent(self)
        self._metrics.watch_over(capture)
        if camera.recording is not None:
            hub = hubs[ENCODING_JPEG]
            recorder = CameraRecorder(self._reactor, camera.name, hub, camera.recording, now=self._now)
            recorder.setServiceParent(self)
            capture.recording = recorder.status
        return capture

    def _add_preview(self) -> None:
        from twistedcam.app.preview import Preview

        Preview(self._reactor, self._first_camera().hubs[ENCODING_JPEG]).setServiceParent(self)

    def _first_camera(self) -> Capture:
        return self.cameras[self._config.cameras[0].name]

    def _add_listeners(self) -> None:
        """Add the listeners, when the server is started for the first time."""
        if self._has_listeners:
            return
        self._warn_of_few_places()
        authentication = prepare_authentication(
            self._config.access, self._reactor, self._admission.connections, self._now
        )
        viewers = self._make_factory(authentication)
        wire = self._add_tcp(viewers, authentication)
        web = None if self._config.http is None else self._add_http(self._config.http, authentication)
        # After the listeners: a server that cannot listen does not renew the key.
        authentication.setServiceParent(self)
        if self._config.announce:
            self._add_announcer(wire, web)
        self._has_listeners = True

    def _warn_of_few_places(self) -> None:
        limit, wanted = self._admission.viewers.limit, self._config.max_viewers
        if limit < wanted:
            line = "only {limit} viewers can watch, not {wanted}: raise the limit on open files (ulimit -n)"
            log.warn(line, limit=limit, wanted=wanted)

    def _make_factory(self, authentication: Authentication) -> ViewerServerFactory:
        return ViewerServerFactory(
            self._reactor,
            {name: camera.hubs[ENCODING_JPEG] for name, camera in self.cameras.items()},
            self._first_camera().hubs[self._config.silent_encoding],
            authentication.make_guard,
            self._admission,
            {name: [camera.hubs[step] for step in SMALLER] for name, camera in self.cameras.items()},
            self._now,
        )

    def _add_tcp(self, viewers: ViewerServerFactory, authentication: Authentication) -> list[Listener]:
        factory = authentication.over_tcp(viewers)
        return [
            self._listen(endpoint, factory, authentication, authentication.watch_commands)
            for endpoint in self._config.listen
        ]

    def _add_http(self, endpoint: Endpoint, authentication: Authentication) -> Listener:
        face = WebService(
            self._reactor,
            self.cameras,
            self._admission,
            self._now,
            self._metrics.render,
        )
        face.setServiceParent(self)
        authenticator = authentication.make_authenticator()
        site = AuthenticatedSite(
            face.root,
            authenticator,
            self._admission,
            self._config.allow_origins,
            self._reactor,
            Hosts(self._config.allow_hosts, socket.gethostname()),
            self._proxies,
        )
        instructions = partial(authentication.web_urls, _is_tls(endpoint))
        # If another program has the default port, the camera can still be watched in the other ways.
        return self._listen(endpoint, authentication.over_http(site), authentication, instructions, endpoint.is_default)

    def _add_announcer(self, wire: list[Listener], web: Listener | None) -> None:
        access = self._config.access
        # Where somebody has to be let in, the names of the cameras are told only after that, here as on the wire.
        cameras = tuple(self.cameras) if isinstance(access, Open) else ()
        announcement = Announcement(announced_access(access), is_tls=False, cameras=cameras, version=__version__)
        Announcer(self._reactor, partial(find_announced, announcement, wire, web)).setServiceParent(self)

    def _listen(
        self,
        endpoint: Endpoint,
        factory: IProtocolFactory,
        authentication: Authentication,
        instructions: Any,
        may_fail: bool = False,
    ) -> Listener:
        listener = Listener(
            self._reactor,
            endpoint.endpoint,
            factory,
            endpoint.description,
            authentication.is_open,
            instructions,
            is_secret=authentication.is_secret,
            may_fail=may_fail,
            leave=self._leave,
            is_tls=isinstance(self._config.access, Shared) or _is_tls(endpoint),
        )
        listener.setServiceParent(self)
        return listener


def _is_tls(endpoint: Endpoint) -> bool:
    return endpoint.description.startswith("ssl:")
