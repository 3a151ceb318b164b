"""One viewer's connection, in memory and over real sockets."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import (
    SSL4ClientEndpoint,
    SSL4ServerEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    connectProtocol,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from tests.raw_messages import pack_json
from tests.server.peers import Deaf, Peer, connect, drain, frame, make_certificate
from twistedcam.hub import Hub
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.server.stages import Watching
from twistedcam.testing import RecordingSink
from twistedcam.wire.framing import pack


class ViewerConnectionTests(TestCase):
    """A viewer of a server without a guard, in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.desk, self.door = Hub(), Hub()
        self.factory = ViewerServerFactory(
            self.clock, {"desk": self.desk, "door": self.door}, self.desk, now=lambda: 1795487331.5
        )
        self.factory.doStart()
        self.addCleanup(self.factory.doStop)

    def test_speaks_first(self) -> None:
        """A viewer that never sends a hello is sent frames."""
        _, transport = connect(self.factory)
        self.desk.publish(frame(1))
        self.assertEqual(drain(transport), [1])

    def test_one_frame_waits(self) -> None:
        """While one frame is being sent, only the newest of the others is kept, and is sent next."""
        _, transport = connect(self.factory)
        for sequence in range(100):
            self.desk.publish(frame(sequence))
        self.assertEqual(len(transport.value()), len(frame(0).message))
        self.assertEqual(drain(transport), [0])
        self.assertEqual(drain(transport), [99])

    def test_hello_chooses(self) -> None:
        """A hello chooses a camera: only its frames are sent from then on."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(pack_json({"type": "hello", "camera": "door"}))
        self.desk.publish(frame(1))
        self.door.publish(frame(2))
        self.assertEqual(drain(transport), [2])
        self.assertFalse(self.desk.is_watched)

    def test_hello_without_camera(self) -> None:
        """A hello without a camera chooses the first one, and no frame is sent twice."""
        self.desk.attach(RecordingSink())
        self.desk.publish(frame(1))
        viewer, transport = connect(self.factory)
        viewer.dataReceived(pack_json({"type": "hello"}))
        self.assertEqual(drain(transport), [1])

    def test_unknown_camera(self) -> None:
        """A hello with an unknown camera is refused with the names of the cameras."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(pack_json({"type": "hello", "camera": "cellar"}))
        message = json.loads(transport.value()[8:])
        self.assertEqual(message["type"], "refused")
        self.assertIn("'cellar'", message["reason"])
        self.assertIn("desk, door", message["reason"])
        self.assertTrue(transport.disconnecting)
        self.assertFalse(self.desk.is_watched)

    def test_strange_hellos(self) -> None:
        """A hello with invalid values is refused."""
        bad_rates: list[dict[str, Any]] = [{"fps": "fast"}, {"fps": -1}, {"fps": 1e9}, {"fps": True}]
        bad_cameras: list[dict[str, Any]] = [{"camera": ["desk"]}, {"camera": {}}]
        for hello in bad_rates + bad_cameras:
            viewer, transport = connect(self.factory)
            viewer.dataReceived(pack_json({"type": "hello", **hello}))
            self.assertIn(b"refused", transport.value(), hello)

    def test_rate(self) -> None:
        """A hello may limit the frame rate."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(pack_json({"type": "hello", "fps": 0.5}))
        got = []
        for sequence in range(10):
            self.desk.publish(frame(sequence))
            got += drain(transport)
        self.assertEqual(got, [0, 2, 4, 6, 8])

    def test_unknown_types(self) -> None:
        """A message of an unknown type, as of a later version, is ignored."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(pack_json({"type": "wave"}) + pack_json({}))
        self.desk.publish(frame(1))
        self.assertEqual(drain(transport), [1])

    def test_pong(self) -> None:
        """A ping is answered with what it held and the server's time of day."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(pack_json({"type": "ping", "sent": 12.5}))
        (pong,) = drain(transport)
        self.assertEqual(pong, {"type": "pong", "sent": 12.5, "clock": 1795487331.5})

    def test_a_pong_waits_for_its_turn(self) -> None:
        """Pings that come while a frame is being sent get one answer, to the newest, before the next frame."""
        viewer, transport = connect(self.factory)
        self.desk.publish(frame(1))
        for sent in range(100):
            viewer.dataReceived(pack_json({"type": "ping", "sent": sent}))
        self.desk.publish(frame(2))
        self.assertEqual(drain(transport), [1])
        (pong,) = drain(transport)
        self.assertEqual(pong["sent"], 99)
        self.assertEqual(drain(transport), [2])

    def test_garbage(self) -> None:
        """A viewer that sends garbage is disconnected; others notice nothing."""
        _, other = connect(self.factory)
        for garbage in (
            b"GET / HTTP/1.1\r\n",
            pack(b"\xff\xd8"),
            pack(b"\x80\x04."),
            pack(b"{]"),
            b"\xff" * 100,
            pack(b""),
        ):
            viewer, transport = connect(self.factory)
            viewer.dataReceived(garbage)
            self.assertTrue(transport.disconnected or transport.disconnecting, garbage)
            viewer.connectionLost(connectionDone)
        self.desk.publish(frame(1))
        self.assertEqual(drain(other), [1])

    def test_no_progress(self) -> None:
        """A viewer that took nothing for 30 s is disconnected, with a reason; one that is merely slow is not."""
        stalled, stalled_transport = connect(self.factory)
        slow, slow_transport = connect(self.factory)
        for second in range(29):
            self.desk.publish(frame(second))
            if second % 10 == 9:
                drain(slow_transport)
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
        """A viewer that sends half a message and no more is disconnected; one that continues in time is not."""
        silent, silent_transport = connect(self.factory)
        slow, slow_transport = connect(self.factory)
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
        """A viewer that sends more than 100 messages in a second is disconnected; one that sends 100 is not."""
        viewer, transport = connect(self.factory)
        ping = pack_json({"type": "ping", "sent": 1.0})
        for _ in range(5):
            viewer.dataReceived(ping * 100)
            self.clock.advance(1)
        self.assertFalse(transport.disconnected)
        viewer.dataReceived(ping * 101)
        self.assertTrue(transport.disconnected)
        self.assertIn("more than 100 messages in a second", viewer.reason)

    def test_cameras(self) -> None:
        """A viewer may ask for the names of the cameras."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(pack_json({"type": "cameras"}))
        self.assertEqual(drain(transport), [{"type": "cameras", "cameras": ["desk", "door"]}])

    def test_smaller_pictures(self) -> None:
        """A viewer that takes too few of the full pictures is sent smaller ones, if it sent a hello that allows it."""
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

    def test_idle_is_not_stalled(self) -> None:
        """A viewer is not disconnected while there is nothing to send."""
        _, transport = connect(self.factory)
        self.desk.publish(frame(1))
        drain(transport)
        for _ in range(100):
            self.clock.advance(1)
        self.assertFalse(transport.disconnected)

    def test_gone(self) -> None:
        """A viewer that is gone is not in the hub, and only the sweep is left in the clock."""
        viewer, _ = connect(self.factory)
        viewer.connectionLost(connectionDone)
        self.assertFalse(self.desk.is_watched)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)


