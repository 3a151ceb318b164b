"""Admission: places, delays, and the messages about them."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from twistedcam.access.admission import (
    Admission,
    LoginThrottle,
    NoRoomError,
    Places,
    UnknownCameraError,
    find_camera,
    is_private,
)
from twistedcam.errors import AccessDeniedError
from twistedcam.wire.messages import Challenge


class PlacesTests(SynchronousTestCase):
    """A bounded number of places."""

    def test_full(self) -> None:
        """There are as many places as the limit says, and each that is released can be taken again."""
        places = Places(2, "the limit of {limit} has been reached")
        first, _ = places.take(), places.take()
        with self.assertRaisesRegex(NoRoomError, "^the limit of 2 has been reached$"):
            places.take()
        first.release()
        places.take()
        self.assertEqual(places.taken, 2)

    def test_released_once(self) -> None:
        """A place that is released twice does not free another's."""
        places = Places(2, "full")
        first, _ = places.take(), places.take()
        first.release()
        first.release()
        self.assertEqual(places.taken, 1)

    def test_block(self) -> None:
        """A place may be held for a block, also for one that fails."""
        places = Places(1, "full")
        with self.assertRaises(ZeroDivisionError), places.take():
            self.assertEqual(places.taken, 1)
            _ = 1 / 0
        self.assertEqual(places.taken, 0)


class LoginThrottleTests(SynchronousTestCase):
    """The delays of addresses that have failed."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.throttle = LoginThrottle(self.clock)

    def wait(self, address: str = "a") -> Deferred[None]:
        """Wait until an address may make its next attempt."""
        return Deferred.fromCoroutine(self.throttle.wait(address))

    def test_at_once(self) -> None:
        """An address that has not failed, or has succeeded since, does not wait."""
        self.successResultOf(self.wait())
        self.throttle.failed("a")
        self.throttle.succeeded("a")
        self.successResultOf(self.wait())

    def test_others(self) -> None:
        """The failures of one address do not delay another."""
        self.throttle.failed("a")
        self.successResultOf(self.wait("b"))
        self.assertNoResult(waiting := self.wait("a"))
        self.clock.advance(0.5)
        self.successResultOf(waiting)

    def test_one_after_the_other(self) -> None:
        """Attempts at the same time are made one after the other."""
        self.throttle.failed("a")
        waiting = [self.wait() for _ in range(4)]
        self.clock.advance(0.5)
        self.assertEqual([turn.called for turn in waiting], [True, False, False, False])
        self.clock.pump([0.5] * 3)
        self.assertTrue(all(turn.called for turn in waiting))

    def test_bounded(self) -> None:
        """Delays and memory are bounded, and old failures are forgotten."""
        for _ in range(100):
            self.throttle.failed("a")
        self.assertLessEqual(self.throttle._delay(100), 8)
        for number in range(20_000):
            self.throttle.failed(str(number))
        self.assertEqual(len(self.throttle._failed), 10_000)
        self.clock.advance(10_000)
        self.successResultOf(self.wait("19999"))
        self.assertNotIn("19999", self.throttle._failed)


class FloodTests(SynchronousTestCase):
    """One address that makes many attempts at once."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.admission = Admission(self.clock, 3)

    async def wrong(self) -> None:
        """A check that fails."""
        raise AccessDeniedError("wrong")

    def attempt(self) -> Deferred[object]:
        """A wrong attempt, with a place as connections and requests take one."""

        async def run() -> None:
            with self.admission.unauthenticated.take():
                await self.admission.authenticate("flood", self.wrong)

        return Deferred.fromCoroutine(run())

    def test_places_are_left_for_others(self) -> None:
        """A few attempts of an address wait, the others are refused at once: places are left for everybody else."""
        refused: list[object] = []
        for _ in range(100):
            for _ in range(20):
                self.attempt().addErrback(lambda failure: refused.append(failure.value))
            self.clock.advance(0.1)
        self.assertLess(self.admission.unauthenticated.taken, 10)
        self.assertTrue(any(isinstance(error, NoRoomError) for error in refused))
        other = Deferred.fromCoroutine(self.admission.authenticate("other", lambda: succeed(None)))
        self.assertIsNone(self.successResultOf(other))

    def test_it_ends(self) -> None:
        """Once the flood is over, the address can log in again within a minute, however many attempts failed."""
        for _ in range(20):
            self.attempt().addErrback(lambda failure: None)
        self.clock.pump([0.5] * 120)
        self.assertEqual(self.admission.unauthenticated.taken, 0)
        good = Deferred.fromCoroutine(self.admission.authenticate("flood", lambda: succeed(None)))
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(good))


