"""The folder in which a share is stored, in private files that are never incomplete."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from OpenSSL.crypto import FILETYPE_PEM
from twisted.internet.ssl import PrivateCertificate

from twistedcam.access.share import Share, make_certificate
from twistedcam.access.sharekey import KeyTextError, make_secret, read_key, write_key
from twistedcam.errors import TwistedcamError
from twistedcam.secret import Secret
from twistedcam.text import printable


class ShareError(TwistedcamError):
    """The files of a shared camera cannot be written or read; the text says why, and what to do."""


def default_folder() -> Path:
    """The user's folder for application data, by the conventions of the platform. Raises L{ShareError}."""
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "twistedcam"
        if sys.platform == "darwin":
            return Path("~/Library/Application Support/twistedcam").expanduser()
        return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "twistedcam"
    except RuntimeError:
        raise ShareError("this user has no home folder for the key: name another folder with --state-dir") from None


class ShareFolder:
    """
    Stores a share in the folder C{path}: the key, the certificate, and the token of the links for browsers.

    A file is replaced as a whole, so that none is ever incomplete, and other users cannot read it. Servers that start
    at the same moment get the same share. All methods that use the files raise L{ShareError}.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key_file = path / "share-key.txt"
        self.link_file = path / "share-link.txt"
        self._certificate_file = path / "share-certificate.pem"

    def load(self) -> Share:
        """The stored share."""
        with self._explaining():
            _check_private(self.path, self.path.stat(), "700")
            certificate, key = _read(self._certificate_file), _read(self.key_file)
        return Share(self._parse_key(key), self._parse_certificate(certificate))

    def load_or_make(self, now: Callable[[], float]) -> Share:
        """The stored share; missing files are made first. C{now} returns the time of day."""
        with self._explaining():
            self._make_folder()
            # The key is written last: if it exists, the certificate does.
            if not self._certificate_file.exists():
                _write(self._certificate_file, _certificate_pem(make_certificate(now())), _link)
            if not self.key_file.exists():
                _write(self.key_file, _line(write_key(make_secret())), _link)
        return self.load()

    def store(self, share: Share) -> None:
        """Store C{share}. The files from before are replaced only after both new ones are complete on the disk."""
        with self._explaining():
            self._make_folder()
            with (
                _written(self._certificate_file, _certificate_pem(share.certificate)) as certificate,
                _written(self.key_file, _line(share.key.reveal())) as key,
            ):
                os.replace(certificate, self._certificate_file)
                os.replace(key, self.key_file)

    def store_link(self, token: Secret) -> None:
        """Store the end of the links for browsers; the key cannot be derived from it."""
        content = _line(f"?key={token.reveal()}")
        with self._explaining():
            if not self.link_file.exists() or _read(self.link_file) != content:
                _write(self.link_file, content, os.replace)

    def state(self) -> object:
        """A value that differs after the files have changed."""
        return _state(self._certificate_file), _state(self.key_file)

    def _make_folder(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            raise ShareError(f"{printable(str(self.path))} is not a folder: name another with --state-dir") from None
        _check_private(self.path, self.path.stat(), "700")

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            path = printable(os.fsdecode(error.filename2 or error.filename or self.path))
            raise ShareError(f"{path}: {error.strerror}") from None

    def _parse_key(self, content: bytes) -> int:
        try:
            return read_key(content.decode().strip())
        except (KeyTextError, ValueError) as error:
            raise ShareError(f"{self.key_file} is damaged ({error}): make a new key with --renew") from None

    def _parse_certificate(self, content: bytes) -> PrivateCertificate:
        try:
            certificate: PrivateCertificate = PrivateCertificate.loadPEM(content)
            Share(0, certificate).make_context()  # the certificate may be that of another private key
        except Exception:  # pyOpenSSL raises errors of many kinds
            raise ShareError(f"{self._certificate_file} is damaged: make a new one with --renew") from None
        return certificate


def _line(text: str) -> bytes:
    return f"{text}\n".encode()


def _certificate_pem(certificate: PrivateCertificate) -> bytes:
    return bytes(certificate.privateKey.dump(FILETYPE_PEM) + certificate.dumpPEM())


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        _check_private(path, os.fstat(file.fileno()), "600")
        return file.read()


def _check_private(path: Path, found: os.stat_result, mode: str) -> None:
    """Raise L{ShareError} if other users can read or change what was C{found} at C{path}."""
    if sys.platform == "win32":
        return
    name = printable(str(path))
    if found.st_uid != os.geteuid():
        raise ShareError(
            f"{name} belongs to another user (uid {found.st_uid}): name a folder of your own with --state-dir"
        )
    if found.st_mode & 0o077:
        raise ShareError(f"{name} is open to other users: chmod {mode} {name}")


@contextlib.contextmanager
def _written(path: Path, content: bytes) -> Iterator[str]:
    """A complete private file with C{content}, beside C{path} under a temporary name, which is removed afterwards."""
    descriptor, name = tempfile.mkstemp(".new", f"{path.name}.", path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        yield name
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def _write(path: Path, content: bytes, publish: Callable[[str, Path], Any]) -> None:
    with _written(path, content) as name:
        publish(name, path)


def _link(name: str, path: Path) -> None:
    """Link the file C{name} to C{path} as well, unless another process was faster: then the file of that one stays."""
    with contextlib.suppress(FileExistsError):
        os.link(name, path)
