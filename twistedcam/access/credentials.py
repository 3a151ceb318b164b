"""What a viewer shows to be let in: a key or a password, and never to the wrong server."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.ssl import Certificate, CertificateOptions, TLSVersion
from zope.interface import implementer

from twistedcam.access.share import fingerprint
from twistedcam.access.sharekey import is_proof, prove, read_key
from twistedcam.interfaces import AccessDeniedError, ICredentials
from twistedcam.net import is_local
from twistedcam.wire.messages import Challenge, Hello


@implementer(ICredentials)
class NoCredentials:
    """For servers that ask for nothing."""

    admits_frames = True

    def hello(self, plain: Hello, transport: Any) -> Hello:
        """Nothing to add."""
        return plain

    def answer(self, challenge: Challenge, plain: Hello, transport: Any) -> Hello:
        """We have no key."""
        raise AccessDeniedError("the server asks for a key: say --key")


@implementer(ICredentials)
class KeyCredentials:
    """The key of a shared camera, for one connection: nothing is proved to a server that has not proved it first."""

    def __init__(self, secret: int) -> None:
        self._secret = secret
        self._nonce = secrets.token_hex(16)
        self.admits_frames = False

    def hello(self, plain: Hello, transport: Any) -> Hello:
        """Our nonce."""
        return replace(plain, nonce=self._nonce)

    def answer(self, challenge: Challenge, plain: Hello, transport: Any) -> Hello:
        """Our proof, once the server's has been found good for the certificate it shows."""
        nonce = challenge.nonce
        certificate = fingerprint(Certificate.peerFromTransport(transport))
        if not is_proof(challenge.proof, prove(self._secret, "server", self._nonce, nonce, certificate)):
            raise AccessDeniedError("the server does not have this key: compare it with the one that the server shows")
        self.admits_frames = True
        proof = prove(self._secret, "viewer", self._nonce, nonce, certificate)
        return replace(plain, nonce=self._nonce, proof=proof)


def use_key(text: str) -> tuple[CertificateOptions, Callable[[], ICredentials]]:
    """TLS for connections to a shared camera, and what is shown in each of them. Raises L{sharekey.KeyTextError}."""
    # No authority vouches for the certificate: the server proves the key for it.
    tls = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2)
    return tls, partial(KeyCredentials, read_key(text))


@implementer(ICredentials)
class PasswordCredentials:
    """A name and a password, which leave this machine over TLS only."""

    admits_frames = True

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password

    def hello(self, plain: Hello, transport: Any) -> Hello:
        """Both."""
        if not ISSLTransport.providedBy(transport) and not is_local(transport.getPeer()):
            raise AccessDeniedError("a password is not sent to another machine without TLS: say --tls")
        return replace(plain, user=self._user, password=self._password)

    def answer(self, challenge: Challenge, plain: Hello, transport: Any) -> Hello:
        """We have no key."""
        raise AccessDeniedError("the server asks for a key and not for a password: say --key")