class AdmissionTests(SynchronousTestCase):
    """The admission that both protocols ask."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.admission = Admission(self.clock, 3)

    def login(self, result: Deferred[Challenge | None], host: str = "a") -> Deferred[Challenge | None]:
        """An attempt whose check gives C{result}."""
        return Deferred.fromCoroutine(self.admission.authenticate(host, lambda: result))

    def fail_login(self) -> Deferred[Challenge | None]:
        """An attempt that fails."""
        denied: Deferred[Challenge | None] = Deferred()
        denied.errback(AccessDeniedError("wrong"))
        return self.login(denied)

    def test_limits(self) -> None:
        """Viewers have their limit; those that wait have one of their own, with room for at least one browser."""
        self.assertEqual((self.admission.viewers.limit, self.admission.unauthenticated.limit), (3, 20))
        self.assertEqual(Admission(self.clock, 500).unauthenticated.limit, 500)

    def test_success(self) -> None:
        """A good login is answered at once."""
        self.assertIsNone(self.successResultOf(self.login(succeed(None))))

    def test_failure(self) -> None:
        """A failed login is answered after a delay, and the next one is checked only after another."""
        failed = self.fail_login()
        self.assertNoResult(failed)
        self.clock.advance(0.5)
        self.failureResultOf(failed, AccessDeniedError)
        self.assertNoResult(good := self.login(succeed(None)))
        self.successResultOf(self.login(succeed(None), "b"))
        self.clock.advance(0.5)
        self.successResultOf(good)
        self.successResultOf(self.login(succeed(None)))  # earlier failures are forgotten

    def test_challenge_decides_nothing(self) -> None:
        """A challenge neither counts as a failure nor makes earlier ones forgotten."""
        challenge = Challenge("n" * 32, "proof")
        self.assertEqual(self.successResultOf(self.login(succeed(challenge))), challenge)
        self.successResultOf(self.login(succeed(None)))
        self.fail_login().addErrback(lambda failure: None)
        self.clock.advance(1)
        self.successResultOf(self.login(succeed(challenge)))
        self.assertNoResult(good := self.login(succeed(None)))
        self.clock.advance(10)
        self.successResultOf(good)

    def test_cancelled(self) -> None:
        """An attempt that is cancelled, during its check or its delay, leaves nothing in the clock."""
        checking = self.login(Deferred())
        checking.cancel()
        self.failureResultOf(checking, CancelledError)
        failed = self.fail_login()
        failed.cancel()
        self.failureResultOf(failed, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PrivacyTests(SynchronousTestCase):
    """Who can read what a connection carries."""

    def test_private(self) -> None:
        """TLS is private, and so are connections that do not leave this machine."""
        here, there = IPv4Address("TCP", "127.0.0.1", 1), IPv4Address("TCP", "192.0.2.1", 1)
        self.assertTrue(is_private(StringTransport(hostAddress=here)))
        self.assertTrue(is_private(StringTransport(hostAddress=UNIXAddress("camera"))))
        self.assertFalse(is_private(transport := StringTransport(hostAddress=there)))
        directlyProvides(transport, ISSLTransport)
        self.assertTrue(is_private(transport))


class FindCameraTests(SynchronousTestCase):
    """Cameras by name."""

    def test_find(self) -> None:
        """Without a name it is the first camera."""
        self.assertEqual(find_camera({"desk": 1, "door": 2}, None), 1)
        self.assertEqual(find_camera({"desk": 1, "door": 2}, "door"), 2)

    def test_unknown(self) -> None:
        """An unknown name is an error that lists the cameras, and shows at most 60 characters of it."""
        error = self.assertRaises(UnknownCameraError, find_camera, {"desk": 1, "door": 2}, "cel\x1blar" + 100 * "r")
        self.assertTrue(str(error).startswith("there is no camera 'cel\\x1blarrr"))
        self.assertTrue(str(error).endswith(" here; the cameras are: desk, door"))
        self.assertLess(len(str(error)), 120)
