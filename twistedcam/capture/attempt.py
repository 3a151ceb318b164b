"""One attempt at a camera, polled in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from twistedcam.capture.reasons import as_camera_error, shown
from twistedcam.capture.sampler import Sample, seconds_or_nan
from twistedcam.capture.stall import StallLimit
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera

log = Logger()

OPEN_SECONDS = 15.0  # some webcams take 10 s to open on Windows
_MAX_INTERVAL_SECONDS = 1e6  # timers end


class Attempt:
    """
    Opens a camera, polls it until it is lost or no longer wanted, and closes it.

    C{sample} is called in the thread with the camera and the number of pictures to grab; its result is passed to
    C{deliver} in the reactor's thread, unless the attempt has ended by then. A camera that gives no picture for the
    seconds of C{stall_limit} is lost. An attempt is over when L{run} is; C{has_ended} becomes True later, when the
    thread has closed the camera. C{is_stored} says whether the camera, once it is open, plays stored pictures.
    """

    def __init__(
        self,
        reactor: Any,
        thread: Any,
        open_camera: Callable[[], ICamera],
        sample: Callable[[ICamera, int], Sample],
        deliver: Callable[[Sample], None],
        stall_limit: StallLimit,
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        self._reactor = reactor
        self._thread = thread
        self._open_camera = open_camera
        self._sample = sample
        self._deliver = deliver
        self._stall_limit = stall_limit
        self._open_seconds = open_seconds
        self._camera: ICamera | None = None
        self._loop: LoopingCall | None = None
        self._lost: Deferred[None] = Deferred()
        self._stall: IDelayedCall | None = None
        self._over = False
        self._problem = ""  # with the last picture
        self.is_stored = self.has_ended = False

    async def run(self) -> None:
        """Poll until the camera is lost. Raises a L{CameraError} that says why, and CancelledError if cancelled."""
        too_late = CameraError(f"it has not opened within {self._open_seconds:g} s")
        self._stall = self._reactor.callLater(self._open_seconds, self._fail, too_late)
        try:
            self._in_thread(self._open).addCallback(self._start_polling).addErrback(self._fail)
            await self._lost
        finally:
            self._end()

    def _end(self) -> None:
        self._over = True
        if self._stall is not None and self._stall.active():
            self._stall.cancel()
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        self._in_thread(self._close).addErrback(self._not_closed)
        self._thread.stop()

    def _in_thread(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._thread, self._call, function, *args)

    def _call(self, function: Callable[..., Any], *args: object) -> Any:
        try:
            return function(*args)
        except BaseException as error:  # SystemExit too: from a plugin it would only end this thread's work
            # Returned, not raised: a traceback of this frame would refer to the error, and the error to it.
            return Failure(as_camera_error(error))

    def _open(self) -> tuple[float, bool]:
        self._camera = self._open_camera()
        given = self._camera.interval
        interval = seconds_or_nan(given)
        if not 0 <= interval <= _MAX_INTERVAL_SECONDS:
            raise CameraError(f"its interval, {shown(given)}, is not a number of seconds >= 0")
        return interval, _is_stored(self._camera)

    def _close(self) -> None:
        camera, self._camera = self._camera, None
        try:
            if camera is not None:
                camera.close()
        finally:
            self.has_ended = True

    def _not_closed(self, failure: Failure) -> None:
        log.warn("a camera could not be closed: {reason}", reason=failure.getErrorMessage())

    def _start_polling(self, opened: tuple[float, bool]) -> None:
        if self._over:
            return
        interval, self.is_stored = opened
        self._stall_limit.begin(interval)
        self._restart_stall_timer()
        # With an interval of 0 the camera sets the pace: each poll begins when the last
        # one ended. A fixed interval around a blocking read would lose pictures.
        self._loop = LoopingCall.withCount(self._poll)
        self._loop.clock = self._reactor
        self._loop.start(interval).addErrback(self._fail)

    def _poll(self, count: int) -> Deferred[None]:
        return self._in_thread(self._sample_once, count).addCallback(self._sampled)

    def _sample_once(self, count: int) -> Sample:
        assert self._camera is not None
        return self._sample(self._camera, count)

    def _sampled(self, sample: Sample) -> None:
        if self._over:
            return
        # A camera may give a broken picture now and then; one that gives only such pictures stalls.
        if sample.problem is None or sample.picture is not None:
            self._stall_limit.picture()
            self._restart_stall_timer()
        self._problem = "" if sample.problem is None else f": {sample.problem}"
        self._deliver(sample)

    def _restart_stall_timer(self) -> None:
        if self._stall is not None and self._stall.active():
            self._stall.cancel()
        self._stall = self._reactor.callLater(self._stall_limit.seconds, self._stalled)

    def _stalled(self) -> None:
        seconds = self._stall_limit.seconds
        self._stall_limit.stalled()
        self._fail(CameraError(f"it has given no picture for {seconds:.3g} s{self._problem}"))

    def _fail(self, reason: Failure | Exception) -> None:
        if not self._over and not self._lost.called:
            self._lost.errback(reason)


def _is_stored(camera: ICamera) -> bool:
    try:
        return bool(getattr(camera, "is_stored", False))
    except Exception:  # few cameras have it, and one whose __getattr__ fails can be watched without
        return False
