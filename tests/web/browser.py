"""A browser, and a web server for it to ask, for the tests of several packages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.processes import turn
from twistedcam.access.admission import Admission
from twistedcam.camera_status import CameraState, ICameraStatus
from twistedcam.codec import encode_jpeg
from twistedcam.encodings import ENCODING_JPEG, ENCODINGS
from twistedcam.frame import BOUNDARY, Frame, stamp
from twistedcam.hub import Hub
from twistedcam.rates import Meter
from twistedcam.web import metrics
from twistedcam.web.authenticators import RequestAuthenticator
from twistedcam.web.hosts import Hosts
from twistedcam.web.proxies import Proxies
from twistedcam.web.resources import WebService
from twistedcam.web.site import AuthenticatedSite

PICTURE = encode_jpeg(np.zeros((48, 64, 3), np.uint8))


def frame(sequence: int, size: int = 0, ago: float = 0.0) -> Frame:
    """A frame taken C{ago} seconds ago; C{size} bytes larger than it has to be."""
    whole = stamp(PICTURE, "desk", sequence, time.time() - ago)
    return Frame(whole.payload + bytes(size), "desk", sequence, whole.captured, width=64, height=48)


@implementer(ICameraStatus)
class FakeStatus:
    """The status of a camera, set by the test."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = CameraState.LIVE
        self.reason = self.problem = ""
        self.since: float | None = None
        self.is_stored = False
        self.recording: Callable[[], dict[str, Any]] | None = None
        self.width = 320
        self.hubs: Mapping[str, Hub] = {encoding: Hub() for encoding in ENCODINGS}
        self.meter = Meter()
        self.grabbed = self.encoded = self.broken = self.losses = 0


class Exchange(Protocol):
    """One request and its answer."""

    def __init__(self, request: bytes) -> None:
        self.received = b""
        self.lost = False
        self._request = request

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._request)

    def write(self, data: bytes) -> None:
        """Send more."""
        assert self.transport is not None
        self.transport.write(data)

    def abort(self) -> None:
        """End the connection at once."""
        if not self.lost:  # Twisted's TLS cannot be aborted twice
            self.transport.abortConnection()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    @property
    def status(self) -> int:
        """The answer's code."""
        return int(self.received.split(b" ", 2)[1])

    @property
    def head(self) -> str:
        """The answer's headers, in lower case."""
        return self.received.partition(b"\r\n\r\n")[0].decode().lower()

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return self.received.partition(b"\r\n\r\n")[2]

    def frames(self) -> list[Frame]:
        """The whole frames of a stream."""
        found, rest = [], self.body
        assert not rest or rest.startswith(b"--" + BOUNDARY + b"\r\n"), rest[:50]
        rest = rest[len(BOUNDARY) + 4 :]
        while match := re.match(
            rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\nX-Timestamp: [\d.]+\r\n\r\n", rest
        ):
            end = match.end() + int(match[1])
            if not rest[end:].startswith(b"\r\n--" + BOUNDARY + b"\r\n"):
                break
            found.append(Frame.from_jpeg(rest[match.end() : end]))
            rest = rest[end + len(BOUNDARY) + 6 :]
        return found


class WebTestCase(TestCase):
    """A web server of two cameras, whose frames the test publishes."""

    timeout = 120

    def make_clock(self) -> Any:
        """The clock of the web server."""
        return Clock()

    def setUp(self) -> None:
        self.clock = self.make_clock()
        self.cameras = {name: FakeStatus(name) for name in ("desk", "front door")}
        self.hub = self.cameras["desk"].hubs[ENCODING_JPEG]
        self.admission = Admission(self.clock)
        self.authenticator: RequestAuthenticator | None = None
        self.origins: tuple[str, ...] = ()
        self.hosts, self.proxies = Hosts(), Proxies()
        self.wrap: Callable[[Any], Any] = lambda factory: factory
        self.is_tls = False
        self.metrics = metrics.Metrics(self.clock)
        for camera in self.cameras.values():
            self.metrics.watch_over(camera)
        self.metrics.startService()
        self.addCleanup(self.metrics.stopService)

    async def serve(self, number: int = 0) -> None:
        """Listen on a port of the kernel's choice, or on this one."""
        self.face = WebService(
            self.clock,
            self.cameras,
            self.admission,
            time.time,
            self.metrics.render,
        )
        self.face.startService()
        site = AuthenticatedSite(
            self.face.root, self.authenticator, self.admission, self.origins, reactor, self.hosts, self.proxies
        )
        port: Any = await TCP4ServerEndpoint(reactor, number, interface="127.0.0.1").listen(self.wrap(site))
        self.port = port.getHost().port
        self.stop_listening = port.stopListening
        self.addCleanup(self.stop_listening)
        self.addCleanup(self.face.stopService)

    async def send(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Exchange:
        """Send a request, without waiting for the answer."""
        lines = {"Host": f"127.0.0.1:{self.port}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return await self.send_bytes(f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode() + body)

    async def send_bytes(self, request: bytes) -> Exchange:
        """Connect and send these bytes, without waiting for an answer."""
        endpoint: Any = HostnameEndpoint(reactor, "127.0.0.1", self.port)
        if self.is_tls:
            endpoint = wrapClientTLS(CertificateOptions(verify=False), endpoint)
        exchange: Exchange = await endpoint.connect(Factory.forProtocol(lambda: Exchange(request)))
        self.addCleanup(exchange.abort)
        return exchange

    async def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Exchange:
        """Send a request, and wait for the whole answer."""
        exchange = await self.send(path, method, body, Connection="close", **headers)
        await self.until(lambda: exchange.lost)
        return exchange

    async def until(self, condition: Callable[[], Any]) -> None:
        """Run the reactor until C{condition} holds."""
        while not condition():
            await turn()
