"""Recording as an output of the viewer."""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from twistedcam.client import overlay
from twistedcam.filenames import unused
from twistedcam.frame import Frame
from twistedcam.interfaces import IOutput
from twistedcam.recording import Recording, RecordingError, check_path, load
from twistedcam.serial_recording import SerialRecording

log = Logger()


@implementer(IOutput)
class Recorder:
    """
    Starts and ends recordings, one at a time; with C{path} the first one begins with the first frame.

    C{on_end} is called with one line about each file that is complete, C{on_problem} with the reason why a recording
    cannot begin or go on. When the camera or the size of its pictures changes, it goes on in a file beside the first.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        on_end: Callable[[str], None],
        on_problem: Callable[[str], None],
        path: str = "",
    ) -> None:
        self._monotonic = monotonic
        self._on_end = on_end
        self._on_problem = on_problem
        self._next_path = path
        if path:
            load()  # now, and not when the first frame has come
        self._path = ""
        self._recording: SerialRecording | None = None

    @property
    def status(self) -> str:
        """The line to show while it records, or an empty string."""
        if self._recording is None:
            return ""
        current = self._recording.current
        return overlay.recording_line(current.path if current else self._path, current.seconds if current else 0.0)

    @property
    def is_recording(self) -> bool:
        """Whether frames are recorded."""
        return self._recording is not None

    def start(self, path: str) -> None:
        """Record into a new file from now on."""
        try:
            check_path(path)
        except RecordingError as problem:
            self._on_problem(f"not recorded: {problem}")
            return
        self._path = path
        self._recording = SerialRecording(self._new_path, self._monotonic, self._complete, self._goes_on)

    def frame(self, frame: Frame) -> None:
        """Record C{frame}, if there is a recording."""
        path, self._next_path = self._next_path, ""
        if path:
            self.start(path)
        if self._recording is None:
            return
        try:
            self._recording.add(frame)
        except RecordingError as problem:
            self._recording = None
            self._on_problem(f"the recording has ended: {problem}")

    def stop(self) -> None:
        """End the recording, if there is one."""
        recording, self._recording = self._recording, None
        if recording is None:
            return
        try:
            recording.close()
        except RecordingError as problem:
            self._on_problem(f"the recording has ended: {problem}")

    def _new_path(self, frame: Frame) -> str:
        """The path that was given or, once there is a file at it, the next one with a number."""
        return unused(*os.path.splitext(self._path))

    def _complete(self, recording: Recording) -> None:
        said = f"recorded: {recording.path}, {recording.frames} frames, {recording.seconds:.1f} s"
        log.info("{said}", said=said)
        self._on_end(said)

    def _goes_on(self, path: str, reason: str) -> None:
        said = f"recording goes on in {path}: {reason}"
        log.info("{said}", said=said)
        self._on_end(said)
