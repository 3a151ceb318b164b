"""What guards accept."""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.access.slow_guard import SlowGuard
from twistedcam.access.guards import KeyGuard, PasswordGuard, TokenGuard, make_portal
from twistedcam.access.sharekey import make_secret, prove
from twistedcam.errors import AccessDeniedError
from twistedcam.interfaces import IGuard
from twistedcam.secret import Secret
from twistedcam.wire.messages import Hello

FINGERPRINT = b"certificate"


class GuardTestCase(TestCase):
    """One guard, asked about hellos."""

    guard: Any

    def admit(self, hello: Hello, is_private: bool = True) -> Any:
        """The guard's answer."""
        return self.successResultOf(Deferred.fromCoroutine(self.guard.admit(hello, is_private)))

    def denied(self, hello: Hello, is_private: bool = True) -> str:
        """Check that a hello is denied; return the reason."""
        failure = self.failureResultOf(Deferred.fromCoroutine(self.guard.admit(hello, is_private)), AccessDeniedError)
        return str(failure.value)


class InterfaceTests(TestCase):
    """All guards."""

    def test_guards(self) -> None:
        """Each guard, including the one of the tests, provides the interface."""
        for guard in (KeyGuard(1, FINGERPRINT), PasswordGuard(make_portal([])), TokenGuard(Secret("x")), SlowGuard()):
            verifyObject(IGuard, guard)


class KeyGuardTests(GuardTestCase):
    """The guard of a shared camera."""

    def setUp(self) -> None:
        self.secret = make_secret()
        self.guard = KeyGuard(self.secret, FINGERPRINT)

    def test_key(self) -> None:
        """A viewer that answers the challenge is admitted, after the server has proved itself."""
        challenge = self.admit(Hello(nonce="n" * 32))
        self.assertEqual(challenge.proof, prove(self.secret, "server", "n" * 32, challenge.nonce, FINGERPRINT))
        proof = prove(self.secret, "viewer", "n" * 32, challenge.nonce, FINGERPRINT)
        self.assertIsNone(self.admit(Hello(nonce="n" * 32, proof=proof)))

    def test_strange_hellos(self) -> None:
        """A hello without a nonce is denied, whatever else it holds."""
        for hello in (Hello(), Hello(proof="x"), Hello(user="me", password=Secret("secret"))):
            self.denied(hello)

    def test_server_proof_is_no_viewer_proof(self) -> None:
        """The server's own proof, sent back to it, admits nobody; nor does a second nonce."""
        challenge = self.admit(Hello(nonce="n" * 32))
        self.denied(Hello(nonce="n" * 32, proof=challenge.proof))
        self.denied(Hello(nonce="m" * 32))


class PasswordGuardTests(GuardTestCase):
    """The guard by name and password."""

    def setUp(self) -> None:
        self.checker = InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")
        self.guard = PasswordGuard(make_portal([self.checker]))

    def test_password(self) -> None:
        """The right password of a known name is admitted, and nothing else."""
        self.assertIsNone(self.admit(Hello(user="me", password=Secret("secret"))))
        for user, password in (("me", "guess"), ("you", "secret"), ("", "")):
            self.assertEqual(self.denied(Hello(user=user, password=Secret(password))), "the name or password is wrong")
        self.assertIn("use --user", self.denied(Hello()))

    def test_in_the_clear(self) -> None:
        """A password that others can read is not even checked."""
        self.patch(self.checker, "requestAvatarId", self.fail)
        self.assertEqual(
            self.denied(Hello(user="me", password=Secret("secret")), is_private=False),
            "passwords are accepted over TLS only",
        )

    def test_text_in_memory(self) -> None:
        """Twisted's --auth memory, which keeps text, works."""
        checker: Any = InMemoryUsernamePasswordDatabaseDontUse()
        checker.users = {"me": "secret"}
        self.guard = PasswordGuard(make_portal([checker]))
        self.assertIsNone(self.admit(Hello(user="me", password=Secret("secret"))))

    def test_checker_that_fails(self) -> None:
        """When passwords cannot be checked nobody is admitted, and the log says why."""

        def explode(credentials: Any) -> Any:
            raise OSError("the database is gone")

        self.patch(self.checker, "requestAvatarId", explode)
        self.assertIn("cannot check passwords at present", self.denied(Hello(user="me", password=Secret("secret"))))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class TokenGuardTests(GuardTestCase):
    """The guard of the link."""

    def setUp(self) -> None:
        self.guard = TokenGuard(Secret("token"))

    def test_token(self) -> None:
        """The token is admitted, and nothing else."""
        self.assertIsNone(self.admit(Hello(password=Secret("token"))))
        for password in ("", "toke", "tokens", "\N{REPLACEMENT CHARACTER}"):
            self.assertIn("invalid or has expired", self.denied(Hello(password=Secret(password))))
