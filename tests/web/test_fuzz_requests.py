"""Arbitrary bytes sent to the web server: 300 inputs, or as many as the environment variable FUZZ_REQUESTS says."""

from __future__ import annotations

import os
import time
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.optional import needs
from tests.web.browser import FakeStatus, frame
from tests.web.fake_credential import FakeCredential
from twistedcam.access.admission import Admission
from twistedcam.access.guards import PasswordGuard, make_portal
from twistedcam.encodings import ENCODING_JPEG
from twistedcam.testing import RecordingSink
from twistedcam.web.authenticators import BasicAuthenticator, RequestAuthenticator, TokenAuthenticator
from twistedcam.web.metrics import Metrics
from twistedcam.web.proxies import Proxies, read_network
from twistedcam.web.resources import WebService
from twistedcam.web.site import AuthenticatedSite

_HERE = IPv4Address("TCP", "127.0.0.1", 8080)
_INPUTS = int(os.environ.get("FUZZ_REQUESTS", "300"))

_REQUESTS = [
    f"{line}\r\nHost: localhost\r\n{headers}\r\n".encode()
    for line in (
        "GET / HTTP/1.1",
        "HEAD / HTTP/1.1",
        "GET /snapshot?max_age=3600 HTTP/1.1",
        "HEAD /snapshot/front%20door?max_age=0&width=40 HTTP/1.1",
        "GET /?action=stream&fps=3 HTTP/1.0",
        "GET /stream/desk?key=%00%ff HTTP/1.1",
        "GET /metrics HTTP/1.1",
        "POST /state HTTP/1.1",
        "GET * HTTP/1.1",
        "GET http://localhost/snapshot?max_age=3600 HTTP/1.1",
    )
    for headers in (
        "",
        "Connection: close\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 5000\r\nExpect: 100-continue\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9\r\n",
        "Authorization: Basic bWU6c2VjcmV0\r\nAccept: application/openmetrics-text; version=1.0.0\r\n",
        "Accept: \u20ac\r\n",
        'X-Forwarded-For: 10.0.0.1, [::1]:5\r\nForwarded: for="[::1]";by=_x, for=unknown\r\n',
        "Sec-Fetch-Site: cross-site\r\nReferer: http://other/x\r\n",
        "Host: other\r\n",
        "Cookie: a=b; __Host-twistedcam-0001020304050607=x; =; c\r\nOrigin: http://other\r\n X: continued\r\n",
    )
]


class Wire(StringTransport):
    """A connection whose peer reads all that is sent."""

    def __init__(self) -> None:
        super().__init__(hostAddress=_HERE, peerAddress=IPv4Address("TCP", "127.0.0.1", 50_000))
        self.taken = b""

    def take(self) -> None:
        """Take what was sent, and call the producer for more, until nothing comes."""
        while self.value():
            self.taken += self.value()
            self.clear()
            if self.producer is not None and not self.streaming:
                self.producer.resumeProducing()


@needs("hypothesis")
class RequestFuzzTests(SynchronousTestCase):
    """Whatever is sent as a request is answered or refused."""

    def make(self) -> None:
        """A web server with a picture, as each kind of access has it."""
        self.clock = Clock()
        self.admission = Admission(self.clock)
        cameras = {name: FakeStatus(name) for name in ("desk", "front door")}
        hub = cameras["desk"].hubs[ENCODING_JPEG]
        hub.attach(RecordingSink())
        hub.publish(frame(1))
        self.face = WebService(self.clock, cameras, self.admission, time.time, Metrics(self.clock).render)
        portal = make_portal([InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")])
        kinds: tuple[RequestAuthenticator | None, ...] = (
            None,
            BasicAuthenticator(PasswordGuard(portal)),
            TokenAuthenticator(FakeCredential()),
        )
        proxies = Proxies([read_network("127.0.0.1")])
        self.sites = [
            AuthenticatedSite(self.face.root, kind, self.admission, "http://other", self.clock, None, proxies)
            for kind in kinds
        ]

    def converse(self, pieces: list[bytes], site: AuthenticatedSite) -> bytes:
        """Send C{pieces} over one connection, which is lost then, and return the answers."""
        channel: Any = site.buildProtocol(_HERE)
        wire = Wire()
        channel.makeConnection(wire)
        for piece in pieces:
            channel.dataReceived(piece)
            wire.take()
            self.clock.advance(0.1)
        self.clock.advance(3)
        wire.take()
        channel.connectionLost(Failure(ConnectionDone()))
        return wire.taken

    def check(self, pieces: list[bytes]) -> None:
        """Answers are HTTP, nothing is logged as an error, and nothing is left behind."""
        self.make()
        self.face.startService()
        for site in self.sites:
            answers = self.converse(pieces, site)
            self.assertTrue(not answers or answers.startswith(b"HTTP/1."), answers[:100])
            self.assertEqual(self.flushLoggedErrors(), [])
        admission = self.admission
        left = (admission.viewers.taken, admission.snapshots.taken, len(admission.connections), self.face.snapshots)
        self.assertEqual(left, (0, 0, 0, set()))
        self.face.stopService()
        self.clock.advance(1000)  # timers of lost connections do nothing
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_each(self) -> None:
        """Requests, requests with a few bytes changed, and noise, one after another, cut into pieces."""
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        from tests.fuzzing import mutated

        piece = st.sampled_from(_REQUESTS) | mutated(_REQUESTS) | st.binary(max_size=100)

        @settings(
            max_examples=_INPUTS,
            deadline=None,
            database=None,
            derandomize="FUZZ_REQUESTS" not in os.environ,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(piece, min_size=1, max_size=5))
        def run(pieces: list[bytes]) -> None:
            self.check(pieces)

        run()
