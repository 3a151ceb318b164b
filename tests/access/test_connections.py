"""The list of all connections."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.access.connections import WAIT_SECONDS, Connection, Connections, limits_for
from twistedcam.errors import NoRoomError


class ConnectionsTests(SynchronousTestCase):
    """Who has to make room, and when."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.connections = Connections(self.clock, limit=6, max_waiting=4)
        self.ended: list[str] = []

    def open(self, name: str, host: str = "10.0.0.1") -> Connection:
        """A new connection, whose end is recorded by its name."""
        return self.connections.open(host, lambda reason: self.ended.append(name))

    def test_too_late(self) -> None:
        """A connection that is not let in within 10 s is ended, and one that is let in is not."""
        self.open("silent")
        self.open("viewer").let_in()
        self.clock.advance(WAIT_SECONDS)
        self.assertEqual((self.ended, len(self.connections), self.connections.waiting), (["silent"], 1, 0))
        self.clock.advance(1000)
        self.assertEqual(self.ended, ["silent"])

    def test_waits_again(self) -> None:
        """A connection that goes on to another request has its time anew, and is not the oldest that waits."""
        browser = self.open("browser")
        self.open("other")
        self.clock.advance(WAIT_SECONDS - 1)
        browser.wait()
        self.clock.advance(WAIT_SECONDS - 1)
        self.assertEqual(self.ended, ["other"])
        self.clock.advance(1)
        self.assertEqual(self.ended, ["other", "browser"])

    def test_oldest_of_the_largest_crowd(self) -> None:
        """A new connection takes the place of the one that has waited longest, of the network with the most."""
        self.open("alone", "10.0.0.2")
        for number in range(3):
            self.open(f"crowd {number}")
        self.open("alone too", "10.0.0.3")
        self.assertEqual(self.ended, ["crowd 0"])
        self.open("crowd 3")
        self.assertEqual(self.ended, ["crowd 0", "crowd 1"])
        self.assertEqual(self.connections.waiting, 4)

    def test_network_is_one_crowd(self) -> None:
        """Addresses of one IPv6 /64 network count together."""
        self.open("alone", "10.0.0.2")
        for number in range(10):
            self.open(f"crowd {number}", f"2001:db8::{number}")
        self.assertNotIn("alone", self.ended)
        self.assertEqual(len(self.ended), 7)

    def test_shared_address(self) -> None:
        """Connections from the address of a proxy are no crowd: they do not make room for one elsewhere."""
        self.connections.is_shared = "10.0.0.9".__eq__
        for number in range(2):
            self.open(f"proxy {number}", "10.0.0.9")
        self.open("alone", "10.0.0.2")
        for number in range(10):
            self.open(f"crowd {number}")
        self.assertEqual(self.ended[:2], ["proxy 0", "crowd 0"])
        self.assertNotIn("proxy 1", self.ended)

    def test_kept_up_crowd(self) -> None:
        """However a crowd comes back, one connection elsewhere is left alone for its ten seconds."""
        self.open("alone", "10.0.0.2")
        for number in range(1000):
            self.open(f"crowd {number}")
        self.assertNotIn("alone", self.ended)

    def test_those_let_in_stay(self) -> None:
        """A connection that was let in makes room for nobody; when all were, a new one finds none."""
        for _ in range(6):
            self.open("viewer").let_in()
        self.assertRaises(NoRoomError, self.open, "late")
        self.assertEqual((self.ended, len(self.connections)), ([], 6))

    def test_closed(self) -> None:
        """Nothing is left of a connection that is lost, waiting or let in."""
        waiting, viewer = self.open("waiting"), self.open("viewer")
        viewer.let_in()
        for connection in (waiting, viewer, viewer):
            connection.close()
        self.assertEqual((len(self.connections), self.connections.waiting), (0, 0))
        self.assertEqual((self.ended, self.clock.getDelayedCalls()), ([], []))
        waiting.wait()
        self.assertEqual((len(self.connections), self.connections.waiting), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_end_all(self) -> None:
        """All connections can be ended, let in or not."""
        self.open("waiting")
        self.open("viewer").let_in()
        self.connections.end_all("the key was renewed")
        self.assertEqual((sorted(self.ended), len(self.connections)), (["viewer", "waiting"], 0))


class LimitsTests(SynchronousTestCase):
    """How the connections that a process may have are shared out."""

    def test_room_for_others(self) -> None:
        """Those that watch and those that are sent pictures leave room for those that are not let in yet."""
        for most in (8, 9, 40, 220, 1000, 50_000):
            limits = limits_for(500, most)
            self.assertLess(limits.viewers + limits.snapshots, most)
            self.assertGreaterEqual(min(limits), 1)
        self.assertEqual(limits_for(500, 50_000), (50_000, 500, 500, 500))
        self.assertEqual(limits_for(3, 50_000), (50_000, 3, 20, 20))
