"""The files of a share: private, complete at any time, and the same for all servers."""

from __future__ import annotations

import errno
import os
import resource
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutput
from twisted.trial.unittest import TestCase

from twistedcam.access.share import Share, make_share
from twistedcam.access.share_folder import ShareError, ShareFolder, default_folder

_RACE = """
import sys, time
from pathlib import Path
from twistedcam.access.share_folder import ShareFolder

ready, root = Path(sys.argv[1]), Path(sys.argv[2])
ready.touch()
while len(list(ready.parent.iterdir())) < 3:
    pass
for round in range(int(sys.argv[3])):
    until = time.time_ns() // 50_000_000 * 50_000_000 + 100_000_000
    while time.time_ns() < until:
        pass
    share = ShareFolder(root / str(until)).load_or_make(time.time)
    print(until, share.secret, share.fingerprint.hex())
"""


def now() -> float:
    """A time of day."""
    return 1e9


class ShareFolderTestCase(TestCase):
    """A folder that does not exist yet."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "twistedcam"
        self.folder = ShareFolder(self.path)
        self.certificate_file = self.path / "share-certificate.pem"

    def kept(self) -> tuple[int, bytes]:
        """What identifies the share that is kept."""
        share = self.folder.load()
        return share.secret, share.fingerprint

    def refused(self, function: Callable[..., object], *args: Any) -> str:
        """The one line of the error."""
        message = str(self.assertRaises(ShareError, function, *args))
        self.assertNotIn("\n", message)
        return message


class KeepTests(ShareFolderTestCase):
    """Making, reading and replacing shares."""

    def test_made_once(self) -> None:
        """Key and certificate are made the first time, and read from then on."""
        first = self.folder.load_or_make(now)
        self.folder.load_or_make(now)
        self.assertEqual(self.kept(), (first.secret, first.fingerprint))

    def test_stored(self) -> None:
        """A share that is stored replaces the one before, and leaves no other files."""
        self.folder.load_or_make(now)
        share = make_share(now())
        self.folder.store(share)
        self.folder.store_link(share.token)
        self.assertEqual(self.kept(), (share.secret, share.fingerprint))
        self.assertEqual(self.folder.link_file.read_text(), f"?key={share.token.reveal()}\n")
        self.assertEqual(sorted(os.listdir(self.path)), ["share-certificate.pem", "share-key.txt", "share-link.txt"])

    def test_private(self) -> None:
        """Other users cannot read them, whatever the umask."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        share = self.folder.load_or_make(now)
        self.folder.store(share)
        self.folder.store_link(share.token)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o700)
        for path in self.path.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)

    def test_damaged(self) -> None:
        """A damaged file is reported, with advice, and never replaced unless that is asked for."""
        self.folder.load_or_make(now)
        for file in (self.folder.key_file, self.certificate_file):
            for content in (b"nonsense", b"", b"\xff\x1b[2J", bytes(100)):
                self.folder.store(make_share(now()))
                file.write_bytes(content)
                self.assertRegex(self.refused(self.folder.load_or_make, now), f"{file.name} is damaged.*--renew")
                self.assertEqual(file.read_bytes(), content)

    def test_another_private_key(self) -> None:
        """A certificate with the private key of another one is damaged."""
        self.folder.load_or_make(now)
        pem = self.certificate_file.read_bytes()
        self.folder.store(make_share(now()))
        mixed = pem.partition(b"-----BEGIN CERT")[0] + self.certificate_file.read_bytes()[mixed_at(pem) :]
        self.certificate_file.write_bytes(mixed)
        self.assertIn("is damaged", self.refused(self.folder.load))

    def test_state(self) -> None:
        """The state changes with the files, and not otherwise."""
        states = [self.folder.state()]
        self.folder.load_or_make(now)
        states.append(self.folder.state())
        self.folder.store(self.folder.load())
        states.append(self.folder.state())
        self.assertEqual(self.folder.state(), states[-1])
        self.assertEqual(len(set(states)), 3)


def mixed_at(pem: bytes) -> int:
    """Where the certificate begins."""
    return pem.index(b"-----BEGIN CERT")


