"""Viewers that connect to a server, for the tests of several packages."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import DN, KeyPair, PrivateCertificate
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from twistedcam.frame import Frame
from twistedcam.server.connection import ViewerConnection
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.wire.framing import JPEG_FIRST_BYTE, JSON_FIRST_BYTE, PICKLE_FIRST_BYTE, MessageReceiver

THIS_MACHINE = IPv4Address("TCP", "127.0.0.1", 1)


def frame(sequence: int, size: int = 20_000) -> Frame:
    """A frame that framing accepts as a JPEG; its bytes contain its sequence number."""
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
        """Return a Deferred that fires when C{condition} holds after something was received."""
        done: Deferred[None] = Deferred()
        self.awaited.append((condition, done))
        self._tell()
        return done

    def _tell(self) -> None:
        for awaited in tuple(self.awaited):
            if awaited[0]():
                self.awaited.remove(awaited)
                awaited[1].callback(None)


class Deaf(Protocol):
    """A viewer that reads nothing."""

    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.pauseProducing()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


def connect(
    factory: ViewerServerFactory, address: IPv4Address = THIS_MACHINE
) -> tuple[ViewerConnection, StringTransport]:
    """A viewer from C{address} in memory, connected to it."""
    viewer = factory.buildProtocol(address)
    transport = StringTransport(hostAddress=address, peerAddress=address)
    viewer.makeConnection(transport)
    return viewer, transport


def drain(transport: StringTransport) -> list[Any]:
    """What was sent since the last call, frames by their sequence numbers; all of it then counts as having left."""
    peer = Peer()
    peer.makeConnection(StringTransport())
    peer.dataReceived(transport.value())
    transport.clear()
    assert transport.producer is not None
    transport.producer.resumeProducing()
    return [*peer.frames, *peer.json]


def make_certificate() -> PrivateCertificate:
    """A self-signed certificate."""
    key = KeyPair.generate(size=2048)
    request = key.certificateRequest(DN(CN="twistedcam test"))
    signed = key.signCertificateRequest(DN(CN="twistedcam test"), request, lambda name: True, 1)
    return PrivateCertificate.load(signed, key)  # type: ignore[no-any-return]
