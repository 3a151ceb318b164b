"""Who may watch: over real sockets and real TLS, and with the clock in our hands."""

from __future__ import annotations

import itertools
import time
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
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.raw_messages import pack_json
from tests.server.test_connection import frame, make_certificate
from twistedcam.access.admission import LoginThrottle
from twistedcam.access.credentials import KeyCredentials, NoCredentials, PasswordCredentials
from twistedcam.access.guards import KeyGuard, PasswordGuard, make_portal
from twistedcam.access.share import Share, load
from twistedcam.access.sharekey import make_secret
from twistedcam.client.connection import ServerConnectionFactory
from twistedcam.client.session import Viewer
from twistedcam.codec import encode_jpeg
from twistedcam.frame import Frame, stamp
from twistedcam.hub import Hub
from twistedcam.interfaces import AccessDeniedError, ICredentials, IGuard
from twistedcam.server.connection import HELLO_SECONDS
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.testing import RecordingSink
from twistedcam.wire.messages import Hello

CHECKER = InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")


def picture() -> Frame:
    """A frame."""
    import numpy as np

    return stamp(encode_jpeg(np.zeros((24, 32, 3), np.uint8)), "desk", 0, time.time())


class AccessTests(TestCase):
    """A viewer and a server, over TLS or not."""

    timeout = 30

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
        factory = ViewerServerFactory(reactor, {"desk": self.hub}, self.hub, make_guard)  # type: ignore[arg-type]
        port: Any = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(wrap(factory))
        self.addCleanup(port.stopListening)
        self.factory = factory
        return int(port.getHost().port)

    async def share(self) -> tuple[Share, int]:
        """A shared camera, and its port."""
        share = load(Path(self.mktemp()))
        return share, await self.serve(lambda: KeyGuard(share.secret, share.fingerprint), share.over_tls)

    async def watch(self, port: int, make_credentials: Callable[[], ICredentials], tls: Any = None) -> None:
        """A viewer of what is served at C{port}."""

        def show(frame: Frame) -> None:
            self.frames.append(frame)
            if not self.shown.called:
                self.shown.callback(None)

        viewer = Viewer(time.monotonic, show, self.failure.callback)
        endpoint: Any = HostnameEndpoint(reactor, "127.0.0.1", port)
        endpoint = wrapClientTLS(tls, endpoint) if tls is not None else endpoint
        factory = ServerConnectionFactory(viewer, reactor, make_credentials=make_credentials)  # type: ignore[arg-type]
        connection = await endpoint.connect(factory)
        self.addCleanup(connection.transport.abortConnection)

    def unchecked(self) -> CertificateOptions:
        """TLS that trusts anybody, as with a key."""
        return CertificateOptions(verify=False)

    async def is_shown(self) -> None:
        """Wait until the viewer is let in, and sees a frame."""
        from twisted.internet.task import deferLater

        while not self.hub.is_watched:
            await deferLater(reactor, 0.001)  # type: ignore[arg-type]
        self.hub.publish(picture())
        await self.shown

    async def test_key(self) -> None:
        """Who has the key sees the camera."""
        share, port = await self.share()
        await self.watch(port, lambda: KeyCredentials(share.secret), self.unchecked())
        await self.is_shown()

    async def test_wrong_key(self) -> None:
        """With another key the viewer sees that this is not its server, and proves nothing to it."""
        _, port = await self.share()
        await self.watch(port, lambda: KeyCredentials(make_secret()), self.unchecked())
        self.assertIn("the server does not have this key", await self.failure)
        self.assertFalse(self.hub.is_watched)

    async def test_man_in_the_middle(self) -> None:
        """Who ends TLS himself and hands on all that is said gets no frame, though both sides have the key."""
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
        """A server that sends frames without asking for the key is not the one that the key is for."""
        port = await self.serve(wrap=lambda f: TLSMemoryBIOFactory(make_certificate().options(), False, f))
        self.hub.attach(RecordingSink())
        self.hub.publish(picture())
        await self.watch(port, lambda: KeyCredentials(make_secret()), self.unchecked())
        self.assertIn("not the one that the key is for", await self.failure)
        self.assertEqual(self.frames, [])

    async def test_no_key(self) -> None:
        """A viewer without a key, over TLS or not, is told what it lacks."""
        _, port = await self.share()
        await self.watch(port, NoCredentials)
        self.assertIn("say --key", await self.failure)
        self.failure = Deferred()
        await self.watch(port, NoCredentials, self.unchecked())
        self.assertIn("say --key", await self.failure)
        self.assertFalse(self.hub.is_watched)

    async def test_tls_to_plain(self) -> None:
        """A viewer that speaks TLS to a server that does not is told so."""
        port = await self.serve()
        await self.watch(port, lambda: KeyCredentials(make_secret()), self.unchecked())
        self.assertIn("does not speak TLS", await self.failure)

    async def test_strange_certificate(self) -> None:
        """With --tls a certificate that nobody vouches for is refused."""
        _, port = await self.share()
        await self.watch(port, NoCredentials, optionsForClientTLS("127.0.0.1"))
        self.assertRegex(await self.failure, "not to be trusted|for another name")

    async def test_password(self) -> None:
        """Name and password let in, on this machine also without TLS."""
        port = await self.serve(lambda: PasswordGuard(make_portal([CHECKER])))
        await self.watch(port, lambda: PasswordCredentials("me", "secret"))
        await self.is_shown()

    async def test_wrong_password(self) -> None:
        """A wrong password, an unknown name, or none at all is refused in one line, after a moment."""
        port = await self.serve(lambda: PasswordGuard(make_portal([CHECKER])))
        self.patch(self.factory.turns, "_clock", Impatient())
        for credentials, why in (
            (lambda: PasswordCredentials("me", "guess"), "name or password is wrong"),
            (lambda: PasswordCredentials("you", "secret"), "name or password is wrong"),
            (NoCredentials, "asks for a name and a password: say --user"),
        ):
            self.failure = Deferred()
            await self.watch(port, credentials)
            self.assertIn(why, await self.failure)
        self.assertFalse(self.hub.is_watched)
        self.assertEqual(self.frames, [])


