"""The server's recordings of a camera: in segments, within a bound on space, also while nobody watches."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twistedcam.app.camera_config import RecordingConfig
from twistedcam.app.segments import Segments
from twistedcam.frame import LIVE, Frame
from twistedcam.hub import Hub, Outlet
from twistedcam.interfaces import ISink
from twistedcam.recording import RecordingError
from twistedcam.serial_recording import FULL
from twistedcam.text import printable
from twistedcam.threads import DaemonThread

log = Logger()

RETRY_SECONDS = 30.0
STALL_SECONDS = 10.0
_FINISH_SECONDS = 3.0
VIEWER = "recording"  # its name among the viewers


@implementer(ISink)
class CameraRecorder(Service):
    """
    Records the live pictures of a hub, which keeps its camera on.

    Files are written in a thread; while one frame is written at most one waits. After a problem it tries again every 30
    seconds. C{monotonic} and C{now} are the clocks of the recordings, in seconds.
    """

    def __init__(
        self,
        reactor: Any,
        camera: str,
        hub: Hub,
        config: RecordingConfig,
        make_thread: Callable[[], Any] = DaemonThread,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._camera = camera
        self._hub = hub
        self._config = config
        self._make_thread = make_thread
        self._clocks = (now, monotonic)
        self._thread: Any = None
        self._outlet: Outlet | None = None
        self._segments: Segments | None = None
        self._is_busy = False
        self._retry: IDelayedCall | None = None
        self._stall: IDelayedCall | None = None  # while a frame is being written
        self.problem = ""

    def startService(self) -> None:
        """Record from now on."""
        super().startService()
        self._thread = self._make_thread()
        self._segments = Segments(self._config, self._camera, *self._clocks, self._goes_on)
        self._outlet = self._hub.attach(self, VIEWER)

    def stopService(self) -> Deferred[Any]:
        """Finish the last file, for at most three seconds."""
        super().stopService()
        if self._outlet is not None:
            self._hub.detach(self._outlet)
        for call in (self._retry, self._stall):
            if call is not None and call.active():
                call.cancel()
        segments, thread = self._segments, self._thread
        self._outlet = self._segments = None
        if segments is None:
            return succeed(None)
        finished = self._in_thread(segments.close)
        finished.addTimeout(_FINISH_SECONDS, self._reactor)
        return finished.addErrback(self._not_finished).addBoth(lambda _: thread.stop())

    def status(self) -> dict[str, Any]:
        """The name and bytes of the file that is written, and the present problem, for reports."""
        current = self._segments.current if self._segments is not None else None
        return {
            "file": os.path.basename(current.path) if current is not None else None,
            "bytes": current.bytes if current is not None else 0,
            "problem": self.problem,
        }

    def may_begin(self) -> bool:
        """Whether no frame is being written, and there was no problem just now."""
        return not self._is_busy and self._retry is None

    def begin(self, frame: Frame) -> None:
        """Write C{frame}, unless it is a NO SIGNAL card."""
        if frame.state != LIVE or self._segments is None:
            return
        self._is_busy = True
        self._stall = self._reactor.callLater(STALL_SECONDS, self._stalled)
        self._in_thread(self._segments.add, frame).addBoth(self._done).addCallbacks(self._written, self._failed)

    def _in_thread(self, function: Callable[..., None], *args: Any) -> Deferred[None]:
        return deferToThreadPool(self._reactor, self._thread, function, *args)

    def _done(self, result: Any) -> Any:
        self._is_busy = False
        if self._stall is not None and self._stall.active():
            self._stall.cancel()
        return result

    def _stalled(self) -> None:
        self.problem = f"the disk has not answered for {STALL_SECONDS:.0f} s"
        log.warn("{camera}: not recorded: {problem}", camera=self._camera, problem=self.problem)

    def _written(self, _: None) -> None:
        if self.problem:
            log.info("{camera}: recording again", camera=self._camera)
            self.problem = ""
        self._resume()

    def _goes_on(self, path: str, reason: str) -> None:
        if reason != FULL:
            self._reactor.callFromThread(self._log_next, path, reason)

    def _log_next(self, path: str, reason: str) -> None:
        line = "{camera}: recording goes on in {path}: {reason}"
        log.info(line, camera=self._camera, path=printable(path), reason=reason)

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        # Without the path: each attempt has another one, and reports are not to show it.
        problem = error.reason if isinstance(error, RecordingError) else f"unexpected error: {type(error).__name__}"
        if problem != self.problem:
            self.problem = problem
            self._log_problem(failure)
        if self.running:
            self._retry = self._reactor.callLater(RETRY_SECONDS, self._try_again)

    def _log_problem(self, failure: Failure) -> None:
        if failure.check(RecordingError):
            line = "{camera}: not recorded: {problem}; trying again every {seconds:.0f} s"
            log.warn(line, camera=self._camera, problem=failure.getErrorMessage(), seconds=RETRY_SECONDS)
        else:
            log.failure("{camera}: the recording failed unexpectedly", failure, camera=self._camera)

    def _try_again(self) -> None:
        self._retry = None
        self._resume()

    def _resume(self) -> None:
        if self._outlet is not None:
            self._outlet.resume()

    def _not_finished(self, failure: Failure) -> None:
        late = f"the disk has not answered for {_FINISH_SECONDS:.0f} s"
        problem = late if failure.check(defer.TimeoutError) else failure.getErrorMessage()
        log.warn("{camera}: the last recording is not finished: {problem}", camera=self._camera, problem=problem)
