"""One frame into a file: whole, or not at all."""

from __future__ import annotations

import os
import tempfile
import time

from twistedcam import codec
from twistedcam.frame import Frame

SUFFIXES = (".jpg", ".jpeg")


class SnapshotError(Exception):
    """A picture could not be written; the text says why."""


def check_path(path: str) -> None:
    """Raise L{SnapshotError} if C{path} can be no snapshot: found out before there is a frame to lose."""
    folder = os.path.dirname(path) or "."
    if not path.lower().endswith(SUFFIXES):
        raise SnapshotError(f"{path}: snapshots are JPEG files, let the name end with .jpg")
    if os.path.isdir(path):
        raise SnapshotError(f"{path}: that is a folder, name a file in it")
    if not os.path.isdir(folder):
        raise SnapshotError(f"{path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise SnapshotError(f"{path}: the folder {folder} may not be written to")


def write(frame: Frame, path: str) -> None:
    """Write C{frame} as a JPEG file, its metadata in it, in place of any old one. Raises L{SnapshotError}."""
    # Written beside its place and moved there when complete, so that no half file is ever seen.
    try:
        handle, partial = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".snapshot-")
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from None
    try:
        with open(handle, "wb") as file:
            file.write(codec.as_jpeg(frame))
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, path)
    except OSError as error:
        os.unlink(partial)
        raise SnapshotError(f"{path}: {error.strerror}") from None


def name_for(frame: Frame, folder: str = ".", suffix: str = ".jpg") -> str:
    """A path in C{folder} for C{frame}, from its camera and the present time, that no file has yet."""
    camera = "".join(c if c.isalnum() or c in "-_." else "-" for c in frame.camera).lstrip(".") or "snapshot"
    start = os.path.join(folder, f"{camera}-{time.strftime('%Y%m%d-%H%M%S')}")
    path, count = f"{start}{suffix}", 1
    while os.path.exists(path):
        count += 1
        path = f"{start}-{count}{suffix}"
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