class Impatient(Clock):
    """A clock on which all that is to come comes at once."""

    def callLater(self, delay: float, callable: Any, *args: Any, **kw: Any) -> Any:  # noqa: A002, N802
        return reactor.callLater(0, callable, *args, **kw)  # type: ignore[attr-defined]


class Middle(Factory):
    """Hands on what viewers say to the server at C{port}, and the reverse, and keeps all of it."""

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


class GuardedConnectionTests(TestCase):
    """The server's side of one guarded connection, in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hub = Hub()
        self.guards: list[Any] = []
        self.factory = ViewerServerFactory(self.clock, {"desk": self.hub}, self.hub, self.make_guard)
        self.factory.doStart()
        self.addCleanup(self.factory.doStop)

    def make_guard(self) -> IGuard:
        """A guard by password."""
        return PasswordGuard(make_portal([CHECKER]))

    def viewer(self) -> tuple[Any, StringTransport]:
        """A connection from this machine."""
        from twisted.internet.address import IPv4Address

        home = IPv4Address("TCP", "127.0.0.1", 1)
        viewer = self.factory.buildProtocol(home)
        transport = StringTransport(hostAddress=home, peerAddress=home)
        viewer.makeConnection(transport)
        return viewer, transport

    def test_nothing_before_a_hello(self) -> None:
        """Before a good hello nothing at all is sent, whatever else is said; then frames come."""
        viewer, transport = self.viewer()
        self.hub.publish(frame(1))
        viewer.dataReceived(pack_json({"type": "ping", "sent": 1.0}) + pack_json({"type": "wave"}))
        self.clock.advance(5)
        self.assertEqual(transport.value(), b"")
        viewer.dataReceived(pack_json({"type": "hello", "user": "me", "password": "secret"}))
        self.hub.publish(frame(2))
        self.assertTrue(frame(2).payload in transport.value())
        self.clock.advance(60)
        self.assertFalse(transport.disconnected)

    def test_strangers_take_no_places(self) -> None:
        """However many wait to be let in, who has the password finds a place; and not all who come may wait."""
        self.factory.max_viewers = 3
        waiting = [self.viewer() for _ in range(3)]
        self.assertFalse(any(transport.disconnected for _, transport in waiting))
        self.assertTrue(self.viewer()[1].disconnected)
        viewer, _ = waiting[-1]
        viewer.dataReceived(pack_json({"type": "hello", "user": "me", "password": "secret"}))
        self.assertTrue(viewer.is_watching)

    def test_hello_too_late(self) -> None:
        """Who is not let in within 10 s is ended."""
        viewer, transport = self.viewer()
        self.clock.advance(HELLO_SECONDS)
        self.assertTrue(transport.disconnected)
        self.assertIn("not let in within 10 s", viewer.reason)
        self.assertEqual(transport.value(), b"")

    def test_passwords_in_the_clear(self) -> None:
        """A password from another machine is not even looked at without TLS."""
        from twisted.internet.address import IPv4Address

        viewer = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1))
        transport = StringTransport(hostAddress=IPv4Address("TCP", "192.0.2.1", 9999))
        viewer.makeConnection(transport)
        viewer.dataReceived(pack_json({"type": "hello", "user": "me", "password": "secret"}))
        self.clock.advance(1)
        self.assertIn(b"over TLS only", transport.value())

    def test_guesses_come_ever_more_slowly(self) -> None:
        """However many connections an address opens, its guesses are looked at one by one, with growing delays."""
        looked: list[float] = []
        check = CHECKER.requestAvatarId

        def note(credentials: Any) -> Any:
            looked.append(self.clock.seconds())
            return check(credentials)

        self.patch(CHECKER, "requestAvatarId", note)
        for _ in range(20):
            viewer, _ = self.viewer()
            viewer.dataReceived(pack_json({"type": "hello", "user": "me", "password": "guess"}))
            self.clock.pump([0.1] * 5)
        self.clock.pump([0.1] * 100)
        self.assertLess(len(looked), 12)
        gaps = [after - before for before, after in itertools.pairwise(looked)]
        self.assertGreater(max(gaps), 2)

    def test_second_hello_while_waiting(self) -> None:
        """A hello before the last one was answered ends the connection."""
        viewer, _ = self.viewer()
        viewer.dataReceived(pack_json({"type": "hello", "user": "me", "password": "guess"}))
        viewer.dataReceived(pack_json({"type": "hello", "user": "me", "password": "secret"}))
        self.assertIn("before it was answered", viewer.reason)
        self.assertFalse(self.hub.is_watched)

    def test_gone_while_waiting(self) -> None:
        """A viewer that leaves while its hello waits leaves nothing in the clock but the sweep."""
        viewer, _ = self.viewer()
        viewer.dataReceived(pack_json({"type": "hello", "user": "me", "password": "guess"}))
        viewer.connectionLost(connectionDone)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_checker_that_fails(self) -> None:
        """When passwords cannot be checked nobody is let in, the viewer is told, and the log says why."""

        def explode(credentials: Any) -> Any:
            raise OSError("the database is gone")

        self.patch(CHECKER, "requestAvatarId", explode)
        viewer, transport = self.viewer()
        viewer.dataReceived(pack_json({"type": "hello", "user": "me", "password": "secret"}))
        self.clock.advance(1)
        self.assertIn(b"cannot check passwords at present", transport.value())
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class KeyGuardTests(TestCase):
    """What a key's guard accepts."""

    def setUp(self) -> None:
        self.guard = KeyGuard(make_secret(), b"certificate")

    def admit(self, hello: Hello) -> Any:
        """What becomes of a hello."""
        return self.successResultOf(Deferred.fromCoroutine(self.guard.admit(hello, True)))

    def denied(self, hello: Hello) -> None:
        """Check that a hello is refused."""
        self.failureResultOf(Deferred.fromCoroutine(self.guard.admit(hello, True)), AccessDeniedError)

    def test_strange_hellos(self) -> None:
        """Whatever a hello holds, it is a question answered or a refusal."""
        for hello in (Hello(), Hello(proof="x"), Hello(user="me", password="secret")):
            self.denied(hello)

    def test_server_proof_is_no_viewer_proof(self) -> None:
        """The server's own proof, sent back to it, lets nobody in; nor does a second question."""
        challenge = self.admit(Hello(nonce="n" * 32))
        self.denied(Hello(nonce="n" * 32, proof=challenge.proof))
        self.denied(Hello(nonce="m" * 32))


