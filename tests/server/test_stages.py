"""The stages of a viewer's connection: authenticating, and watching."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from random import Random
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.access.slow_guard import SlowGuard
from tests.raw_messages import pack_json
from tests.server.peers import connect, drain, frame
from twistedcam.access.admission import Admission
from twistedcam.access.connections import WAIT_SECONDS
from twistedcam.access.guards import PasswordGuard, make_portal
from twistedcam.errors import AccessDeniedError
from twistedcam.hub import Hub
from twistedcam.interfaces import IGuard
from twistedcam.server.connection import ViewerConnection
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.wire.messages import Challenge, Hello

ELSEWHERE = IPv4Address("TCP", "192.0.2.7", 1)


def hello(**fields: Any) -> bytes:
    """A hello, as it comes over the wire."""
    return pack_json({"type": "hello", **fields})


GOOD, BAD = hello(user="me", password="secret"), hello(user="me", password="guess")


class StageTestCase(TestCase):
    """A server of one camera, in memory, with a guard by password."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hub, self.door = Hub(), Hub()
        self.checker = InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")
        self.admission = Admission(self.clock)
        self.slow = SlowGuard()
        self.start(self.make_guard)

    def start(self, make_guard: Any) -> None:
        """Start the server."""
        self.factory = ViewerServerFactory(
            self.clock, {"desk": self.hub, "door": self.door}, self.hub, make_guard, self.admission
        )
        self.factory.doStart()
        self.addCleanup(self.factory.doStop)

    def make_guard(self) -> IGuard:
        """The guard of one connection."""
        return PasswordGuard(make_portal([self.checker]))

    def assert_nothing_left(self) -> None:
        """Check that no place is taken when refused viewers have gone, and that only the sweep is left in the clock."""
        for viewer in tuple(self.factory.viewers):
            if viewer.transport.disconnecting:
                viewer.connectionLost(connectionDone)
        self.assertFalse(self.hub.is_watched)
        self.assertEqual((self.admission.viewers.taken, self.admission.connections.waiting), (0, 0))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)


