"""A shared camera's secret and certificate, and TLS with that certificate."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL.SSL import Connection, Context
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.internet.ssl import Certificate, CertificateOptions, PrivateCertificate, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from twistedcam.access.guards import KEY_NEEDED
from twistedcam.access.sharekey import make_secret, web_token, write_key
from twistedcam.secret import Secret
from twistedcam.wire import messages
from twistedcam.wire.framing import TLS_HANDSHAKE
from twistedcam.wire.messages import Refused

_VALID = datetime.timedelta(days=36500)  # viewers do not check the date: the key vouches for the certificate

REFUSAL = messages.pack(Refused(KEY_NEEDED))


@dataclass(frozen=True)
class Share:
    """
    What a shared camera needs: C{secret}, which the key holds, and C{certificate} with its private key, for TLS.

    Any certificate can be used with any secret: a proof of the secret covers the certificate of the connection.
    """

    secret: int = field(repr=False)
    certificate: PrivateCertificate

    @property
    def key(self) -> Secret:
        """The secret as text, for a viewer's C{--key}."""
        return Secret(write_key(self.secret))

    @property
    def token(self) -> Secret:
        """The token that browsers send in place of the key."""
        return web_token(self.secret)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the certificate in DER form."""
        return fingerprint(self.certificate)

    def make_context(self) -> Context:
        """A new context for TLS with our certificate. Raises C{OpenSSL.SSL.Error} if its private key does not match."""
        options = CertificateOptions(
            privateKey=self.certificate.privateKey.original,
            certificate=self.certificate.original,
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        return options.getContext()


def make_share(now: float) -> Share:
    """A new share; C{now} is the time of day, in seconds since the epoch."""
    return Share(make_secret(), make_certificate(now))


def make_certificate(now: float) -> PrivateCertificate:
    """A new private key, and a certificate signed by it that is valid from a day before C{now}."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "twistedcam")])
    made = datetime.datetime.fromtimestamp(now, datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clients that check the name find one that never matches.
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("twistedcam.invalid")]), critical=False)
        .not_valid_before(made - datetime.timedelta(days=1))
        .not_valid_after(made + _VALID)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    result: PrivateCertificate = PrivateCertificate.loadPEM(private + certificate.public_bytes(pem))
    return result


def fingerprint(certificate: Certificate) -> bytes:
    """SHA-256 of a certificate in DER form."""
    return bytes(certificate.original.to_cryptography().fingerprint(hashes.SHA256()))


def over_tls(factory: IProtocolFactory, current: Callable[[], Share], refusal: bytes = REFUSAL) -> TLSMemoryBIOFactory:
    """
    C{factory} behind TLS, with the certificate that C{current} returns when a connection begins.

    A peer that does not speak TLS is sent C{refusal}.
    """
    return _PoliteTLSFactory(CurrentCertificate(current), factory, refusal)


@implementer(IOpenSSLServerConnectionCreator)
class CurrentCertificate:
    """Begins TLS with the certificate of the share that C{current} returns at that moment."""

    def __init__(self, current: Callable[[], Share]) -> None:
        self._current = current
        self._share = current()
        self._context = self._share.make_context()

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Connection:  # noqa: N802
        """The connection of a new peer."""
        share = self._current()
        if share is not self._share:
            self._share, self._context = share, share.make_context()
        return Connection(self._context, None)


class _PoliteTLS(TLSMemoryBIOProtocol):
    """TLS that answers a peer that does not speak TLS with a refusal in the clear."""

    factory: _PoliteTLSFactory
    _has_begun = False

    def dataReceived(self, data: bytes) -> None:
        if not self._has_begun and data[:1] != TLS_HANDSHAKE[:1] and self.transport is not None:
            self.transport.write(self.factory.refusal)
            self.transport.loseConnection()
            return
        self._has_begun = True
        super().dataReceived(data)


class _PoliteTLSFactory(TLSMemoryBIOFactory):
    """Connections on which a peer that does not speak TLS is sent C{refusal}."""

    protocol = _PoliteTLS

    def __init__(self, creator: IOpenSSLServerConnectionCreator, factory: IProtocolFactory, refusal: bytes) -> None:
        super().__init__(creator, False, factory)
        self.refusal = refusal