def noted(function: Any, calls: list[Any]) -> Any:
    """C{function}, wrapped so that its arguments are recorded in C{calls}."""

    def noting(*given: Any) -> Any:
        calls.append(*given or (None,))
        return function(*given)

    return noting


class SocketTests(TestCase):
    """Over real sockets."""

    timeout = 120

    async def serve(self) -> None:
        """A server on a port of the kernel's choice."""
        self.hub = Hub()
        self.factory = ViewerServerFactory(reactor, {"desk": self.hub}, self.hub)
        self.port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(self.factory)
        self.addCleanup(self.port.stopListening)

    async def connect(self, protocol: Any) -> Any:
        """C{protocol}, connected and watching."""
        count = len(self.factory.viewers)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        await connectProtocol(endpoint, protocol)
        while len(self.factory.viewers) <= count:
            await deferLater(reactor, 0)
        self.addCleanup(protocol.transport.abortConnection)
        return protocol

    async def test_every_frame(self) -> None:
        """Viewers that keep up are sent every frame whole, also frames larger than one write."""
        await self.serve()
        peers = [await self.connect(Peer()) for _ in range(5)]
        for sequence in range(20):
            self.hub.publish(frame(sequence, size=1_000 if sequence % 2 else 300_000))
            for peer in peers:
                await peer.until(lambda n=sequence + 1, peer=peer: len(peer.frames) == n)
        for peer in peers:
            self.assertEqual(peer.frames, list(range(20)))
            self.assertEqual(len(peer.payloads[0]), 300_006)

    async def test_work_for_each_frame(self) -> None:
        """A frame costs one system call for each viewer that keeps up, and its bytes are made once for all."""
        await self.serve()
        peers = [await self.connect(Peer()) for _ in range(3)]
        sent: list[bytes] = []

        links: list[list[None]] = []
        for viewer in self.factory.viewers:
            viewer.sink._send_at_once = noted(viewer.sink._send_at_once, sent)
            links.append([])
            link: Any = viewer.sink._link
            link._info = noted(link._info, links[-1])
        frames = [frame(sequence) for sequence in range(51)]
        for count, one in enumerate(frames, 1):
            self.hub.publish(one)
            for peer in peers:
                await peer.until(lambda n=count, peer=peer: len(peer.frames) == n)
        self.assertEqual(len(sent), len(frames) * len(peers))
        # Ten times until the link is fast, then for one frame in 21 to 41.
        self.assertEqual([len(asked) for asked in links], [11] * len(peers))
        self.assertEqual(len({id(message) for message in sent}), len(frames))

    async def test_no_delay(self) -> None:
        """A frame that follows a pong does not wait for the pong's ACK: Nagle's algorithm is off."""
        await self.serve()
        await self.connect(Peer())
        (viewer,) = self.factory.viewers
        self.assertTrue(viewer.transport.getTcpNoDelay())

    async def test_tls(self) -> None:
        """Over TLS, too, frames are whole, and a viewer that was slow is sent the newest next."""
        self.hub = Hub()
        self.factory = ViewerServerFactory(reactor, {"desk": self.hub}, self.hub)
        self.port = await SSL4ServerEndpoint(reactor, 0, make_certificate().options(), interface="127.0.0.1").listen(
            self.factory
        )
        self.addCleanup(self.port.stopListening)
        peer = Peer()
        trust = CertificateOptions(verify=False)
        endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port, trust)
        await connectProtocol(endpoint, peer)
        self.addCleanup(peer.transport.abortConnection)
        while not self.hub.is_watched:
            await deferLater(reactor, 0)
        for sequence in range(20):
            self.hub.publish(frame(sequence, size=300_000))
            await peer.until(lambda n=sequence + 1: len(peer.frames) == n)
        self.assertEqual(peer.frames, list(range(20)))
        peer.transport.pauseProducing()
        for sequence in range(20, 300):
            self.hub.publish(frame(sequence, size=300_000))
            await deferLater(reactor, 0)
        peer.transport.resumeProducing()
        await peer.until(lambda: peer.frames[-1] == 299)
        self.assertLess(len(peer.frames), 200)

    async def test_one_stalled(self) -> None:
        """A viewer that reads nothing costs the others no frame, and only one frame waits for it."""
        await self.serve()
        await self.connect(Deaf())
        (stalled,) = self.factory.viewers
        peer = await self.connect(Peer())
        for sequence in range(300):
            self.hub.publish(frame(sequence))
            await peer.until(lambda n=sequence + 1: len(peer.frames) == n)
        self.assertEqual(peer.frames, list(range(300)))
        assert isinstance(stalled._stage, Watching)
        outlet = stalled._stage.ladder.outlet
        assert outlet.waiting is not None
        self.assertEqual(outlet.waiting.sequence, 299)
        self.assertEqual(outlet.begun + outlet.dropped + 1, 300)
        transport = stalled.transport
        self.assertLess(len(transport.dataBuffer) + transport._tempDataLen, 2 * 20_014)

    async def test_stalled_reads_again(self) -> None:
        """A viewer that reads again gets the frame that was begun, whole, and then the newest."""
        await self.serve()
        peer = await self.connect(Peer())
        peer.transport.pauseProducing()
        (viewer,) = self.factory.viewers
        for sequence in range(300):
            self.hub.publish(frame(sequence))
            await deferLater(reactor, 0)
        peer.transport.resumeProducing()
        await peer.until(lambda: peer.frames and peer.frames[-1] == 299)
        self.assertEqual(peer.frames, sorted(set(peer.frames)))
        self.assertLess(len(peer.frames), 299)
        assert isinstance(viewer._stage, Watching)
        self.assertIsNone(viewer._stage.ladder.outlet.waiting)

    async def test_ended_when_stalled(self) -> None:
        """A stalled viewer is disconnected without waiting until it reads."""
        await self.serve()
        deaf = await self.connect(Deaf())
        (viewer,) = self.factory.viewers
        for sequence in range(300):
            self.hub.publish(frame(sequence))
            await deferLater(reactor, 0)
        viewer.sweep(reactor.seconds() + 31)
        while self.factory.viewers:
            await deferLater(reactor, 0)
        deaf.transport.resumeProducing()
        await deaf.lost
        self.assertFalse(self.hub.is_watched)
