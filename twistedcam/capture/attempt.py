"""One attempt at a camera, polled in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from twistedcam.interfaces import BrokenPictureError, CameraError, ICamera

OPEN_SECONDS = 15.0  # some webcams take 10 s to open on Windows
STALL_SECONDS = 5.0

Seen = TypeVar("Seen")


class CameraThread(ThreadPool):
    """
    One daemon thread for one attempt at a camera.

    A read that never returns holds up neither the reactor's own threads nor the end of the process.
    """

    threadFactory = partial(threading.Thread, daemon=True)  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__(minthreads=0, maxthreads=1, name="camera")
        self.start()

    def stop(self) -> None:
        """End the thread when it has done what it was given, without waiting for that."""
        threading.Thread(target=super().stop, daemon=True).start()


class Polling(Generic[Seen]):
    """
    Opens a camera, polls it until it is lost or no longer wanted, and closes it.

    C{look} is called in the thread with the camera and the number of pictures
    to grab; what it returns is handed to C{deliver} in the reactor's, and
    what was wrong with a broken picture to C{pass_over}.
    """

    def __init__(
        self,
        reactor: Any,
        thread: Any,
        open_camera: Callable[[], ICamera],
        look: Callable[[ICamera, int], Seen],
        deliver: Callable[[Seen], None],
        pass_over: Callable[[str], None] = lambda problem: None,
    ) -> None:
        self._reactor = reactor
        self._thread = thread
        self._open_camera = open_camera
        self._look = look
        self._deliver = deliver
        self._pass_over = pass_over
        self._camera: ICamera | None = None
        self._loop: LoopingCall | None = None
        self._lost: Deferred[None] = Deferred()
        self._stall: IDelayedCall | None = None
        self._over = False
        self._broken = ""  # what was wrong with the last picture
        self.has_ended = False

    async def run(self) -> None:
        """Poll until the camera is lost. Raises what it failed with, a L{CameraError} as a rule."""
        too_late = CameraError(f"it has not opened for {OPEN_SECONDS:.0f} s")
        self._stall = self._reactor.callLater(OPEN_SECONDS, self._fail, too_late)
        try:
            self._in_thread(self._open).addCallbacks(self._poll_at, self._fail)
            await self._lost
        finally:
            self._end()

    def _end(self) -> None:
        self._over = True
        if self._stall is not None and self._stall.active():
            self._stall.cancel()
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        self._thread.callInThread(self._close)
        self._thread.stop()

    def _in_thread(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._thread, function, *args)

    def _open(self) -> float:
        self._camera = self._open_camera()
        return float(self._camera.interval)

    def _close(self) -> None:
        camera, self._camera = self._camera, None
        try:
            if camera is not None:
                camera.close()
        finally:
            self.has_ended = True

    def _poll_at(self, interval: float) -> None:
        if self._over:
            return
        self._await_picture()
        # With an interval of 0 the camera paces us: each poll begins when the last
        # one ended. A fixed interval around a blocking read would lose pictures.
        self._loop = LoopingCall.withCount(self._poll)
        self._loop.clock = self._reactor
        self._loop.start(interval).addErrback(self._fail)

    def _poll(self, count: int) -> Deferred[None]:
        return self._in_thread(self._look_once, count).addCallbacks(self._looked, self._passed_over)

    def _look_once(self, count: int) -> Seen:
        assert self._camera is not None
        try:
            return self._look(self._camera, count)
        except CameraError as error:
            # Its frames would keep the camera, and its pictures, for as long as the
            # garbage collector does not come round to the thread's own.
            raise error.with_traceback(None) from None

    def _looked(self, seen: Seen) -> None:
        if not self._over:
            self._broken = ""
            self._await_picture()
            self._deliver(seen)

    def _passed_over(self, failure: Failure) -> None:
        # A camera may give a broken picture now and then; one that gives no other stalls.
        failure.trap(BrokenPictureError)
        if not self._over:
            problem = failure.getErrorMessage()
            self._broken = f": {problem}"
            self._pass_over(problem)

    def _await_picture(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
        self._stall = self._reactor.callLater(STALL_SECONDS, self._stalled)

    def _stalled(self) -> None:
        self._fail(CameraError(f"it has given no picture for {STALL_SECONDS:.0f} s{self._broken}"))

    def _fail(self, reason: Failure | Exception) -> None:
        if not self._over and not self._lost.called:
            self._lost.errback(reason)
