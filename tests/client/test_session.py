"""The newest frame, its true age, and the state of the connection."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.client.fakes import gray
from twistedcam.client.session import CONNECTED, CONNECTING, RECONNECTING, ServerClock, Session
from twistedcam.frame import Frame


class ServerClockTests(SynchronousTestCase):
    """The server's clock, from pings."""

    def test_unknown(self) -> None:
        """Before the first pong the time is unknown."""
        self.assertIsNone(ServerClock().offset)

    def test_least_round_trip_wins(self) -> None:
        """Of several pongs the quickest is used, however late the others were in one direction."""
        clock = ServerClock()
        for outward, back in ((0.2, 0.0), (0.0, 0.3), (0.005, 0.005), (0.1, 0.3)):
            clock.add(sent=10.0, clock=1000.0 + outward, received=10.0 + outward + back)
        assert clock.offset is not None
        self.assertAlmostEqual(clock.offset, 990.0)

    def test_clock_set(self) -> None:
        """When the server's clock is set, the next pong is used and all earlier ones are forgotten."""
        clock = ServerClock()
        for second in range(5):
            clock.add(second, 1000.0 + second, second + 0.001)
        clock.add(6.0, 1006.0 - 3600, 6.2)
        assert clock.offset is not None
        self.assertAlmostEqual(clock.offset, 1000 - 3600.1)


class SessionTests(SynchronousTestCase):
    """A session without a connection: the test calls what a connection would."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.frames: list[Frame] = []
        self.failures: list[str] = []
        self.told = 0
        self.session = Session(self.clock.seconds, self.frames.append, self.failures.append, on_cameras=self.tell)

    def tell(self) -> None:
        """Count."""
        self.told += 1

    def test_states(self) -> None:
        """It is connecting, connected, or reconnecting, and has a problem while it is not connected."""
        session = self.session
        self.assertEqual((session.state, session.problem), (CONNECTING, ""))
        session.disconnected("refused")
        self.assertEqual((session.state, session.problem), (CONNECTING, "refused"))
        session.connected()
        self.assertEqual((session.state, session.problem), (CONNECTED, ""))
        session.disconnected("lost")
        self.assertEqual((session.state, session.problem), (RECONNECTING, "lost"))

    def test_frames(self) -> None:
        """The newest frame is kept until the next connection; missing numbers are counted, but not across it."""
        session = self.session
        session.connected()
        for sequence in (1, 2, 5):
            session.receive(gray(50, sequence).payload)
        self.assertIs(session.newest, self.frames[-1])
        self.assertEqual((session.received, session.dropped), (3, 2))
        session.connected()
        self.assertIsNone(session.newest)
        session.receive(gray(50, 100).payload)
        self.assertEqual((session.received, session.dropped), (4, 2))

    def test_fps(self) -> None:
        """The rate is exactly that of the last two seconds."""
        for _ in range(40):
            self.clock.advance(0.125)
            self.session.receive(gray(50).payload)
        self.assertEqual(self.session.fps(), 8.0)
        self.clock.advance(1)
        self.assertEqual(self.session.fps(), 4.0)

    def test_age(self) -> None:
        """The age is measured by the server's clock, and grows with time."""
        self.session.connected()
        self.clock.advance(10)
        self.session.pong(sent=9.5, clock=5000.0)
        self.session.receive(gray(50, captured=5000.0).payload)
        self.assertEqual(self.frames[0].age, 0.25)
        self.clock.advance(2)
        self.assertEqual((self.frames[0].age, self.session.server_time()), (2.25, 5002.25))

    def test_broken(self) -> None:
        """A broken frame is counted and skipped."""
        self.session.receive(b"\xff\xd8")
        self.assertEqual((self.session.broken, self.frames), (1, []))

    def test_cameras(self) -> None:
        """The names of the server's cameras are kept, and reported."""
        self.session.cameras_received(("desk", "door"))
        self.assertEqual((self.session.cameras, self.told), (("desk", "door"), 1))

    def test_over(self) -> None:
        """After its end nothing is accepted or reported."""
        self.session.stop()
        self.session.receive(gray(50).payload)
        self.session.cameras_received(("desk",))
        self.session.fail("refused")
        self.assertEqual((self.frames, self.told, self.failures), ([], 0, []))