class RaceTests(ShareFolderTestCase):
    """Several servers that begin at the same moment."""

    timeout = 60

    async def test_processes(self) -> None:
        """Three processes that make the first key at one moment end up with one, in every round."""
        rounds, ready, root = 25, Path(self.mktemp()), Path(self.mktemp())
        ready.mkdir()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        running = [
            getProcessOutput(
                sys.executable, ("-c", _RACE, str(ready / name), str(root), str(rounds)), environment, errortoo=True
            )
            for name in "abc"
        ]
        lines = b"".join([await output for output in running]).decode().splitlines()
        shares: dict[str, set[str]] = {}
        for line in lines:
            moment, _, share = line.partition(" ")
            shares.setdefault(moment, set()).add(share)
        self.assertEqual(len(lines), 3 * rounds, lines[-5:])
        self.assertTrue(all(len(found) == 1 for found in shares.values()), shares)

    def test_threads(self) -> None:
        """The same with threads at a barrier, and many more rounds."""
        for _ in range(50):
            self.setUp()
            barrier = threading.Barrier(3)
            found: list[Share] = []

            def begin(barrier: threading.Barrier = barrier, found: list[Share] = found) -> None:
                barrier.wait()
                found.append(ShareFolder(self.path).load_or_make(now))

            threads = [threading.Thread(target=begin) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual([(share.secret, share.fingerprint) for share in found], [self.kept()] * 3)


class FullDiskTests(ShareFolderTestCase):
    """Writing that fails, at each step."""

    def fail_at(self, module: Any, name: str, number: int) -> None:
        """Let the call C{number} of a function fail as on a full disk."""
        real, calls = getattr(module, name), []

        def maybe(*args: Any, **keywords: Any) -> Any:
            calls.append(args)
            if len(calls) == number:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **keywords)

        self.patch(module, name, maybe)

    def test_renew(self) -> None:
        """The old share stays until both new files are complete; then a usable share is there at any time."""
        old = self.folder.load_or_make(now)
        for module, name, number in (
            (tempfile, "mkstemp", 1),
            (os, "fsync", 1),
            (tempfile, "mkstemp", 2),
            (os, "fsync", 2),
            (os, "replace", 1),
            (os, "replace", 2),
        ):
            new = make_share(now())
            self.fail_at(module, name, number)
            self.assertIn("No space left on device", self.refused(self.folder.store, new))
            secret, certificate = self.kept()
            self.assertEqual(secret, old.secret)
            is_new = (name, number) == ("replace", 2)  # any certificate goes with any key
            self.assertEqual(certificate, new.fingerprint if is_new else old.fingerprint)
            self.assertEqual(sorted(os.listdir(self.path)), ["share-certificate.pem", "share-key.txt"])

    def test_write(self) -> None:
        """The same if the write itself fails, with the real error of the system."""
        self.folder.load_or_make(now)
        old = self.kept()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        message = self.refused(self.folder.store, make_share(now()))
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        self.assertIn("File too large", message)
        self.assertEqual(self.kept(), old)
        self.assertEqual(sorted(os.listdir(self.path)), ["share-certificate.pem", "share-key.txt"])

    def test_first(self) -> None:
        """A first key that cannot be written leaves nothing that is incomplete, and the next start makes the rest."""
        for module, name, number in ((os, "fsync", 1), (os, "link", 1), (os, "fsync", 2), (os, "link", 2)):
            self.setUp()
            self.fail_at(module, name, number)
            self.assertIn("No space left on device", self.refused(self.folder.load_or_make, now))
            self.assertEqual(os.listdir(self.path), ["share-certificate.pem"] if number == 2 else [])
            self.folder.load_or_make(now)


class PrivacyTests(ShareFolderTestCase):
    """Files and folders that others can read or change."""

    def test_folder(self) -> None:
        """A folder that is open to others is refused, with the command that mends it."""
        self.folder.load_or_make(now)
        for mode in (0o777, 0o750, 0o701, 0o720):
            self.path.chmod(mode)
            for refused in (
                self.refused(self.folder.load),
                self.refused(self.folder.load_or_make, now),
                self.refused(self.folder.store, make_share(now())),
            ):
                self.assertEqual(refused, f"{self.path} is open to other users: chmod 700 {self.path}")
        self.path.chmod(0o500)
        self.folder.load()

    def test_files(self) -> None:
        """The same holds for each file."""
        self.folder.load_or_make(now)
        for file in (self.folder.key_file, self.certificate_file):
            for mode in (0o640, 0o604, 0o620):
                file.chmod(mode)
                self.assertEqual(self.refused(self.folder.load), f"{file} is open to other users: chmod 600 {file}")
            file.chmod(0o600)
        self.folder.load()

    def test_another_owner(self) -> None:
        """What belongs to another user is refused."""
        self.folder.load_or_make(now)
        self.patch(os, "geteuid", lambda: 4242)
        self.assertIn(f"belongs to another user (uid {self.path.stat().st_uid})", self.refused(self.folder.load))

    def test_parents(self) -> None:
        """Folders above may be open to others, and a link to a private folder is as good as the folder."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.folder.load_or_make(now)
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o777)
        link = Path(self.mktemp())
        link.symlink_to(self.path.absolute())
        self.assertEqual(ShareFolder(link).load_or_make(now).secret, self.kept()[0])


class TroubleTests(ShareFolderTestCase):
    """Folders that cannot be used."""

    def test_no_folder(self) -> None:
        """A file in the folder's place, or above it, is named in the error, and so is a missing folder."""
        self.assertIn("No such file", self.refused(self.folder.load))
        self.path.parent.mkdir()
        self.path.write_text("a file")
        self.assertIn(f"{self.path} is not a folder", self.refused(self.folder.load_or_make, now))
        below = ShareFolder(self.path / "below")
        self.assertIn("Not a directory", self.refused(below.load_or_make, now))

    def test_directory(self) -> None:
        """A directory in the place of a file is one line too."""
        self.folder.key_file.mkdir(0o700, parents=True)
        self.path.chmod(0o700)
        for refused in (self.refused(self.folder.load_or_make, now), self.refused(self.folder.store, make_share(0))):
            self.assertIn("share-key.txt: Is a directory", refused)

    def test_default_folder(self) -> None:
        """On Linux the default folder follows the XDG conventions."""
        self.patch(sys, "platform", "linux")
        self.patch(os, "environ", {"XDG_DATA_HOME": "/data", "HOME": "/home/me"})
        self.assertEqual(default_folder(), Path("/data/twistedcam"))
        self.patch(os, "environ", {"HOME": "/home/me"})
        self.assertEqual(default_folder(), Path("/home/me/.local/share/twistedcam"))

    def test_no_home(self) -> None:
        """A user without a home folder is told to name a folder."""

        def expanduser(path: Path) -> Path:
            raise RuntimeError("Could not determine home directory.")

        self.patch(os, "environ", {})
        self.patch(Path, "expanduser", expanduser)
        self.assertIn("--state-dir", self.refused(default_folder))
