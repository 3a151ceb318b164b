"""A viewer's credentials: a key or a password, neither of which is ever given to the wrong server."""

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
from twistedcam.errors import AccessDeniedError
from twistedcam.interfaces import ICredentials
from twistedcam.net import is_local
from twistedcam.secret import Secret
from twistedcam.wire.messages import Challenge, Hello


@implementer(ICredentials)
class NoCredentials:
    """For servers that ask for no credentials."""

    trusts_server = True

    def hello(self, plain: Hello, transport: Any) -> Hello:
        """The plain hello."""
        return plain

    def answer(self, challenge: Challenge, plain: Hello, transport: Any) -> Hello:
        """Raises L{AccessDeniedError}: there is no key."""
        raise AccessDeniedError("the server asks for a key: use --key")


@implementer(ICredentials)
class KeyCredentials:
    """The key of a shared camera, for one connection: the server proves that it has the key before we do."""

    def __init__(self, secret: int) -> None:
        self._secret = secret
        self._nonce = secrets.token_hex(16)
        self.trusts_server = False

    def hello(self, plain: Hello, transport: Any) -> Hello:
        """Our nonce, and nothing else: what C{plain} asks for is said only to a server that has the key."""
        return Hello(nonce=self._nonce)

    def answer(self, challenge: Challenge, plain: Hello, transport: Any) -> Hello:
        """C{plain} with our proof, if the server's proof is valid for the certificate of this connection."""
        if self.trusts_server:
            raise AccessDeniedError("the server asks for the key a second time")
        nonce = challenge.nonce
        certificate = fingerprint(Certificate.peerFromTransport(transport))
        if not is_proof(challenge.proof, prove(self._secret, "server", self._nonce, nonce, certificate)):
            raise AccessDeniedError("the server does not have this key: compare it with the one that the server shows")
        self.trusts_server = True
        proof = prove(self._secret, "viewer", self._nonce, nonce, certificate)
        return replace(plain, nonce=self._nonce, proof=proof)


def use_key(text: str) -> tuple[CertificateOptions, Callable[[], ICredentials]]:
    """The TLS options and a factory of credentials for a shared camera. Raises L{sharekey.KeyTextError}."""
    # No authority has signed the certificate; with the key, the server proves that the certificate is its own.
    tls = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2)
    return tls, partial(KeyCredentials, read_key(text))


@implementer(ICredentials)
class PasswordCredentials:
    """A name and a password, which leave this machine only over TLS."""

    trusts_server = True

    def __init__(self, user: str, password: Secret) -> None:
        self._user = user
        self._password = password

    def hello(self, plain: Hello, transport: Any) -> Hello:
        """C{plain} with name and password, unless others could read them."""
        if not ISSLTransport.providedBy(transport) and not is_local(transport.getPeer()):
            raise AccessDeniedError("a password is not sent to another machine without TLS: use --tls")
        return replace(plain, user=self._user, password=self._password)

    def answer(self, challenge: Challenge, plain: Hello, transport: Any) -> Hello:
        """Raises L{AccessDeniedError}: there is no key."""
        raise AccessDeniedError("the server asks for a key and not for a password: use --key")
