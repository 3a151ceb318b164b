"""The key and the certificate of a shared camera, kept in private files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import TestCase

from twistedcam.access.share import ShareError, default_folder, load


class ShareTests(TestCase):
    """The folder of the files."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "twistedcam"

    def test_made_once(self) -> None:
        """Key and certificate are made the first time, and read from then on."""
        first, second = load(self.folder), load(self.folder)
        self.assertEqual((first.key, first.fingerprint), (second.key, second.fingerprint))
        self.assertEqual(len(first.fingerprint), 32)

    def test_renewed(self) -> None:
        """With C{renew} key and certificate are made anew."""
        first, second = load(self.folder), load(self.folder, renew=True)
        self.assertNotEqual(first.key, second.key)
        self.assertNotEqual(first.fingerprint, second.fingerprint)

    def test_private(self) -> None:
        """Other users cannot read them, whatever the umask."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        load(self.folder)
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)
        for path in self.folder.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)

    def test_damaged(self) -> None:
        """A damaged file is reported, with advice, and never replaced unless that is asked for."""
        for name in ("share-key.txt", "share-certificate.pem"):
            load(self.folder, renew=True)
            (self.folder / name).write_text("nonsense")
            with self.assertRaisesRegex(ShareError, "damaged.*--renew"):
                load(self.folder)
            self.assertEqual((self.folder / name).read_text(), "nonsense")

    def test_no_folder(self) -> None:
        """A folder that cannot be made is named in the error."""
        self.folder.parent.write_text("a file")
        with self.assertRaisesRegex(ShareError, "twistedcam|file"):
            load(self.folder)

    def test_default_folder(self) -> None:
        """On Linux the default folder follows the XDG conventions."""
        self.patch(os, "environ", {"XDG_DATA_HOME": "/data", "HOME": "/home/me"})
        self.patch(__import__("sys"), "platform", "linux")
        self.assertEqual(default_folder(), Path("/data/twistedcam"))
        self.patch(os, "environ", {"HOME": "/home/me"})
        self.assertEqual(default_folder(), Path("/home/me/.local/share/twistedcam"))
