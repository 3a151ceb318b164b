"""Standard output and standard error of a command: written in a thread, so that a slow reader does not block us."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

FINISH_SECONDS = 1.0
MAX_WAITING_BYTES = 256 * 1024

_installed: list[QueuedStream] = []


class QueuedStream(io.TextIOBase):
    """
    Writes to C{stream}, a text stream of the process, in a daemon thread.

    L{write} does not block. At most L{MAX_WAITING_BYTES} and one line wait. Beyond that, lines are left out until all
    that wait are written, and one line in their place says how many. Lines that cannot be written, as to a closed pipe,
    are lost.
    """

    encoding: str = "utf-8"
    errors: str | None = "backslashreplace"  # whatever LANG says, no line is lost

    def __init__(self, stream: Any, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.encoding = stream.encoding
        self._stream = stream
        # Not the stream itself: its lock is taken by the interpreter when it ends, and our thread may be in a write.
        self._raw = getattr(stream.buffer, "raw", stream.buffer)
        self._monotonic = monotonic
        self._partial = ""  # of a line
        self._deadline: float | None = None
        self._reset()
        if hasattr(os, "register_at_fork"):  # twistd forks to go to the background, and threads stay behind
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()  # the first is being written
        self._waiting_bytes = self._left_out = 0
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Queue the lines that C{text} completes."""
        with self._changed:
            lines, newline, self._partial = (self._partial + text).rpartition("\n")
            if newline:
                self._put(lines + newline)
        return len(text)

    def flush(self) -> None:
        """Queue the incomplete line, if there is one."""
        with self._changed:
            partial, self._partial = self._partial, ""
            if partial:
                self._put(partial)

    def finish(self, deadline: float) -> None:
        """Wait until all lines are written, and do so after each later write; never beyond the first C{deadline}."""
        self.flush()
        with self._changed:
            if self._deadline is None:
                self._deadline = deadline
            self._drain()

    def writable(self) -> bool:
        """True."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        """The file descriptor."""
        return int(self._stream.fileno())

    def _put(self, text: str) -> None:
        if self._waiting_bytes >= MAX_WAITING_BYTES or (self._left_out and self._waiting):
            self._left_out += text.count("\n")
            return
        if self._left_out:
            text = f"{self._left_out} lines were left out here: nobody read them in time\n{text}"
            self._left_out = 0
        line = text.replace("\n", os.linesep).encode(self.encoding, "backslashreplace")
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_lines, name=self._stream.name, daemon=True)
            self._thread.start()
        self._drain()

    def _drain(self) -> None:
        if self._deadline is not None:
            seconds = max(0.0, self._deadline - self._monotonic())
            self._changed.wait_for(lambda: not self._waiting, seconds)

    def _write_lines(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                line = self._waiting[0]
            with contextlib.suppress(OSError):
                self._write_all(memoryview(line))
            with self._changed:
                self._waiting.popleft()
                self._waiting_bytes -= len(line)
                self._changed.notify_all()

    def _write_all(self, line: memoryview) -> None:
        while line:
            written = self._raw.write(line)
            if written is None:  # another process that shares the pipe has made it non-blocking
                select.select([], [self.fileno()], [])
            else:
                line = line[written:]


def install(reactor: Any) -> None:
    """
    Let the standard streams of this process queue what is written to them, and finish them when C{reactor} has stopped.

    A standard stream that is closed or was replaced, as by a test, stays as it is.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream is getattr(sys, f"__{name}__") and hasattr(stream, "buffer"):
            queued = QueuedStream(stream)
            _installed.append(queued)
            setattr(sys, name, queued)
            if name == "stdout":
                # When twistd logs, sys.stdout is its log, and what is no log goes to sys.__stdout__. sys.__stderr__
                # stays: where twistd goes to the background, the process that waits writes to it and ends at once.
                sys.__stdout__ = queued  # type: ignore[assignment, misc]
    # After a signal, twistd logs its last line when the reactor has stopped, and the signal then ends the process.
    reactor.addSystemEventTrigger("after", "shutdown", finish)
    atexit.register(finish)


def finish(monotonic: Callable[[], float] = time.monotonic) -> None:
    """Give the standard streams up to L{FINISH_SECONDS} from the first call, all together, to be written."""
    deadline = monotonic() + FINISH_SECONDS
    for stream in _installed:
        stream.finish(deadline)
