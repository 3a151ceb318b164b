"""The certificate and the secret of a shared camera: made once, then kept in files."""

from __future__ import annotations

import datetime
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.ssl import Certificate, CertificateOptions, PrivateCertificate, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from twistedcam.access.guards import KEY_NEEDED
from twistedcam.access.sharekey import KeyTextError, make_secret, read_key, write_key
from twistedcam.errors import TwistedcamError
from twistedcam.secret import Secret
from twistedcam.wire import messages
from twistedcam.wire.framing import TLS_HANDSHAKE
from twistedcam.wire.messages import Refused

_CERTIFICATE, _KEY = "share-certificate.pem", "share-key.txt"
_VALID = datetime.timedelta(days=36500)  # viewers do not check the date: the key vouches for the certificate


class ShareError(TwistedcamError):
    """The files of a shared camera cannot be written or read; the text says why."""


REFUSAL = messages.pack(Refused(KEY_NEEDED))


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

    def __init__(self, options: CertificateOptions, factory: IProtocolFactory, refusal: bytes) -> None:
        super().__init__(options, False, factory)
        self.refusal = refusal


@dataclass(frozen=True)
class Share:
    """C{secret} is what the key holds, C{certificate} what the server presents; see L{sharekey}."""

    secret: int = field(repr=False)
    certificate: PrivateCertificate

    @property
    def key(self) -> Secret:
        """The secret as text, for a viewer's C{--key}."""
        return Secret(write_key(self.secret))

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the certificate in DER form."""
        return fingerprint(self.certificate)

    def over_tls(self, factory: IProtocolFactory, refusal: bytes = REFUSAL) -> TLSMemoryBIOFactory:
        """C{factory} behind TLS with our certificate; a peer that does not speak TLS is sent C{refusal}."""
        options = CertificateOptions(
            privateKey=self.certificate.privateKey.original,
            certificate=self.certificate.original,
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        return _PoliteTLSFactory(options, factory, refusal)


def fingerprint(certificate: Certificate) -> bytes:
    """SHA-256 of a certificate in DER form."""
    return bytes(certificate.original.to_cryptography().fingerprint(hashes.SHA256()))


def default_folder() -> Path:
    """The user's folder for application data, by the conventions of the platform."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "twistedcam"
    if sys.platform == "darwin":
        return Path("~/Library/Application Support/twistedcam").expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "twistedcam"


def load(folder: Path, renew: bool = False) -> Share:
    """The share kept in C{folder}; made first if there is none, or if C{renew} is set. Raises L{ShareError}."""
    try:
        if renew or not (folder / _KEY).exists():
            _make(folder)
        secret = read_key((folder / _KEY).read_text().strip())
        return Share(secret, PrivateCertificate.loadPEM((folder / _CERTIFICATE).read_bytes()))
    except OSError as error:
        raise ShareError(f"{error.filename}: {error.strerror}") from None
    except (KeyTextError, ValueError) as error:
        raise ShareError(f"the key kept in {folder} is damaged ({error}): make a new one with --renew") from None
    except Exception:  # pyOpenSSL raises errors of many kinds
        raise ShareError(f"the certificate kept in {folder} is damaged: make a new one with --renew") from None


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The key is written last: if it exists, the certificate does.
    (folder / _KEY).unlink(missing_ok=True)
    _write(folder / _CERTIFICATE, _make_certificate())
    _write(folder / _KEY, f"{write_key(make_secret())}\n".encode())


def _write(path: Path, content: bytes) -> None:
    """Write a file that other users cannot read at any time, not even while it is written."""
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    partial.replace(path)


def _make_certificate() -> bytes:
    """A private key and a certificate signed by it, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "twistedcam")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clients that check the name find one that never matches.
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("twistedcam.invalid")]), critical=False)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _VALID)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
