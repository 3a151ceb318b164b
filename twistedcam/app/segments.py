"""The recorded files of one camera in a folder, within a bound on space."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import IO

from twistedcam.app.camera_config import RecordingConfig
from twistedcam.filenames import FileNames, unique_stem
from twistedcam.frame import Frame
from twistedcam.recording import SUFFIX, Recording, RecordingError
from twistedcam.serial_recording import SerialRecording

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be deleted
    fcntl = None  # type: ignore[assignment]


class Segments:
    """
    Records a camera in segments; the oldest are deleted, so that all take at most C{keep_bytes}.

    Used in one thread. Only files whose names are those of this camera's recordings are counted and deleted, and only
    while no other process records the same camera into this folder. C{on_next} is called with the path of a file that
    goes on with a recording, and with the reason. Raises L{RecordingError}.
    """

    def __init__(
        self,
        config: RecordingConfig,
        camera: str,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        on_next: Callable[[str, str], None] = lambda path, reason: None,
    ) -> None:
        self._folder = config.folder
        self._keep_bytes = config.keep_bytes
        self._stem = unique_stem(camera)
        self._names = FileNames(config.folder, now)
        self._lock = Lock(os.path.join(config.folder, f".{self._stem}.lock"))
        self._others: dict[str, int] = {}  # the sizes of the complete files by their paths, the oldest first
        # Two files always fit: the oldest can go while the next one is written.
        self._files = SerialRecording(
            self._new_path, monotonic, on_next=on_next, seconds=config.segment_seconds, size=config.keep_bytes // 2
        )

    @property
    def current(self) -> Recording | None:
        """The file that is being written."""
        return self._files.current

    def add(self, frame: Frame) -> None:
        """Write C{frame}, and delete what is too much."""
        if 2 * len(frame.payload) > self._keep_bytes:
            raise RecordingError("one picture takes more than half of the space: raise --record-keep")
        self._files.add(frame)
        self._make_room(2 * len(frame.payload))  # for the next one

    def close(self) -> None:
        """Finish the last file."""
        try:
            self._files.close()
        finally:
            self._lock.release()

    def _new_path(self, frame: Frame) -> str:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._folder)  # not its parents: they may be where a disk was mounted
            self._lock.acquire()
            self._find_others()
        except OSError as error:
            raise RecordingError(f"the folder cannot be used: {error.strerror}", self._folder) from None
        return self._names.numbered(self._stem, SUFFIX)

    def _find_others(self) -> None:
        found = []
        is_ours = FileNames.pattern(self._stem, SUFFIX)
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    if is_ours(entry.name) and entry.is_file(follow_symlinks=False):
                        status = entry.stat()
                        # Not by name: that has the local time, which is set back once a year.
                        found.append((status.st_mtime, entry.path, status.st_size))
        self._others = {path: size for _, path, size in sorted(found)}

    def _make_room(self, wanted: int) -> None:
        taken = wanted + (self.current.bytes if self.current is not None else 0) + sum(self._others.values())
        for oldest, size in list(self._others.items()):
            if taken <= self._keep_bytes:
                return
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(oldest)
            except OSError as error:
                raise RecordingError(f"an old recording cannot be deleted: {error.strerror}", oldest) from None
            del self._others[oldest]
            taken -= size


class Lock:
    """A lock file, which one process at a time can hold; the system releases it when the process ends."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Take the lock, unless it is held. Raises L{RecordingError} if another process has it, and OSError."""
        if self._file is not None and os.path.exists(self._path):
            return
        self.release()
        file = open(self._path, "ab")  # noqa: SIM115
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                why = "another server records this camera into this folder: give each server a folder of its own"
                raise RecordingError(why, os.path.dirname(self._path)) from None
            except OSError:
                pass  # a file system without locks
        self._file = file

    def release(self) -> None:
        """Let others take the lock."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
