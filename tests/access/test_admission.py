"""Admission: limits, and which attempts to log in are throttled."""

from __future__ import annotations

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from twistedcam.access.admission import Admission, UnknownCameraError, find_camera, is_private
from twistedcam.access.guards import PasswordGuard, TokenGuard, make_portal
from twistedcam.errors import AccessDeniedError
from twistedcam.interfaces import IGuard
from twistedcam.secret import Secret
from twistedcam.wire.messages import Challenge, Hello


class AdmissionTests(SynchronousTestCase):
    """The admission that both protocols ask."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.admission = Admission(self.clock, 3)

    def login(self, guard: IGuard, password: str, host: str = "10.0.0.1") -> Deferred[Challenge | None]:
        """An attempt to log in as "me"."""
        hello = Hello(user="me", password=Secret(password))
        return Deferred.fromCoroutine(self.admission.authenticate(host, guard, hello, True))

    def test_limits(self) -> None:
        """Viewers have their limit; snapshots and those that wait have their own, with room for one browser."""
        self.assertEqual((self.admission.viewers.limit, self.admission.snapshots.limit), (3, 20))

    def test_passwords_are_throttled(self) -> None:
        """A wrong password delays the next attempt at that name from that network, and nothing else."""
        guard = PasswordGuard(make_portal([InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")]))
        self.assertIsNone(self.successResultOf(self.login(guard, "secret")))
        self.failureResultOf(self.login(guard, "guess", "2001:db8::1"), AccessDeniedError)
        self.assertIsNone(self.successResultOf(self.login(guard, "secret")))
        self.assertNoResult(waiting := self.login(guard, "secret", "2001:db8::2"))
        self.clock.advance(0.5)
        self.assertIsNone(self.successResultOf(waiting))

    def test_keys_are_not(self) -> None:
        """After a thousand wrong tokens the right one is let in at once, from the same address."""
        guard = TokenGuard(Secret("token"))
        for number in range(1000):
            self.failureResultOf(self.login(guard, str(number)), AccessDeniedError)
        self.assertIsNone(self.successResultOf(self.login(guard, "token")))


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
