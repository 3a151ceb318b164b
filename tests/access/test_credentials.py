"""Credentials by themselves; tests.test_access uses them with real servers."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from twistedcam.access.credentials import KeyCredentials, NoCredentials, PasswordCredentials, use_key
from twistedcam.access.sharekey import make_secret, write_key
from twistedcam.errors import AccessDeniedError
from twistedcam.interfaces import ICredentials
from twistedcam.secret import Secret
from twistedcam.wire.messages import Challenge, Hello

PLAIN = Hello("desk", 5.0)
CHALLENGE = Challenge("n" * 32, "p" * 64)


def transport(host: str | None, over_tls: bool = False) -> StringTransport:
    """A connection to C{host}, or over a local socket."""
    address: Any = UNIXAddress(b"camera") if host is None else IPv4Address("TCP", host, 9999)
    made = StringTransport(peerAddress=address)
    if over_tls:
        alsoProvides(made, ISSLTransport)
    return made


class CredentialsTests(SynchronousTestCase):
    """What is added to a hello."""

    def test_interfaces(self) -> None:
        """All kinds are credentials."""
        for credentials in (
            NoCredentials(),
            KeyCredentials(make_secret()),
            PasswordCredentials("me", Secret("secret")),
        ):
            self.assertTrue(verifyObject(ICredentials, credentials))

    def test_none(self) -> None:
        """Without credentials the hello stays as it is, and a challenge is refused with advice."""
        credentials = NoCredentials()
        self.assertEqual(credentials.hello(PLAIN, transport("192.0.2.1")), PLAIN)
        self.assertTrue(credentials.trusts_server)
        with self.assertRaisesRegex(AccessDeniedError, "use --key"):
            credentials.answer(CHALLENGE, PLAIN, transport("192.0.2.1"))

    def test_password(self) -> None:
        """A password is sent within this machine and over TLS, and never in the clear to another machine."""
        credentials = PasswordCredentials("me", Secret("secret"))
        for safe in (transport(None), transport("127.0.0.1"), transport("192.0.2.1", over_tls=True)):
            hello = credentials.hello(PLAIN, safe)
            self.assertEqual(
                (hello.camera, hello.fps, hello.user, hello.password), ("desk", 5.0, "me", Secret("secret"))
            )
        with self.assertRaisesRegex(AccessDeniedError, "without TLS: use --tls"):
            credentials.hello(PLAIN, transport("192.0.2.1"))
        with self.assertRaisesRegex(AccessDeniedError, "use --key"):
            credentials.answer(CHALLENGE, PLAIN, transport(None))

    def test_key(self) -> None:
        """A key is not shown at first: each connection has a nonce of its own, and admits no frames yet."""
        _, make_credentials = use_key(write_key(make_secret()))
        first, second = make_credentials(), make_credentials()
        hello = first.hello(PLAIN, transport("192.0.2.1", over_tls=True))
        self.assertEqual(hello, Hello(nonce=hello.nonce))
        self.assertNotEqual(hello.nonce, second.hello(PLAIN, transport(None)).nonce)
        self.assertFalse(first.trusts_server)
