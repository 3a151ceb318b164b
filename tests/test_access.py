"""Who may watch, over real sockets and real TLS; and what TCP and HTTP count together."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, serverFromString, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.raw_messages import pack_json
from tests.server.peers import connect, make_certificate
from tests.web.browser import WebTestCase
from twistedcam.access.credentials import KeyCredentials, NoCredentials, PasswordCredentials
from twistedcam.access.current_share import CurrentShare
from twistedcam.access.guards import KeyGuard, PasswordGuard, make_portal
from twistedcam.access.share_folder import ShareFolder
from twistedcam.access.sharekey import make_secret
from twistedcam.client.connection import ServerConnectionFactory
from twistedcam.client.session import Session
from twistedcam.codec import encode_jpeg
from twistedcam.frame import Frame, stamp
from twistedcam.hub import Hub
from twistedcam.interfaces import ICredentials, IGuard
from twistedcam.secret import Secret
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.testing import RecordingSink
from twistedcam.web.authenticators import BasicAuthenticator

CHECKER = InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")


def picture() -> Frame:
    """A frame."""
    import numpy as np

    return stamp(encode_jpeg(np.zeros((24, 32, 3), np.uint8)), "desk", 0, time.time())


class AccessTests(TestCase):
    """A viewer and a server, over TLS or not."""

    timeout = 120

    def setUp(self) -> None:
        self.hub = Hub()
        self.frames: list[Frame] = []
        self.failure: Deferred[str] = Deferred()
        self.shown: Deferred[None] = Deferred()

    async def serve(
        self,
        make_guard: Callable[[], IGuard | None] = lambda: None,
        wrap: Callable[[IProtocolFactory], IProtocolFactory] = lambda factory: factory,
    ) -> int:
        """A server of one camera; its port."""
        factory = ViewerServerFactory(reactor, {"desk": self.hub}, self.hub, make_guard)
        port: Any = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(wrap(factory))
        self.addCleanup(port.stopListening)
        self.factory = factory
        return int(port.getHost().port)

    async def share(self) -> tuple[CurrentShare, int]:
        """A shared camera, and its port."""
        share = CurrentShare(ShareFolder(Path(self.mktemp())), time.time)
        return share, await self.serve(lambda: KeyGuard(share.secret, share.fingerprint), share.over_tls)

    async def watch(self, port: int, make_credentials: Callable[[], ICredentials], tls: Any = None) -> None:
        """A viewer of the server at C{port}."""

        def show(frame: Frame) -> None:
            self.frames.append(frame)
            if not self.shown.called:
                self.shown.callback(None)

        session = Session(time.monotonic, show, self.failure.callback)
        endpoint: Any = HostnameEndpoint(reactor, "127.0.0.1", port)
        endpoint = wrapClientTLS(tls, endpoint) if tls is not None else endpoint
        factory = ServerConnectionFactory(session, reactor, make_credentials=make_credentials)
        connection = await endpoint.connect(factory)
        self.addCleanup(connection.transport.abortConnection)

    def unchecked(self) -> CertificateOptions:
        """TLS that trusts any certificate, as with a key."""
        return CertificateOptions(verify=False)

    async def is_shown(self) -> None:
        """Wait until the viewer is let in, and sees a frame."""
        from twisted.internet.task import deferLater

        while not self.hub.is_watched:
            await deferLater(reactor, 0.001)
        self.hub.publish(picture())
        await self.shown

    async def test_key(self) -> None:
        """A viewer with the key is sent frames."""
        share, port = await self.share()
        await self.watch(port, lambda: KeyCredentials(share.secret), self.unchecked())
        await self.is_shown()

    async def test_wrong_key(self) -> None:
        """With another key the viewer finds that this is not its server, and proves nothing to it."""
        _, port = await self.share()
        await self.watch(port, lambda: KeyCredentials(make_secret()), self.unchecked())
        self.assertIn("the server does not have this key", await self.failure)
        self.assertFalse(self.hub.is_watched)

    async def test_man_in_the_middle(self) -> None:
        """A man in the middle, who ends TLS and relays all messages, gets no frame although both sides have the key."""
        share, port = await self.share()
        middle = Middle(port)
        wrapped = TLSMemoryBIOFactory(make_certificate().options(), False, middle)
        listening: Any = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(wrapped)
        self.addCleanup(listening.stopListening)
        await self.watch(listening.getHost().port, lambda: KeyCredentials(share.secret), self.unchecked())
        self.assertIn("the server does not have this key", await self.failure)
        self.assertIn(b"challenge", middle.heard)
        self.assertNotIn(b"viewer", middle.heard)
        self.assertFalse(self.hub.is_watched)
        self.assertEqual(self.frames, [])

    async def test_false_server_without_challenge(self) -> None:
        """A server that sends frames without asking for the key is not the server that the key is for."""
        port = await self.serve(wrap=lambda f: TLSMemoryBIOFactory(make_certificate().options(), False, f))
        self.hub.attach(RecordingSink())
        self.hub.publish(picture())
        await self.watch(port, lambda: KeyCredentials(make_secret()), self.unchecked())
        self.assertIn("not the server that the key is for", await self.failure)
        self.assertEqual(self.frames, [])

    async def test_no_key(self) -> None:
        """A viewer without a key, over TLS or not, is told that one is needed."""
        _, port = await self.share()
        await self.watch(port, NoCredentials)
        self.assertIn("use --key", await self.failure)
        self.failure = Deferred()
        await self.watch(port, NoCredentials, self.unchecked())
        self.assertIn("use --key", await self.failure)
        self.assertFalse(self.hub.is_watched)

    async def test_tls_to_plain(self) -> None:
        """A viewer that speaks TLS to a server that does not is told so."""
        port = await self.serve()
        await self.watch(port, lambda: KeyCredentials(make_secret()), self.unchecked())
        self.assertIn("does not use TLS", await self.failure)

    async def test_strange_certificate(self) -> None:
        """With --tls a certificate that no authority has signed is refused."""
        _, port = await self.share()
        await self.watch(port, NoCredentials, optionsForClientTLS("127.0.0.1"))
        self.assertRegex(await self.failure, "not trusted|for another name")

    async def test_password(self) -> None:
        """A name and its password let a viewer in, on this machine also without TLS."""
        port = await self.serve(lambda: PasswordGuard(make_portal([CHECKER])))
        await self.watch(port, lambda: PasswordCredentials("me", Secret("secret")))
        await self.is_shown()

    async def test_wrong_password(self) -> None:
        """A wrong password, an unknown name, or none at all is refused in one line."""
        port = await self.serve(lambda: PasswordGuard(make_portal([CHECKER])))
        self.patch(self.factory.admission._throttle, "_clock", Impatient())
        for credentials, why in (
            (lambda: PasswordCredentials("me", Secret("guess")), "name or password is wrong"),
            (lambda: PasswordCredentials("you", Secret("secret")), "name or password is wrong"),
            (NoCredentials, "asks for a name and a password: use --user"),
        ):
            self.failure = Deferred()
            await self.watch(port, credentials)
            self.assertIn(why, await self.failure)
        self.assertFalse(self.hub.is_watched)
        self.assertEqual(self.frames, [])


class LedgerTests(WebTestCase):
    """What TCP and HTTP count together."""

    async def test_places(self) -> None:
        """A stream over HTTP takes a place from viewers over TCP, and the other way round."""
        await self.serve()
        wire = ViewerServerFactory(self.clock, {"desk": self.hub}, self.hub, admission=self.admission)
        self.admission.viewers.limit = 1
        stream = await self.send("/stream")
        await self.until(lambda: self.hub.is_watched)
        refused, transport = connect(wire)
        self.assertFalse(refused.is_watching)
        self.assertIn(b"the viewer limit of 1 has been reached, try again later", transport.value())
        stream.transport.abortConnection()  # type: ignore[union-attr]
        await self.until(lambda: not self.hub.is_watched)
        viewer, _ = connect(wire)
        self.assertTrue(viewer.is_watching)
        answer = await self.ask("/stream")
        self.assertEqual(answer.status, 503)
        self.assertIn(b"the viewer limit of 1 has been reached, try again later", answer.body)
        viewer.connectionLost()
        self.assertEqual(self.admission.viewers.taken, 0)

    async def test_turns(self) -> None:
        """A wrong password over HTTP delays the next login over TCP: an address is throttled over both together."""
        guard = PasswordGuard(make_portal([CHECKER]))
        self.authenticator = BasicAuthenticator(guard)
        await self.serve()
        wire = ViewerServerFactory(self.clock, {"desk": self.hub}, self.hub, lambda: guard, self.admission)
        guess = b64encode(b"me:guess").decode()
        wrong = await self.send("/state", Authorization=f"Basic {guess}")
        await self.until(lambda: wrong.received)
        viewer, _ = connect(wire)
        viewer.dataReceived(pack_json({"type": "hello", "user": "me", "password": "secret"}))
        self.assertFalse(viewer.is_watching)
        self.clock.advance(0.5)
        self.assertTrue(viewer.is_watching)
        viewer.connectionLost()
        self.assertEqual(self.admission.viewers.taken, 0)


class Impatient(Clock):
    """A clock on which every delay is over at once."""

    def callLater(self, delay: float, callable: Any, *args: Any, **kw: Any) -> Any:  # noqa: A002, N802
        return reactor.callLater(0, callable, *args, **kw)


class Middle(Factory):
    """Relays between viewers and the server at C{port}, and keeps all that is sent."""

    noisy = False

    def __init__(self, port: int) -> None:
        self.port = port
        self.heard = b""

    def buildProtocol(self, addr: object) -> Protocol:
        return _Relay(self)


class _Relay(Protocol):
    def __init__(self, middle: Middle, other: _Relay | None = None) -> None:
        self.middle = middle
        self.other = other
        self.kept = b""

    def connectionMade(self) -> None:
        if self.other is not None:
            self.other.other = self
            self.transport.write(self.other.kept)  # type: ignore[union-attr]
            return
        endpoint: Any = HostnameEndpoint(reactor, "127.0.0.1", self.middle.port)
        endpoint = wrapClientTLS(CertificateOptions(verify=False), endpoint)
        endpoint.connect(Factory.forProtocol(lambda: _Relay(self.middle, self)))

    def dataReceived(self, data: bytes) -> None:
        self.middle.heard += data
        if self.other is None:
            self.kept += data
        else:
            self.other.transport.write(data)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.loseConnection()
