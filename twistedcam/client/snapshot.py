"""One frame in a file: written whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from twistedcam import codec
from twistedcam.codec import CodecError
from twistedcam.errors import TwistedcamError
from twistedcam.frame import LIVE, Frame
from twistedcam.interfaces import IOutput

log = Logger()

SUFFIX = ".jpg"
_SUFFIXES = (SUFFIX, ".jpeg")


class SnapshotError(TwistedcamError):
    """A picture cannot be written; the text says why."""


def check_path(path: str) -> None:
    """Raise L{SnapshotError} if C{path} cannot be a snapshot, before there is a frame to lose."""
    folder = os.path.dirname(path) or "."
    if not path.lower().endswith(_SUFFIXES):
        raise SnapshotError(f"{path}: snapshots are JPEG files, let the name end with {SUFFIX}")
    if os.path.isdir(path):
        raise SnapshotError(f"{path}: this is a folder, name a file in it")
    if not os.path.isdir(folder):
        raise SnapshotError(f"{path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise SnapshotError(f"{path}: the folder {folder} is not writable")


def write(frame: Frame, path: str) -> None:
    """Write C{frame} as a JPEG file with its metadata, replacing any old file. Raises L{SnapshotError}."""
    # Written beside its place and moved there when complete, so that half a file is never seen.
    try:
        jpeg = codec.as_jpeg(frame)
        handle, partial = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".snapshot-")
    except CodecError as error:
        raise SnapshotError(f"{path}: {error}") from None
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from None
    try:
        with open(handle, "wb") as file:
            file.write(jpeg)
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, path)
    except OSError as error:
        os.unlink(partial)
        raise SnapshotError(f"{path}: {error.strerror}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@implementer(IOutput)
class Snapshot:
    """Writes the first frame to C{path}, and then calls C{on_written}, or C{on_failure} with the reason in one line."""

    def __init__(self, path: str, on_written: Callable[[], None], on_failure: Callable[[str], None]) -> None:
        self._path = path
        self._on_written = on_written
        self._on_failure = on_failure
        self._is_over = False

    def frame(self, frame: Frame) -> None:
        """Write C{frame} if it is the first one."""
        if self._is_over:
            return
        self._is_over = True
        try:
            write(frame, self._path)
        except SnapshotError as problem:
            self._on_failure(f"no snapshot: {problem}")
            return
        state = "" if frame.state == LIVE else f" (it shows no live picture: {frame.reason})"
        log.info("snapshot written: {path}{state}", path=self._path, state=state)
        self._on_written()

    def stop(self) -> None:
        """Write nothing more."""
        self._is_over = True
