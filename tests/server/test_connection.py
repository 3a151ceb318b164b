"""The server: what a viewer gets, says and cannot do, over real sockets and in memory."""

from __future__ import annotations

import json
import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    SSL4ClientEndpoint,
    SSL4ServerEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    connectProtocol,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import DN, CertificateOptions, KeyPair, PrivateCertificate
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.raw_messages import pack_json
from twistedcam.frame import Frame
from twistedcam.hub import Hub
from twistedcam.net import describe
from twistedcam.server.connection import ViewerConnection
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.testing import RecordingSink
from twistedcam.wire.framing import (
    JPEG_FIRST_BYTE,
    JSON_FIRST_BYTE,
    PICKLE_FIRST_BYTE,
    MessageReceiver,
    pack,
)


def frame(sequence: int, size: int = 20_000) -> Frame:
    """A frame that a framing layer takes for a JPEG; its sequence is in its bytes."""
    return Frame(b"\xff\xd8" + sequence.to_bytes(4, "big") + bytes(size), sequence=sequence, captured=float(sequence))


class Peer(MessageReceiver):
    """A viewer that keeps what it is sent."""

    accepted = (JPEG_FIRST_BYTE, JSON_FIRST_BYTE, PICKLE_FIRST_BYTE)

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[int] = []
        self.payloads: list[bytes] = []
        self.json: list[dict[str, Any]] = []
        self.lost: Deferred[None] = Deferred()
        self.awaited: list[tuple[Any, Deferred[None]]] = []

    def frameReceived(self, payload: bytes) -> None:
        self.payloads.append(payload)
        self.frames.append(int.from_bytes(payload[2:6], "big"))
        self._tell()

    def jsonReceived(self, payload: bytes) -> None:
        self.json.append(json.loads(payload))
        self._tell()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)

    def until(self, condition: Any) -> Deferred[None]:
        """Fires when C{condition} holds after something was received."""
        done: Deferred[None] = Deferred()
        self.awaited.append((condition, done))
        self._tell()
        return done

    def _tell(self) -> None:
        for awaited in tuple(self.awaited):
            if awaited[0]():
                self.awaited.remove(awaited)
                awaited[1].callback(None)


