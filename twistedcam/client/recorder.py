"""Recording as an output of the viewer."""

from __future__ import annotations

import os
from collections.abc import Callable

from twistedcam.frame import Frame
from twistedcam.recording import Recording, RecordingError


class Recorder:
    """Starts and ends recordings, one at a time; what goes wrong is told to C{on_problem} and ends the recording."""

    def __init__(self, on_problem: Callable[[str], None]) -> None:
        self._on_problem = on_problem
        self._recording: Recording | None = None

    @property
    def status(self) -> str:
        """What to show while it records, or an empty string."""
        if self._recording is None:
            return ""
        minutes, seconds = divmod(int(self._recording.seconds), 60)
        return f"REC {minutes}:{seconds:02} {os.path.basename(self._recording.path)}"

    @property
    def is_recording(self) -> bool:
        """Whether frames are kept."""
        return self._recording is not None

    def start(self, path: str) -> None:
        """Record into a new file from now on."""
        try:
            self._recording = Recording(path)
        except RecordingError as problem:
            self._on_problem(f"not recorded: {problem}")

    def add(self, frame: Frame) -> None:
        """Record C{frame}, if anything is recorded."""
        if self._recording is None:
            return
        try:
            self._recording.add(frame)
        except RecordingError as problem:
            self._recording = None
            self._on_problem(f"the recording has ended: {problem}")

    def stop(self) -> str:
        """End the recording; what to say of it, or an empty string if there was none."""
        recording, self._recording = self._recording, None
        if recording is None:
            return ""
        try:
            recording.close()
        except RecordingError as problem:
            self._on_problem(f"the recording has ended: {problem}")
        return f"recorded: {recording.path}, {recording.frames} frames, {recording.seconds:.1f} s"
