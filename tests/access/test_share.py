"""A share: its secret, its certificate, and TLS with the one that is current."""

from __future__ import annotations

import datetime

from OpenSSL.SSL import Context
from OpenSSL.SSL import Error as TLSError
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from twistedcam.access.share import CurrentCertificate, Share, make_share

NOW = datetime.datetime(2031, 5, 4, tzinfo=datetime.UTC).timestamp()


class ShareTests(TestCase):
    """Shares that are not kept in files."""

    def test_new(self) -> None:
        """Every share has its own key and certificate."""
        first, second = make_share(NOW), make_share(NOW)
        self.assertNotEqual(first.key, second.key)
        self.assertNotEqual(first.fingerprint, second.fingerprint)
        self.assertEqual(len(first.fingerprint), 32)

    def test_dates(self) -> None:
        """The certificate is valid from a day before the given time."""
        certificate = make_share(NOW).certificate.original.to_cryptography()
        self.assertEqual(certificate.not_valid_before_utc.date(), datetime.date(2031, 5, 3))
        self.assertGreater(certificate.not_valid_after_utc.year, 2100)

    def test_another_private_key(self) -> None:
        """A certificate with the private key of another one cannot be used for TLS."""
        first, second = make_share(NOW), make_share(NOW)
        first.certificate.privateKey = second.certificate.privateKey
        self.assertRaises(TLSError, first.make_context)

    def test_nothing_shown(self) -> None:
        """The C{repr} of a share does not show its secret."""
        share = make_share(NOW)
        for secret in (str(share.secret), share.key.reveal(), share.token.reveal()):
            self.assertNotIn(secret, repr(share))

    def test_current(self) -> None:
        """A connection begins with the certificate of that moment; its context is made once for all connections."""
        shares = [make_share(NOW)]
        creator = CurrentCertificate(lambda: shares[-1])
        verifyObject(IOpenSSLServerConnectionCreator, creator)

        def context() -> Context:
            return creator.serverConnectionForTLS(None).get_context()

        old = context()
        self.assertIs(context(), old)
        shares.append(Share(shares[0].secret, make_share(NOW).certificate))
        self.assertIsNot(context(), old)
