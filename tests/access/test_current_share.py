"""The share of a running server, which follows its files."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from twistedcam.access.current_share import CurrentShare
from twistedcam.access.share import Share, make_share
from twistedcam.access.share_folder import ShareFolder


def now() -> float:
    """A time of day."""
    return 1e9


class CurrentShareTests(TestCase):
    """Two servers on one folder."""

    def setUp(self) -> None:
        self.folder = ShareFolder(Path(self.mktemp()))
        self.share = CurrentShare(self.folder, now)
        self.share.keep()
        self.log = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)

    def link(self) -> str:
        """The end of links that is kept."""
        return self.folder.link_file.read_text().strip()

    def test_renewed_when_kept(self) -> None:
        """A renewed share is in use at once, but replaces the one in the folder only when it is kept, and only once."""
        renewed = CurrentShare(self.folder, now, renew=True)
        self.assertEqual(self.folder.load().secret, self.share.secret)
        renewed.keep()
        self.assertEqual(self.folder.load().secret, renewed.secret)
        self.folder.store(make_share(0))
        renewed.keep()
        self.assertNotEqual(self.folder.load().secret, renewed.secret)

    def test_follow(self) -> None:
        """A server takes the key, token and certificate that another one has stored, and says so once."""
        self.assertFalse(self.share.follow())
        self.assertEqual(self.link(), f"?key={self.share.token.reveal()}")
        new = make_share(0)
        self.folder.store(new)
        self.assertEqual([self.share.follow(), self.share.follow()], [True, False])
        self.assertEqual((self.share.key, self.share.token), (new.key, new.token))
        self.assertEqual(self.share.fingerprint, new.fingerprint)
        self.assertEqual(self.link(), f"?key={new.token.reveal()}")

    def test_new_certificate(self) -> None:
        """Another certificate for the same key is taken, but the key is not renewed by that."""
        new = make_share(0)
        self.folder.store(Share(self.share.secret, new.certificate))
        self.assertFalse(self.share.follow())
        self.assertEqual(self.share.fingerprint, new.fingerprint)

    def test_damaged(self) -> None:
        """Files that cannot be used change nothing; that is logged once for each reason."""
        old = self.share.key
        for spoil in (
            lambda: self.folder.key_file.write_text("nonsense"),
            lambda: self.folder.key_file.unlink(),
        ):
            spoil()
            self.assertEqual([self.share.follow(), self.share.follow()], [False, False])
        self.assertEqual(self.share.key, old)
        self.assertEqual([event["log_level"].name for event in self.log], ["warn", "warn"])
        self.folder.store(make_share(0))
        self.assertTrue(self.share.follow())

    def test_mended(self) -> None:
        """A key that others could read is taken as soon as they cannot any more."""
        self.folder.store(make_share(0))
        self.folder.key_file.chmod(0o644)
        self.assertEqual([self.share.follow() for _ in range(3)], [False] * 3)
        self.folder.key_file.chmod(0o600)
        self.assertEqual([self.share.follow() for _ in range(3)], [True, False, False])
        self.assertEqual(len(self.log), 1)

    def test_no_link(self) -> None:
        """A link that cannot be stored is a warning: the key is good."""
        self.folder.link_file.unlink()
        self.folder.link_file.mkdir()
        CurrentShare(self.folder, now).keep()
        event = next(iter(self.log))
        self.assertIn("the link for browsers cannot be stored", event["log_format"])