class MemoryTests(TestCase):
    """One viewer's protocol on a transport in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.desk, self.door, self.pickles = Hub(), Hub(), Hub()
        self.factory = ViewerServerFactory(self.clock, {"desk": self.desk, "door": self.door}, self.desk)
        self.factory.doStart()
        self.addCleanup(self.factory.doStop)

    def viewer(self) -> tuple[ViewerConnection, StringTransport]:
        """A connected viewer."""
        viewer = self.factory.buildProtocol(None)
        transport = StringTransport()
        viewer.makeConnection(transport)
        return viewer, transport

    def drain(self, transport: StringTransport) -> list[Any]:
        """What was sent since the last call, frames by their sequence; all of it is taken to have left."""
        peer = Peer()
        peer.makeConnection(StringTransport())
        peer.dataReceived(transport.value())
        transport.clear()
        assert transport.producer is not None
        transport.producer.resumeProducing()
        return [*peer.frames, *peer.json]

    def test_speaks_first(self) -> None:
        """Who says nothing gets frames."""
        _, transport = self.viewer()
        self.desk.publish(frame(1))
        self.assertEqual(self.drain(transport), [1])

    def test_one_frame_waits(self) -> None:
        """While one frame is on its way, of all others only the newest is kept, and goes next."""
        _, transport = self.viewer()
        for sequence in range(100):
            self.desk.publish(frame(sequence))
        self.assertEqual(len(transport.value()), len(frame(0).message))
        self.assertEqual(self.drain(transport), [0])
        self.assertEqual(self.drain(transport), [99])

    def test_hello_chooses(self) -> None:
        """A hello names the camera, and gets only its frames from then on."""
        viewer, transport = self.viewer()
        viewer.dataReceived(pack_json({"type": "hello", "camera": "door"}))
        self.desk.publish(frame(1))
        self.door.publish(frame(2))
        self.assertEqual(self.drain(transport), [2])
        self.assertFalse(self.desk.is_watched)

    def test_hello_without_camera(self) -> None:
        """A hello that names none gets the first camera, and no frame twice."""
        self.desk.attach(RecordingSink())
        self.desk.publish(frame(1))
        viewer, transport = self.viewer()
        viewer.dataReceived(pack_json({"type": "hello"}))
        self.assertEqual(self.drain(transport), [1])

    def test_unknown_camera(self) -> None:
        """A hello to a camera that is not there is told which are, and no more."""
        viewer, transport = self.viewer()
        viewer.dataReceived(pack_json({"type": "hello", "camera": "cellar"}))
        message = json.loads(transport.value()[8:])
        self.assertEqual(message["type"], "refused")
        self.assertIn("'cellar'", message["reason"])
        self.assertIn("desk, door", message["reason"])
        self.assertTrue(transport.disconnecting)
        self.assertFalse(self.desk.is_watched)

    def test_strange_hellos(self) -> None:
        """Whatever a hello holds, it is answered or refused."""
        bad_rates: list[dict[str, Any]] = [{"fps": "fast"}, {"fps": -1}, {"fps": 1e9}, {"fps": True}]
        bad_cameras: list[dict[str, Any]] = [{"camera": ["desk"]}, {"camera": {}}]
        for hello in bad_rates + bad_cameras:
            viewer, transport = self.viewer()
            viewer.dataReceived(pack_json({"type": "hello", **hello}))
            self.assertIn(b"refused", transport.value(), hello)

    def test_rate(self) -> None:
        """A hello may bound the rate."""
        viewer, transport = self.viewer()
        viewer.dataReceived(pack_json({"type": "hello", "fps": 0.5}))
        got = []
        for sequence in range(10):
            self.desk.publish(frame(sequence))
            got += self.drain(transport)
        self.assertEqual(got, [0, 2, 4, 6, 8])

    def test_unknown_types(self) -> None:
        """A message of a type to come disturbs nothing."""
        viewer, transport = self.viewer()
        viewer.dataReceived(pack_json({"type": "wave"}) + pack_json({}))
        self.desk.publish(frame(1))
        self.assertEqual(self.drain(transport), [1])

    def test_pong(self) -> None:
        """A ping is answered with what it said and our time of day."""
        viewer, transport = self.viewer()
        before = time.time()
        viewer.dataReceived(pack_json({"type": "ping", "sent": 12.5}))
        (pong,) = self.drain(transport)
        self.assertEqual((pong["type"], pong["sent"]), ("pong", 12.5))
        self.assertTrue(before <= pong["clock"] <= time.time())

    def test_a_pong_waits_for_its_turn(self) -> None:
        """Pings that come while a frame is on its way get one answer, to the newest, before the next frame."""
        viewer, transport = self.viewer()
        self.desk.publish(frame(1))
        for sent in range(100):
            viewer.dataReceived(pack_json({"type": "ping", "sent": sent}))
        self.desk.publish(frame(2))
        self.assertEqual(self.drain(transport), [1])
        (pong,) = self.drain(transport)
        self.assertEqual(pong["sent"], 99)
        self.assertEqual(self.drain(transport), [2])

    def test_garbage(self) -> None:
        """A viewer that sends what no viewer sends is ended; others notice nothing."""
        _, other = self.viewer()
        for garbage in (
            b"GET / HTTP/1.1\r\n",
            pack(b"\xff\xd8"),
            pack(b"\x80\x04."),
            pack(b"{]"),
            b"\xff" * 100,
            pack(b""),
        ):
            viewer, transport = self.viewer()
            viewer.dataReceived(garbage)
            self.assertTrue(transport.disconnected or transport.disconnecting, garbage)
            viewer.connectionLost(connectionDone)
        self.desk.publish(frame(1))
        self.assertEqual(self.drain(other), [1])

    def test_no_progress(self) -> None:
        """A viewer that has taken nothing for 30 s is ended at once, with a reason; one that is merely slow is not."""
        stalled, stalled_transport = self.viewer()
        slow, slow_transport = self.viewer()
        for second in range(29):
            self.desk.publish(frame(second))
            if second % 10 == 9:
                self.drain(slow_transport)
            self.clock.advance(1)
        self.assertFalse(stalled_transport.disconnected)
        for second in range(3):
            self.desk.publish(frame(second))
            self.clock.advance(1)
        self.assertTrue(stalled_transport.disconnected)
        self.assertFalse(slow_transport.disconnected)
        self.assertIn("took nothing for 30 s", stalled.reason)
        self.assertEqual(slow.reason, "it left")

    def test_half_a_message(self) -> None:
        """A viewer that sends half a message and then nothing is ended; one that goes on in time is not."""
        silent, silent_transport = self.viewer()
        slow, slow_transport = self.viewer()
        ping = pack_json({"type": "ping", "sent": 1.0})
        for viewer in (silent, slow):
            viewer.dataReceived(ping[:12])
        for second in range(62):
            self.clock.advance(1)
            if second % 20 == 19:
                slow.dataReceived(ping[12:] + ping[:12])
        self.assertTrue(silent_transport.disconnected)
        self.assertIn("half a message", silent.reason)
        self.assertFalse(slow_transport.disconnected)

    def test_too_many_messages(self) -> None:
        """A viewer that sends more messages in a second than any use has is ended; one that keeps to it is not."""
        viewer, transport = self.viewer()
        ping = pack_json({"type": "ping", "sent": 1.0})
        for _ in range(5):
            viewer.dataReceived(ping * 100)
            self.clock.advance(1)
        self.assertFalse(transport.disconnected)
        viewer.dataReceived(ping * 101)
        self.assertTrue(transport.disconnected)
        self.assertIn("more than 100 messages in a second", viewer.reason)

    def test_cameras(self) -> None:
        """Who asks is told which cameras there are."""
        viewer, transport = self.viewer()
        viewer.dataReceived(pack_json({"type": "cameras"}))
        self.assertEqual(self.drain(transport), [{"type": "cameras", "cameras": ["desk", "door"]}])

    def test_smaller_pictures(self) -> None:
        """A viewer that takes too few of the full pictures is sent smaller ones, if it said hello."""
        half = Hub()
        factory = ViewerServerFactory(self.clock, {"desk": self.desk}, self.desk, smaller={"desk": [half]})
        factory.doStart()
        self.addCleanup(factory.doStop)
        for hello, moved in (({}, True), ({"adapt": False}, False), (None, False)):
            viewer = factory.buildProtocol(None)
            viewer.makeConnection(StringTransport())
            if hello is not None:
                viewer.dataReceived(pack_json({"type": "hello", **hello}))
            for sequence in range(100):
                self.desk.publish(frame(sequence))
                self.clock.advance(0.04)
            self.assertEqual(half.is_watched, moved)
            viewer.connectionLost(connectionDone)

    def test_counted_elsewhere(self) -> None:
        """Those who watch in other ways take places, too."""
        factory = ViewerServerFactory(
            self.clock, {"desk": self.desk}, self.desk, max_viewers=3, count_viewers=lambda: 3
        )
        viewer = factory.buildProtocol(None)
        viewer.makeConnection(StringTransport())
        self.assertFalse(viewer.is_watching)

    def test_idle_is_not_stalled(self) -> None:
        """Where there is nothing to send, nobody is ended for not taking it."""
        _, transport = self.viewer()
        self.desk.publish(frame(1))
        self.drain(transport)
        for _ in range(100):
            self.clock.advance(1)
        self.assertFalse(transport.disconnected)

    def test_full(self) -> None:
        """One viewer more than may watch is told so and to come again; when one has gone there is room."""
        self.factory.max_viewers = 2
        first, _ = self.viewer()
        self.viewer()
        _, transport = self.viewer()
        message = json.loads(transport.value()[8:])
        self.assertEqual((message["type"], message["again"]), ("refused", True))
        self.assertIn("2 are watching", message["reason"])
        self.assertTrue(transport.disconnecting)
        first.connectionLost(connectionDone)
        viewer, _ = self.viewer()
        self.assertTrue(viewer.is_watching)

    def test_full_of_pickles(self) -> None:
        """Where viewers that say nothing get pickles, one too many gets nothing at all."""
        factory = ViewerServerFactory(self.clock, {"desk": self.desk}, self.pickles, max_viewers=0)
        viewer = factory.buildProtocol(None)
        transport = StringTransport()
        viewer.makeConnection(transport)
        self.assertEqual((transport.value(), transport.disconnected), (b"", True))

    def test_gone(self) -> None:
        """A viewer that is gone is not in the hub, and nothing of it is left in the clock but the sweep."""
        viewer, _ = self.viewer()
        viewer.connectionLost(connectionDone)
        self.assertFalse(self.desk.is_watched)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_describe(self) -> None:
        """Addresses are written as people do."""
        from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

        self.assertEqual(describe(IPv4Address("TCP", "10.0.0.1", 99)), "10.0.0.1:99")
        self.assertEqual(describe(IPv6Address("TCP", "::1", 99)), "[::1]:99")
        self.assertEqual(describe(UNIXAddress("/run/cam")), "/run/cam")


def make_certificate() -> PrivateCertificate:
    """A certificate for nobody in particular, signed by itself."""
    key = KeyPair.generate(size=2048)
    request = key.certificateRequest(DN(CN="twistedcam test"))
    signed = key.signCertificateRequest(DN(CN="twistedcam test"), request, lambda name: True, 1)
    return PrivateCertificate.load(signed, key)  # type: ignore[no-any-return]


def noted(function: Any, calls: list[Any]) -> Any:
    """C{function}, which notes what it is given."""

    def noting(*given: Any) -> Any:
        calls.append(*given or (None,))
        return function(*given)

    return noting


class Deaf(Protocol):
    """A viewer that stops reading as soon as it is connected."""

    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.pauseProducing()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class SocketTests(TestCase):
    """Over real sockets."""

    timeout = 30

    async def serve(self) -> None:
        """A server on a port of the kernel's choice."""
        self.hub = Hub()
        self.factory = ViewerServerFactory(reactor, {"desk": self.hub}, self.hub)  # type: ignore[arg-type]
        self.port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(self.factory)
        self.addCleanup(self.port.stopListening)

    async def connect(self, protocol: Any) -> Any:
        """C{protocol}, connected and watching."""
        count = len(self.factory.viewers)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        await connectProtocol(endpoint, protocol)
        while len(self.factory.viewers) <= count:
            await deferLater(reactor, 0)  # type: ignore[arg-type]
        self.addCleanup(protocol.transport.abortConnection)
        return protocol

    def test_every_frame(self) -> Deferred[None]:
        """Viewers that read get every frame whole, also frames larger than one write."""

        async def check() -> None:
            await self.serve()
            peers = [await self.connect(Peer()) for _ in range(5)]
            for sequence in range(20):
                self.hub.publish(frame(sequence, size=1_000 if sequence % 2 else 300_000))
                for peer in peers:
                    await peer.until(lambda n=sequence + 1, peer=peer: len(peer.frames) == n)
            for peer in peers:
                self.assertEqual(peer.frames, list(range(20)))
                self.assertEqual(len(peer.payloads[0]), 300_006)

        return Deferred.fromCoroutine(check())

    def test_work_for_each_frame(self) -> Deferred[None]:
        """A frame costs one call of the system for a viewer that keeps up, and its bytes are made once for all."""

        async def check() -> None:
            await self.serve()
            peers = [await self.connect(Peer()) for _ in range(3)]
            sent: list[bytes] = []

            links: list[list[None]] = []
            for viewer in self.factory.viewers:
                viewer._sink._send_at_once = noted(viewer._sink._send_at_once, sent)
                links.append([])
                link: Any = viewer._sink._link
                link._info = noted(link._info, links[-1])
            frames = [frame(sequence) for sequence in range(51)]
            for count, one in enumerate(frames, 1):
                self.hub.publish(one)
                for peer in peers:
                    await peer.until(lambda n=count, peer=peer: len(peer.frames) == n)
            self.assertEqual(len(sent), len(frames) * len(peers))
            # Ten until it is fast, then for one of 21 to 41.
            self.assertEqual([len(asked) for asked in links], [11] * len(peers))
            self.assertEqual(len({id(message) for message in sent}), len(frames))

        return Deferred.fromCoroutine(check())

    def test_no_delay(self) -> Deferred[None]:
        """A frame that follows a pong does not wait for its acknowledgement: Nagle's algorithm is off."""

        async def check() -> None:
            await self.serve()
            await self.connect(Peer())
            (viewer,) = self.factory.viewers
            self.assertTrue(viewer.transport.getTcpNoDelay())

        return Deferred.fromCoroutine(check())

    def test_tls(self) -> Deferred[None]:
        """Over TLS frames are whole and encrypted, and the newest wins, too."""

        async def check() -> None:
            self.hub = Hub()
            self.factory = ViewerServerFactory(reactor, {"desk": self.hub}, self.hub)  # type: ignore[arg-type]
            self.port = await SSL4ServerEndpoint(
                reactor, 0, make_certificate().options(), interface="127.0.0.1"
            ).listen(self.factory)
            self.addCleanup(self.port.stopListening)
            peer = Peer()
            trust = CertificateOptions(verify=False)
            endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port, trust)
            await connectProtocol(endpoint, peer)
            self.addCleanup(peer.transport.abortConnection)
            while not self.hub.is_watched:
                await deferLater(reactor, 0)  # type: ignore[arg-type]
            for sequence in range(20):
                self.hub.publish(frame(sequence, size=300_000))
                await peer.until(lambda n=sequence + 1: len(peer.frames) == n)
            self.assertEqual(peer.frames, list(range(20)))
            peer.transport.pauseProducing()
            for sequence in range(20, 300):
                self.hub.publish(frame(sequence, size=300_000))
                await deferLater(reactor, 0)  # type: ignore[arg-type]
            peer.transport.resumeProducing()
            await peer.until(lambda: peer.frames[-1] == 299)
            self.assertLess(len(peer.frames), 200)

        return Deferred.fromCoroutine(check())

    def test_one_stalled(self) -> Deferred[None]:
        """A viewer that reads nothing costs the others no frame, and one frame waits for it, no more."""

        async def check() -> None:
            await self.serve()
            await self.connect(Deaf())
            (stalled,) = self.factory.viewers
            peer = await self.connect(Peer())
            for sequence in range(300):
                self.hub.publish(frame(sequence))
                await peer.until(lambda n=sequence + 1: len(peer.frames) == n)
            self.assertEqual(peer.frames, list(range(300)))
            assert stalled._place is not None
            outlet = stalled._place.outlet
            assert outlet.waiting is not None
            self.assertEqual(outlet.waiting.sequence, 299)
            self.assertEqual(outlet.begun + outlet.dropped + 1, 300)
            transport = stalled.transport
            self.assertLess(len(transport.dataBuffer) + transport._tempDataLen, 2 * 20_014)

        return Deferred.fromCoroutine(check())

    def test_stalled_reads_again(self) -> Deferred[None]:
        """When a viewer reads again it gets what had begun, whole, and then the newest frame."""

        async def check() -> None:
            await self.serve()
            peer = await self.connect(Peer())
            peer.transport.pauseProducing()
            (viewer,) = self.factory.viewers
            for sequence in range(300):
                self.hub.publish(frame(sequence))
                await deferLater(reactor, 0)  # type: ignore[arg-type]
            peer.transport.resumeProducing()
            await peer.until(lambda: peer.frames and peer.frames[-1] == 299)
            self.assertEqual(peer.frames, sorted(set(peer.frames)))
            self.assertLess(len(peer.frames), 299)
            assert viewer._place is not None
            self.assertIsNone(viewer._place.outlet.waiting)

        return Deferred.fromCoroutine(check())

    def test_ended_when_stalled(self) -> Deferred[None]:
        """A stalled viewer's connection is ended without waiting for what it has not read."""

        async def check() -> None:
            await self.serve()
            deaf = await self.connect(Deaf())
            (viewer,) = self.factory.viewers
            for sequence in range(300):
                self.hub.publish(frame(sequence))
                await deferLater(reactor, 0)  # type: ignore[arg-type]
            viewer.sweep(reactor.seconds() + 31)  # type: ignore[attr-defined]
            while self.factory.viewers:
                await deferLater(reactor, 0)  # type: ignore[arg-type]
            deaf.transport.resumeProducing()
            await deaf.lost
            self.assertFalse(self.hub.is_watched)

        return Deferred.fromCoroutine(check())
