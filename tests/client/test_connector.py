"""Connections that are made again, and attempts that fail."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost, ConnectionRefusedError, DNSLookupError  # noqa: A004
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.client.fakes import FakeServer, gray, messages
from twistedcam.access.credentials import PasswordCredentials
from twistedcam.client.address import Address
from twistedcam.client.connector import Connector, explain, is_final
from twistedcam.client.session import CONNECTED, CONNECTING, RECONNECTING, Session
from twistedcam.secret import Secret

NOBODY = "nothing listens at desk:9999, is the server running?"
UNKNOWN = "the host of desk:9999 is not known: check the spelling, or use its IP address"


class ExplainTests(SynchronousTestCase):
    """Why an attempt failed, in words."""

    def test_reasons(self) -> None:
        """Each reason is one line; only an unknown host is final."""
        for error, text, final in (
            (DNSLookupError("no results"), UNKNOWN, True),
            (ValueError("invalid hostname: desk:99"), UNKNOWN, True),
            (ConnectionRefusedError(), NOBODY, False),
            (OSError("\x1b[2J\u202e"), "desk:9999: \\x1b[2J\\u202e", False),
            (ConnectionLost("lost"), "desk:9999: Connection to the other side was lost", False),
        ):
            failure = Failure(error)
            self.assertIn(text, explain(failure, "desk:9999"))
            self.assertEqual(is_final(failure), final)


class ConnectorTests(SynchronousTestCase):
    """A session and its connections, with a server that the test plays."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = FakeServer()
        self.failures: list[str] = []
        self.session = Session(self.clock.seconds, lambda frame: None, self.failures.append)
        self.connector = Connector(self.clock, Address(endpoint=self.server), self.session)

    def test_connects_again(self) -> None:
        """A server that is away is tried again, at least every 6 s, and the session knows why."""
        self.server.error = ConnectionRefusedError()
        self.connector.startService()
        self.assertEqual((self.session.state, self.session.problem), (CONNECTING, NOBODY))
        for _ in range(20):
            before = self.server.attempts
            self.clock.advance(6)
            self.assertGreater(self.server.attempts, before)
        self.server.error = None
        self.clock.advance(6)
        self.assertEqual((self.session.state, self.session.problem), (CONNECTED, ""))
        self.server.send(gray(50).message)
        self.server.error = ConnectionRefusedError()
        self.server.lose()
        self.clock.advance(2)
        self.assertEqual((self.session.state, self.session.problem), (RECONNECTING, NOBODY))
        self.assertEqual(self.failures, [])

    def test_pauses_grow_until_let_in(self) -> None:
        """A server that takes connections and ends them is tried ever more rarely, until it lets us in."""
        self.connector.startService()
        for _ in range(60 * 20):
            self.server.lose()
            self.clock.advance(0.05)
        self.assertTrue(10 < self.server.attempts < 25, self.server.attempts)
        self.clock.advance(6)
        self.server.send(gray(50).message)
        before = self.server.attempts
        self.server.lose()
        self.clock.advance(2)
        self.assertEqual(self.server.attempts, before + 1)

    def test_server_that_keeps_the_connection(self) -> None:
        """Stopping aborts a connection that the server does not close within a second, as TLS servers can."""
        self.connector.startService()
        stopped = self.connector.stopService()
        self.assertEqual((self.server.transport.disconnecting, self.server.transport.disconnected), (True, False))
        self.clock.advance(1)
        self.assertTrue(self.server.transport.disconnected)
        self.server.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unknown_host(self) -> None:
        """An unknown host ends the session; after a connection it is tried again: the network may be down."""
        self.server.error = DNSLookupError("no results")
        self.connector.startService()
        self.assertEqual((self.failures, self.session.problem), ([UNKNOWN], UNKNOWN))
        self.server.error = None
        self.clock.advance(2)
        self.server.error = DNSLookupError("no results")
        self.server.lose()
        self.clock.advance(2)
        self.assertEqual((self.failures, self.session.problem), ([UNKNOWN], UNKNOWN))
        self.assertEqual(self.session.state, RECONNECTING)

    def test_stopped_while_connecting(self) -> None:
        """An attempt that is cancelled because we stop is not reported, and leaves nothing in the clock."""
        self.server.answers = False
        self.connector.startService()
        self.successResultOf(self.connector.stopService())
        self.assertEqual((self.server.cancelled, self.session.problem, self.failures), (1, "", []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_choose(self) -> None:
        """Another camera is asked for in this connection and in those to come."""
        self.connector.startService()
        self.assertNotIn("camera", messages(self.server.transport)[0])
        self.server.send(gray(50).message)
        self.connector.choose("door")
        self.assertIsNone(self.session.newest)
        self.assertEqual(messages(self.server.transport)[-1], {"type": "hello", "camera": "door"})
        self.server.lose()
        self.clock.advance(2)
        self.assertEqual(messages(self.server.transport)[0], {"type": "hello", "camera": "door"})

    def test_settings(self) -> None:
        """Camera, limit, adaption and credentials reach the connection."""
        address = Address(endpoint=self.server, make_credentials=lambda: PasswordCredentials("me", Secret("secret")))
        connector = Connector(self.clock, address, self.session, "desk", 1000, adapt=False)
        connector.startService()
        # There is no TLS in memory either, so the password is not sent.
        self.assertEqual(self.server.transport.value(), b"")
        self.assertIn("a password is not sent to another machine without TLS", self.failures[0])
        connector = Connector(self.clock, Address(endpoint=self.server), self.session, "desk", 1000, adapt=False)
        connector.startService()
        self.assertEqual(messages(self.server.transport)[0], {"type": "hello", "camera": "desk", "adapt": False})
        self.assertEqual(self.server.protocol.MAX_LENGTH, 1000)