class AuthenticatingTests(StageTestCase):
    """A viewer that has to be let in."""

    def test_nothing_before_a_hello(self) -> None:
        """Nothing is sent before a good hello, whatever else is received; then frames are."""
        viewer, transport = connect(self.factory)
        self.hub.publish(frame(1))
        viewer.dataReceived(pack_json({"type": "ping", "sent": 1.0}) + pack_json({"type": "wave"}))
        self.clock.advance(5)
        self.assertEqual(transport.value(), b"")
        viewer.dataReceived(GOOD)
        self.hub.publish(frame(2))
        self.assertEqual(drain(transport), [2])
        self.clock.advance(60)
        self.assertFalse(transport.disconnected)

    def test_takes_no_viewers_place(self) -> None:
        """However many wait to be let in, a viewer with the password finds a place; the number that wait is bounded."""
        self.admission.viewers.limit = 1
        self.admission.connections.max_waiting = 3
        silent = [connect(self.factory) for _ in range(3)]
        self.assertFalse(any(transport.disconnected for _, transport in silent))
        viewer, _ = connect(self.factory)
        self.assertEqual([transport.disconnected for _, transport in silent], [True, False, False])
        self.assertIn("made room for a newer one", silent[0][0].reason)
        viewer.dataReceived(GOOD)
        self.assertTrue(viewer.is_watching)
        self.assertEqual((self.admission.viewers.taken, self.admission.connections.waiting), (1, 2))

    def test_hello_too_late(self) -> None:
        """A viewer that is not let in within 10 s is disconnected."""
        viewer, transport = connect(self.factory)
        self.clock.advance(WAIT_SECONDS)
        self.assertTrue(transport.disconnected)
        self.assertIn("not let in within 10 s", viewer.reason)
        self.assertEqual(transport.value(), b"")
        self.assert_nothing_left()

    def test_passwords_in_the_clear(self) -> None:
        """A password that came from another machine without TLS is not checked."""
        viewer, transport = connect(self.factory, ELSEWHERE)
        viewer.dataReceived(GOOD)
        self.clock.advance(1)
        self.assertIn(b"passwords are accepted over TLS only", transport.value())

    def test_wrong_password(self) -> None:
        """A viewer with a wrong password is told so, and not to try again."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(BAD)
        self.assertIn(b'{"type":"refused","reason":"the name or password is wrong"}', transport.value())
        self.assertTrue(transport.disconnecting)
        self.assert_nothing_left()

    def test_guesses_come_ever_more_slowly(self) -> None:
        """However many connections an address opens, its guesses are checked one by one, with growing delays."""
        checked: list[float] = []
        check = self.checker.requestAvatarId

        def note(credentials: Any) -> Any:
            checked.append(self.clock.seconds())
            return check(credentials)

        self.patch(self.checker, "requestAvatarId", note)
        for _ in range(20):
            viewer, _ = connect(self.factory)
            viewer.dataReceived(BAD)
            self.clock.pump([0.1] * 5)
        self.clock.pump([0.1] * 100)
        self.assertLess(len(checked), 12)
        gaps = [after - before for before, after in itertools.pairwise(checked)]
        self.assertGreater(max(gaps), 2)

    def test_unknown_camera(self) -> None:
        """A viewer that is let in and asks for an unknown camera takes no place."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(hello(user="me", password="secret", camera="cellar"))
        self.assertIn(b"no camera 'cellar' here; the cameras are: desk, door", transport.value())
        self.assert_nothing_left()

    def test_dismissed_and_still_there(self) -> None:
        """A viewer that was let in, and is refused later, makes room for others, and is ended after 10 s."""
        self.admission.connections.max_waiting = 1
        lingering, transport = connect(self.factory)
        lingering.dataReceived(GOOD + hello(camera="cellar"))
        self.assertEqual((self.admission.viewers.taken, self.admission.connections.waiting), (0, 1))
        other, other_transport = connect(self.factory)
        self.assertTrue(transport.disconnected)
        other.dataReceived(GOOD + hello(camera="cellar"))
        self.clock.advance(WAIT_SECONDS)
        self.assertTrue(other_transport.disconnected)

    def test_full(self) -> None:
        """A viewer that is let in when no place is free is told to try again later."""
        self.admission.viewers.limit = 0
        viewer, transport = connect(self.factory)
        viewer.dataReceived(GOOD)
        self.assertIn(b'"again":true', transport.value())
        self.assert_nothing_left()

    def test_checker_that_fails(self) -> None:
        """When passwords cannot be checked nobody is let in, the viewer is told, and the log says why."""

        def explode(credentials: Any) -> Any:
            raise OSError("the database is gone")

        self.patch(self.checker, "requestAvatarId", explode)
        viewer, transport = connect(self.factory)
        viewer.dataReceived(GOOD)
        self.clock.advance(1)
        self.assertIn(b"cannot check passwords at present", transport.value())
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class SlowCheckTests(StageTestCase):
    """What may happen while a login is being checked."""

    def make_guard(self) -> IGuard:
        return self.slow

    def test_guard(self) -> None:
        """The fake of these tests provides the interface."""
        verifyObject(IGuard, self.slow)

    def test_gone(self) -> None:
        """A viewer that leaves during the check never watches nor counts, whatever the result of the check."""
        viewer, _ = connect(self.factory)
        viewer.dataReceived(GOOD)
        (check,) = self.slow.checks
        check.addErrback(lambda failure: None)
        viewer.connectionLost(connectionDone)
        self.assertEqual(viewer.reason, "it left before it was let in")
        self.assert_nothing_left()

    def test_gone_and_not_cancelled(self) -> None:
        """A check that ignores its cancellation and succeeds lets nobody in."""

        @implementer(IGuard)
        class Stubborn:
            def guessed_name(self, hello: Hello) -> str | None:
                return None

            async def admit(self, hello: Hello, is_private: bool) -> Challenge | None:
                with contextlib.suppress(CancelledError):
                    await waiting
                return None

        waiting: Deferred[None] = Deferred()
        self.start(Stubborn)
        viewer, transport = connect(self.factory)
        viewer.dataReceived(GOOD)
        viewer.connectionLost(connectionDone)
        self.assertEqual((self.hub.is_watched, self.admission.viewers.taken, transport.value()), (False, 0, b""))

    def test_second_hello(self) -> None:
        """A hello before the last one was answered ends the connection, and the check lets nobody in."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(BAD + GOOD)
        self.assertIn("another hello before the last one was answered", viewer.reason)
        self.assertTrue(transport.disconnected)
        self.assertEqual(len(self.slow.checks), 1)
        self.assert_nothing_left()

    def test_too_late(self) -> None:
        """When the time for a hello is over during the check, the check lets nobody in."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(GOOD)
        self.clock.advance(WAIT_SECONDS)
        self.assertTrue(transport.disconnected)
        self.assertFalse(viewer.is_watching)
        self.assert_nothing_left()

    def test_garbage(self) -> None:
        """When an invalid message comes during the check, the check lets nobody in."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(GOOD + pack_json({"type": "ping", "sent": []}))
        self.assertIn(b"a message is invalid", transport.value())
        self.assert_nothing_left()

    def test_server_stops(self) -> None:
        """When the server stops during the check, the check lets nobody in."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(GOOD)
        self.factory.doStop()
        self.addCleanup(self.factory.doStart)
        self.assertEqual((transport.disconnected, viewer.reason), (True, "ended: the server is stopping"))
        viewer.connectionLost(connectionDone)
        self.assertEqual((self.admission.connections.waiting, self.clock.getDelayedCalls()), (0, []))

    def test_other_camera_afterwards(self) -> None:
        """A viewer that was let in goes on to another camera without another check, and holds one place."""
        viewer, _ = connect(self.factory)
        viewer.dataReceived(GOOD)
        self.slow.checks[0].callback(None)
        self.assertTrue(self.hub.is_watched)
        viewer.dataReceived(hello(camera="door"))
        self.assertFalse(self.hub.is_watched)
        self.assertTrue(viewer.is_watching)
        self.assertEqual((len(self.slow.checks), self.admission.viewers.taken), (1, 1))
        viewer.dataReceived(hello(camera="cellar"))
        viewer.connectionLost(connectionDone)
        self.assert_nothing_left()

    def test_challenge(self) -> None:
        """A challenge is sent, and lets nobody in; the answer to it is checked on its own."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(hello(nonce="n" * 32))
        self.slow.checks[0].callback(Challenge("m" * 32, "proof"))
        self.assertIn(b'"challenge"', transport.value())
        self.assertFalse(viewer.is_watching)
        viewer.dataReceived(hello(nonce="n" * 32, proof="x"))
        self.slow.checks[1].callback(None)
        self.assertTrue(viewer.is_watching)

    def test_unforeseen_error(self) -> None:
        """A guard that fails unexpectedly lets nobody in, and the log says why."""
        viewer, transport = connect(self.factory)
        viewer.dataReceived(GOOD)
        self.slow.checks[0].errback(ZeroDivisionError())
        self.assertTrue(transport.disconnected)
        self.assertIn("cannot be checked", viewer.reason)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_nothing_left()


class AnyOrderTests(StageTestCase):
    """Random events in random order."""

    def make_guard(self) -> IGuard:
        return self.slow

    def step(self, random: Random, viewers: list[ViewerConnection]) -> None:
        """Cause one random event."""
        pending = [check for check in self.slow.checks if not check.called]
        viewer = random.choice(viewers[-4:])
        kinds = ("connect", "hello", "other", "time", "admit", "deny", "leave")
        (kind,) = random.choices(kinds, weights=(3, 6, 1, 2, 6, 1, 1))
        if kind == "connect":
            viewers.append(connect(self.factory, IPv4Address("TCP", f"127.0.0.{random.randrange(1, 9)}", 1))[0])
        elif kind == "hello":
            viewer.dataReceived(random.choice((GOOD, GOOD, hello(camera="door"), hello(camera="cellar"))))
        elif kind == "other":
            viewer.dataReceived(random.choice((pack_json({"type": "ping"}), pack_json({"type": 1}), b"GET / HTTP")))
        elif kind == "time":
            self.clock.advance(random.choice((0.1, 0.5, 5)))
        elif kind == "admit" and pending:
            random.choice(pending).callback(random.choice((None, None, Challenge("n" * 32, "x"))))
        elif kind == "deny" and pending:
            random.choice(pending).errback(AccessDeniedError("no"))
        elif kind == "leave" and viewer in self.factory.viewers:
            viewer.connectionLost(connectionDone)

    def test_places(self) -> None:
        """Exactly the connections' places are taken, no more and no fewer; at the end none is."""
        self.admission.viewers.limit, self.admission.connections.max_waiting = 2, 4
        counts: Counter[int] = Counter()
        for seed in range(200):
            random, viewers = Random(seed), [connect(self.factory)[0]]
            for _ in range(40):
                self.step(random, viewers)
                watched = len(self.hub) + len(self.door)
                self.assertEqual(self.admission.viewers.taken, watched, seed)
                self.assertEqual(watched, sum(viewer.is_watching for viewer in viewers), seed)
                counts[watched] += 1
                self.assertLessEqual(self.admission.connections.waiting, 4)
            for viewer in tuple(self.factory.viewers):
                viewer.connectionLost(connectionDone)
            self.assert_nothing_left()
        self.assertEqual(set(counts), {0, 1, 2})  # or too little has happened


class OpenTests(StageTestCase):
    """A server without a guard."""

    def make_guard(self) -> Any:
        return None

    def test_watches_at_once(self) -> None:
        """A viewer takes a place when it connects, and gives it back when it leaves."""
        viewer, _ = connect(self.factory)
        self.assertEqual((self.admission.viewers.taken, self.admission.connections.waiting), (1, 0))
        viewer.dataReceived(hello(camera="door"))
        self.assertEqual(self.admission.viewers.taken, 1)
        viewer.connectionLost(connectionDone)
        self.assert_nothing_left()

    def test_ended_is_not_watched_for(self) -> None:
        """A viewer that is being disconnected gives its place back at once, not when its connection is lost."""
        viewer, _ = connect(self.factory)
        viewer.refuse("enough")
        self.assert_nothing_left()
        viewer.connectionLost(connectionDone)
        self.assert_nothing_left()