class TurnsTests(TestCase):
    """LoginThrottle of addresses."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = LoginThrottle(self.clock)

    def wait(self, address: str = "a") -> Deferred[None]:
        """Wait for a turn."""
        return Deferred.fromCoroutine(self.turns.wait(address))

    def test_at_once(self) -> None:
        """Who has not failed waits for nothing, nor does who succeeded."""
        self.successResultOf(self.wait())
        self.turns.failed("a")
        self.turns.succeeded("a")
        self.successResultOf(self.wait())

    def test_others(self) -> None:
        """One address's failures are not another's."""
        self.turns.failed("a")
        self.successResultOf(self.wait("b"))
        self.assertNoResult(waiting := self.wait("a"))
        self.clock.advance(0.5)
        self.successResultOf(waiting)

    def test_one_after_the_other(self) -> None:
        """Attempts at the same time get turns one after the other."""
        self.turns.failed("a")
        waiting = [self.wait() for _ in range(4)]
        self.clock.advance(0.5)
        self.assertEqual([turn.called for turn in waiting], [True, False, False, False])
        self.clock.pump([0.5] * 3)
        self.assertTrue(all(turn.called for turn in waiting))

    def test_bounded(self) -> None:
        """Delays and memory have their bounds, and old failures are forgotten."""
        for _ in range(100):
            self.turns.failed("a")
        self.assertLessEqual(self.turns._delay(100), 8)
        for number in range(20_000):
            self.turns.failed(str(number))
        self.assertEqual(len(self.turns._failed), 10_000)
        self.clock.advance(10_000)
        self.successResultOf(self.wait("19999"))
        self.assertNotIn("19999", self.turns._failed)
