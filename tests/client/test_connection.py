"""One connection: what is sent to the server, and how servers of every kind are treated."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from tests.client.fakes import LOST, messages
from tests.raw_messages import pack_json
from twistedcam.access.credentials import KeyCredentials, NoCredentials
from twistedcam.access.sharekey import make_secret
from twistedcam.client.connection import _UNPROVED, ServerConnection, ServerConnectionFactory
from twistedcam.client.session import CONNECTED, CONNECTING, RECONNECTING, Session
from twistedcam.codec import encode_jpeg
from twistedcam.frame import Frame, stamp
from twistedcam.wire.framing import PREFIX, pack

GOLDEN = Path(__file__).parents[1] / "golden"
JPEG = encode_jpeg(np.zeros((24, 32, 3), np.uint8))
ARRAY = pickle.dumps(np.zeros((24, 32, 3), np.uint8))


def frame(sequence: int, captured: float = 0.0) -> bytes:
    """The message of a real frame."""
    return stamp(JPEG, "desk", sequence, captured).message


class ConnectionTests(TestCase):
    """One connection to a server that the test plays."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.frames: list[Frame] = []
        self.failures: list[str] = []
        self.session = self.make_session()

    def make_session(self, **options: Any) -> Session:
        """A session that keeps what it reports."""
        return Session(self.clock.seconds, self.frames.append, self.failures.append, **options)

    def connect(self, **options: Any) -> tuple[ServerConnection, StringTransport]:
        """The viewer's connection."""
        connection = ServerConnectionFactory(self.session, self.clock, **options).buildProtocol(None)
        transport = StringTransport()
        connection.makeConnection(transport)
        return connection, transport

    def test_hello_and_pings(self) -> None:
        """A viewer says hello, and pings at once and each second; after that nothing is left in the clock."""
        connection, transport = self.connect(camera="desk")
        self.assertEqual(messages(transport), [{"type": "hello", "camera": "desk"}, {"type": "ping", "sent": 0.0}])
        self.clock.advance(1)
        self.assertEqual(messages(transport), [{"type": "ping", "sent": 1.0}])
        connection.connectionLost(LOST)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_first_pings(self) -> None:
        """The first few pongs are each answered with another ping, later ones are not."""
        connection, transport = self.connect()
        pings = 0
        for _ in range(10):
            for message in messages(transport):
                if message["type"] == "ping":
                    pings += 1
                    connection.dataReceived(pack_json({"type": "pong", "sent": message["sent"], "clock": 1.0}))
        self.assertEqual(pings, 4)

    def test_newest_frame(self) -> None:
        """Frames are passed on as they come, and the newest is kept."""
        connection, _ = self.connect()
        connection.dataReceived(frame(1) + frame(2))
        self.assertEqual([got.sequence for got in self.frames], [1, 2])
        self.assertIs(self.session.newest, self.frames[1])
        self.assertEqual((self.session.received, self.session.dropped), (2, 0))

    def test_dropped(self) -> None:
        """Gaps in the numbers are dropped frames; a server that was restarted has dropped none."""
        connection, _ = self.connect()
        connection.dataReceived(frame(1) + frame(5) + frame(6))
        self.assertEqual(self.session.dropped, 3)
        connection.connectionLost(LOST)
        connection, _ = self.connect()
        connection.dataReceived(frame(500) + frame(501))
        self.assertEqual(self.session.dropped, 3)

    def test_age(self) -> None:
        """A frame's age is measured by the server's clock, whatever ours says."""
        connection, _ = self.connect()
        connection.dataReceived(frame(1, captured=5000.0))
        self.assertIsNone(self.frames[0].age)
        self.clock.advance(0.02)
        connection.dataReceived(pack_json({"type": "pong", "sent": 0.0, "clock": 5000.11}))
        self.clock.advance(1)
        age = self.frames[0].age
        assert age is not None
        self.assertAlmostEqual(age, 1.12)
        self.assertIsNone(Frame.from_jpeg(JPEG).age)

    def test_age_after_the_clock_was_set(self) -> None:
        """When the server's clock is set, no wrong age is reported: none until the next pong, then the right one."""
        for jump in (-3600.0, 3600.0):
            connection, _ = self.connect()
            start = self.clock.seconds()
            connection.dataReceived(pack_json({"type": "pong", "sent": start, "clock": 5000.0}))
            connection.dataReceived(frame(1, captured=4999.95) + frame(2, captured=5000.0 + jump))
            self.assertIsNone(self.frames[-1].age)
            connection.dataReceived(pack_json({"type": "pong", "sent": start, "clock": 5000.05 + jump}))
            age = self.frames[-1].age
            assert age is not None
            self.assertAlmostEqual(age, 0.05)
            connection.connectionLost(LOST)

    def test_fps(self) -> None:
        """The rate is that of the last two seconds."""
        connection, _ = self.connect()
        for sequence in range(100):
            self.clock.advance(0.1)
            connection.dataReceived(frame(sequence))
        self.assertIn(self.session.fps(), (9.5, 10, 10.5))
        self.clock.advance(2.1)
        self.assertEqual(self.session.fps(), 0)

    def test_states(self) -> None:
        """The states are connecting, connected and reconnecting, each with its reason."""
        self.assertEqual(self.session.state, CONNECTING)
        self.session.disconnected("refused")
        self.assertEqual((self.session.state, self.session.problem), (CONNECTING, "refused"))
        connection, _ = self.connect()
        self.assertEqual((self.session.state, self.session.problem), (CONNECTED, ""))
        connection.dataReceived(frame(1))
        connection.connectionLost(LOST)
        self.assertEqual((self.session.state, self.session.problem), (RECONNECTING, "the server ended the connection"))

    def test_server_without_a_word(self) -> None:
        """A server that ends the connection without an answer may be one that waits for TLS."""
        connection, _ = self.connect()
        connection.connectionLost(LOST)
        self.assertIn("if it needs TLS, use --key or --tls", self.session.problem)
        self.assertEqual(self.failures, [])
        connection, _ = self.connect()
        connection.dataReceived(b"\x15\x03\x03\0\x02\x02\x46")
        connection.connectionLost(LOST)
        self.assertEqual(self.failures, ["the server uses TLS: use --key, or --tls"])
        self.assertEqual(self.session.problem, self.failures[0])

    def test_broken_frame(self) -> None:
        """A broken frame is counted and skipped; the next one is shown."""
        connection, transport = self.connect()
        connection.dataReceived((GOLDEN / "broken-jpeg.wire").read_bytes())
        self.assertEqual((self.session.broken, [got.sequence for got in self.frames]), (1, [8]))
        self.assertFalse(transport.disconnected)

    def failure(self, *content: bytes, **options: Any) -> str:
        """Why the viewer gave up when it received C{content}."""
        connection, transport = self.connect(**options)
        for portion in content:
            connection.dataReceived(portion)
        self.assertTrue(transport.disconnected)
        (reason,) = self.failures
        self.assertNotIn("\n", reason)
        return reason

    def test_web_server(self) -> None:
        """A web server is recognized by its answer, and our hello makes it answer."""
        self.assertIn(
            "no camstream server, it says 'HTTP/1.1'", self.failure((GOLDEN / "web-server.wire").read_bytes())
        )
        _, transport = self.connect()
        self.assertIn(b"\r\n\r\n", transport.value())

    def test_over_the_cap(self) -> None:
        """A message above the limit is refused, and the limit can be set."""
        self.assertIn("67108865", self.failure((GOLDEN / "over-the-cap.wire").read_bytes()))
        self.failures.clear()
        self.assertIn("limit is 1000", self.failure(PREFIX.pack(1001), max_message_bytes=1000))

    def test_other_prefixes(self) -> None:
        """The first bytes tell a server that writes lengths in another form, and what to do is said."""
        pickled, jpeg = b"\x80\x04\x95\x00\x00", b"\xff\xd8\xff\xe0\x00"
        for form in (">Q", "<L", ">L"):
            for payload in (pickled, jpeg):
                reason = self.failure(struct.pack(form, 50_000) + payload)
                self.assertIn(f"the server writes lengths as struct.pack('{form}', …), not as '<Q'", reason)
                self.assertIn(f"use --prefix '{form}'", reason)
                self.failures.clear()
        self.assertNotIn("--prefix", self.failure(struct.pack(">L", 50_000) + b"text"))

    def test_garbage(self) -> None:
        """A message of an unknown kind ends the connection."""
        self.assertIn("byte 47", self.failure((GOLDEN / "garbage.wire").read_bytes()))

    def test_refused(self) -> None:
        """The reason that the server gives for a refusal is shown to the user."""
        reason = self.failure(pack_json({"type": "refused", "reason": "there is no camera 'x' here"}))
        self.assertEqual(reason, "the server refuses us: there is no camera 'x' here")

    def test_refused_for_now(self) -> None:
        """A server that is full is tried again, and what it says is shown meanwhile."""
        connection, transport = self.connect()
        connection.dataReceived(pack_json({"type": "refused", "reason": "2 are watching", "again": True}))
        self.assertTrue(transport.disconnecting)
        self.clock.advance(1)  # over TLS a server can keep the connection open
        self.assertTrue(transport.disconnected)
        connection.connectionLost(LOST)
        self.assertEqual(self.failures, [])
        self.assertEqual(self.session.problem, "the server refuses us: 2 are watching")

    def test_strange_pongs(self) -> None:
        """Pongs that answer no ping, or have no valid time, end the connection without a crash."""
        for pong in (
            b'{"type":"pong"}',
            b'{"type":"pong","sent":-5.0,"clock":1}',
            b'{"type":"pong","sent":99.0,"clock":1}',
            b'{"type":"pong","sent":0.0,"clock":"noon"}',
            b'{"type":"pong","sent":0.0,"clock":NaN}',
            b'{"type":"pong","sent":NaN,"clock":1}',
            b'{"type":"pong","sent":0.0,"clock":1' + b"0" * 400 + b"}",
        ):
            self.failures.clear()
            self.failure(pack(pong))

    def test_pickles_refused(self) -> None:
        """A server that sends only pickles is refused after a moment, with the option that would admit them."""
        connection, transport = self.connect()
        connection.dataReceived(pack(ARRAY))
        self.assertEqual(self.failures, [])
        self.clock.advance(2)
        connection.dataReceived(pack(ARRAY))
        self.assertTrue(transport.disconnected)
        self.assertIn("--allow-pickle", self.failures[0])
        self.assertEqual(self.frames, [])

    def test_pickles_until_the_hello_is_read(self) -> None:
        """Pickles that were sent before the server read our hello are ignored."""
        connection, transport = self.connect()
        connection.dataReceived(pack(b"\x80\x04 whatever") + frame(1))
        self.clock.advance(5)
        connection.dataReceived(frame(2))
        self.assertFalse(transport.disconnected)
        self.assertEqual(len(self.frames), 2)

    def test_pickles_allowed(self) -> None:
        """Where pickles are allowed, arrays are shown and counted, and others are broken frames."""
        self.session = self.make_session(allow_pickle=True)
        connection, _ = self.connect()
        connection.dataReceived(pack(ARRAY) + pack(pickle.dumps(print)) + pack(ARRAY))
        self.assertEqual([(got.sequence, got.width, got.height) for got in self.frames], [(0, 32, 24), (1, 32, 24)])
        self.assertEqual(self.session.broken, 1)

    def test_before_the_proof(self) -> None:
        """With a key only a nonce is said, and only a challenge is read; nothing else of the server is shown."""
        credentials = KeyCredentials(make_secret())
        for said in (
            frame(1),
            pack_json({"type": "cameras", "cameras": ["evil"]}),
            pack_json({"type": "pong", "sent": 0.0, "clock": 1.0}),
            pack_json({"type": "evil"}),
            pack(b"{evil"),
            pack(b"{" + b" " * 1024),
            b"HTTP/1.1 evil",
        ):
            self.failures.clear()
            connection, transport = self.connect(camera="desk", adapt=False, make_credentials=lambda: credentials)
            self.clock.advance(1)
            connection.choose("door")
            (hello,) = messages(transport)
            self.assertEqual(sorted(hello), ["nonce", "type"])
            connection.dataReceived(said)
            self.assertTrue(transport.disconnected)
            self.assertEqual(self.failures, [_UNPROVED])

    def test_refused_before_the_proof(self) -> None:
        """A refusal by a server that has proved nothing is not shown, and does not end the viewer."""
        connection, transport = self.connect(make_credentials=lambda: KeyCredentials(make_secret()))
        connection.dataReceived(pack_json({"type": "refused", "reason": "evil"}))
        self.assertTrue(transport.disconnected)
        connection.connectionLost(LOST)
        self.assertEqual(self.failures, [])
        self.assertIn("before it proved that it has the key", self.session.problem)

    def test_pings_tell_no_uptime(self) -> None:
        """The times in pings begin with the connection."""
        self.clock.advance(12345)
        _, transport = self.connect()
        self.assertEqual(messages(transport)[-1], {"type": "ping", "sent": 0.0})

    def test_silent_server(self) -> None:
        """A server that answered pings and falls silent is disconnected within 5 s: its host may be gone."""
        connection, transport = self.connect()
        connection.dataReceived(pack_json({"type": "pong", "sent": 0.0, "clock": 1.0}))
        self.clock.pump([1] * 3)
        self.assertFalse(transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(transport.disconnected)
        connection.connectionLost(LOST)
        self.assertEqual(self.failures, [])
        self.assertIn("nothing was heard", self.session.problem)

    def test_server_without_pongs(self) -> None:
        """A server that sends frames and answers no pings, such as the tutorial's, may fall silent."""
        connection, transport = self.connect()
        connection.dataReceived(frame(1))
        self.clock.pump([1] * 100)
        self.assertFalse(transport.disconnected)

    def test_server_without_a_first_word(self) -> None:
        """A server that never speaks is reported within 5 s, and left after 12 s, when no login is delayed any more."""
        for make_credentials in (NoCredentials, lambda: KeyCredentials(make_secret())):
            _, transport = self.connect(make_credentials=make_credentials)
            self.clock.pump([1] * 4)
            self.assertIn("has not answered yet", self.session.problem)
            self.clock.pump([1] * 8)
            self.assertFalse(transport.disconnected)
            self.clock.advance(1)
            self.assertTrue(transport.disconnected)

    def test_half_a_challenge(self) -> None:
        """A server that sends its challenge byte by byte gains no time."""
        connection, transport = self.connect(make_credentials=lambda: KeyCredentials(make_secret()))
        for byte in pack(b"{" + b" " * 999)[:13]:
            self.clock.advance(1)
            connection.dataReceived(bytes((byte,)))
        self.assertTrue(transport.disconnected)

    def test_stopped(self) -> None:
        """After the end nothing is accepted, reported or logged."""
        connection, _ = self.connect()
        self.session.stop()
        connection.dataReceived(frame(1) + pack(b"x"))
        connection.connectionLost(LOST)
        self.assertEqual((self.frames, self.failures), ([], []))
