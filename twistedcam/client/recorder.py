"""Recording as an output of the viewer."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from twistedcam.client import overlay
from twistedcam.frame import Frame
from twistedcam.interfaces import IOutput
from twistedcam.recording import Recording, RecordingError

log = Logger()


@implementer(IOutput)
class Recorder:
    """
    Starts and ends recordings, one at a time; with C{path} the first one begins with the first frame.

    C{on_end} is called with one line about each recording that has ended, C{on_problem} with the reason why one cannot
    begin or go on.
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
        self._recording: Recording | None = None

    @property
    def status(self) -> str:
        """The line to show while it records, or an empty string."""
        return "" if self._recording is None else overlay.recording_line(self._recording.path, self._recording.seconds)

    @property
    def is_recording(self) -> bool:
        """Whether frames are recorded."""
        return self._recording is not None

    def start(self, path: str) -> None:
        """Record into a new file from now on."""
        try:
            self._recording = Recording(path, self._monotonic)
        except RecordingError as problem:
            self._on_problem(f"not recorded: {problem}")

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
            return
        said = f"recorded: {recording.path}, {recording.frames} frames, {recording.seconds:.1f} s"
        log.info("{said}", said=said)
        self._on_end(said)
