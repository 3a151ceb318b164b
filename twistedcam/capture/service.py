"""A camera as a service: open while it is watched, and opened again when it is lost."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from twistedcam.camera_status import CameraState, ICameraStatus
from twistedcam.capture.attempt import OPEN_SECONDS, Attempt
from twistedcam.capture.encoder import EncodedPicture, Settings
from twistedcam.capture.no_signal import Card, NoSignal
from twistedcam.capture.reasons import UnexpectedError, as_camera_error
from twistedcam.capture.sampler import Sample, Sampler
from twistedcam.capture.stall import StallLimit
from twistedcam.errors import CameraError
from twistedcam.frame import NO_SIGNAL
from twistedcam.hub import Hub
from twistedcam.interfaces import ICamera
from twistedcam.rates import Meter
from twistedcam.threads import DaemonThread

log = Logger()

LINGER_SECONDS = 5.0
MAX_HANGING = 3  # each holds a thread and the device
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.5, 10.0
LIVED_SECONDS = 5.0  # one that was live for so long is tried again at once when it is lost

_DEFAULT_WIDTH = 640


@implementer(ICameraStatus)
class Capture(Service):
    """
    Polls one camera while it is watched, and publishes each picture, encoded once, to its hubs.

    C{open_camera} is called in a thread, again after each loss; C{hubs} maps each encoding (see
    L{twistedcam.capture.encoder}) to the L{Hub} of its viewers. Pictures are numbered and counted when they are
    delivered, in the reactor's thread. C{on_encoded} is called with the seconds from the capture of each picture to its
    delivery. C{monotonic} is the clock of L{ICamera.grab}, and C{wall} gives the seconds since the epoch.
    """

    name: str

    def __init__(
        self,
        reactor: Any,
        name: str,
        open_camera: Callable[[], ICamera],
        hubs: Mapping[str, Hub],
        settings: Settings = Settings(),
        make_thread: Callable[[], Any] = DaemonThread,
        on_encoded: Callable[[float], None] = lambda seconds: None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.state = CameraState.CLOSED
        self.reason = self.problem = ""
        self.since: float | None = None
        self.is_stored = False
        self.grabbed = self.encoded = self.broken = self.losses = 0
        self.recording: Callable[[], dict[str, Any]] | None = None
        self.hubs = hubs
        self.meter = Meter()  # by the frames' times of capture
        self._reactor = reactor
        self._open_camera = open_camera
        self._settings = settings
        self._make_thread = make_thread
        self._on_encoded = on_encoded
        self._monotonic = monotonic
        self._wall = wall
        self._sequence = itertools.count()
        self._size = _expected_size(settings)  # of the last picture; of a card in its place
        self._trying: Deferred[None] | None = None
        self._ending: list[Attempt] = []  # those whose thread may still be in a read
        self._linger: IDelayedCall | None = None
        self._no_signal = NoSignal(reactor, settings, self._card, self._publish_card)
        self._stall_limit = StallLimit(reactor.seconds, settings.stall_seconds)
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._live_since = 0.0  # by the reactor's clock
        for hub in hubs.values():
            hub.on_demand = self._demand_changed

    def startService(self) -> None:
        """Open the camera as soon as it is watched."""
        super().startService()
        self._demand_changed()

    def stopService(self) -> None:
        """Release the camera, without waiting for a read in progress."""
        super().stopService()
        self._stop_linger()
        self._close()

    @property
    def width(self) -> int:
        """Width of the full picture, in pixels."""
        return self._size[0]

    def _wanted(self) -> tuple[str, ...]:
        return tuple(encoding for encoding, hub in self.hubs.items() if hub.is_watched)

    def _deliver(self, sample: Sample) -> None:
        self.is_stored = self._ending[-1].is_stored
        self.grabbed += sample.grabbed
        if sample.problem is not None:
            self._count_broken(sample.problem)
        if sample.picture is None:
            return
        if self.state != CameraState.LIVE:
            self._go_live()
        self._size = (sample.picture.width, sample.picture.height)
        self._on_encoded(self._wall() - sample.captured)
        self.meter.add(sample.captured)
        if self._reactor.seconds() - self._live_since >= LIVED_SECONDS:
            self._retry_seconds = FIRST_RETRY_SECONDS
        self._publish(sample.picture, sample.captured)

    def _count_broken(self, problem: str) -> None:
        self.broken += 1
        if problem != self.problem:
            log.warn("{camera}: skipping a broken picture: {problem}", camera=self.name, problem=problem)
        self.problem = problem

    def _publish(self, picture: EncodedPicture, captured: float, *state: Any) -> None:
        frames = picture.frames(self.name, next(self._sequence), captured, *state)
        self.encoded += len(frames)
        for encoding, frame in frames.items():
            self.hubs[encoding].publish(frame)

    def _demand_changed(self) -> None:
        if not self.running:
            return
        if self._wanted():
            self._stop_linger()
            if self._trying is None:
                self._trying = Deferred.fromCoroutine(self._keep_trying())
        elif self._linger is None and self._trying is not None:
            self._linger = self._reactor.callLater(LINGER_SECONDS, self._release)

    def _stop_linger(self) -> None:
        linger, self._linger = self._linger, None
        if linger is not None and linger.active():
            linger.cancel()

    def _release(self) -> None:
        self._linger = None
        log.info("{camera}: nobody watches, the camera is released", camera=self.name)
        self._close()

    def _close(self) -> None:
        trying, self._trying = self._trying, None
        if trying is not None:
            trying.addErrback(lambda failure: failure.trap(CancelledError))
            trying.cancel()
        self._no_signal.stop()
        self.state, self.reason, self.since = CameraState.CLOSED, "", None
        self._retry_seconds = FIRST_RETRY_SECONDS

    async def _keep_trying(self) -> None:
        """Make one attempt after another, until cancelled."""
        while True:
            if self.state == CameraState.CLOSED:
                self.state = CameraState.OPENING
            try:
                await self._attempt()
            except CancelledError:
                raise
            except Exception as error:
                self._failed(error if isinstance(error, CameraError) else as_camera_error(error))
            await deferLater(self._reactor, self._next_retry())

    def _failed(self, error: CameraError) -> None:
        if isinstance(error, UnexpectedError) and str(error) != self.reason:  # once, not at each attempt
            log.failure("{camera}: the camera failed unexpectedly", error.failure, camera=self.name)
        self._go_lost(str(error))

    async def _attempt(self) -> None:
        """Make one attempt, unless too many earlier ones still hang in a read."""
        self._ending = [attempt for attempt in self._ending if not attempt.has_ended]
        if len(self._ending) >= MAX_HANGING:
            raise CameraError("it hangs, and has to be unplugged and plugged in again")
        sampler = Sampler(self._wanted, self._settings, self._monotonic, self._wall, self.name)
        attempt = Attempt(
            self._reactor,
            self._make_thread(),
            self._open_camera,
            sampler.sample,
            self._deliver,
            self._stall_limit,
            max(OPEN_SECONDS, self._settings.stall_seconds),
        )
        self._ending.append(attempt)
        await attempt.run()

    def _next_retry(self) -> float:
        seconds = self._retry_seconds
        self._retry_seconds = min(seconds * 2, MAX_RETRY_SECONDS)
        return seconds

    def _go_live(self) -> None:
        self._no_signal.stop()
        self.state, self.reason, self.since = CameraState.LIVE, "", None
        self._live_since = self._reactor.seconds()
        log.info("{camera}: live", camera=self.name)

    def _go_lost(self, reason: str) -> None:
        if self.state != CameraState.LOST:
            self.since = self._wall()
            self.losses += 1
        if reason != self.reason:
            log.warn("{camera}: no signal: {reason}; trying again", camera=self.name, reason=reason)
        self.state, self.reason = CameraState.LOST, reason
        self._no_signal.start()

    def _card(self) -> Card:
        assert self.since is not None
        return Card(self.name, self.reason, self.since, *self._size, self._wanted())

    def _publish_card(self, card: Card, picture: EncodedPicture) -> None:
        self._publish(picture, self._wall(), NO_SIGNAL, card.reason, card.since)


def _expected_size(settings: Settings) -> tuple[int, int]:
    """The width and height of a full picture, in pixels, as long as none is known."""
    is_upright = settings.rotate in (90, 270)
    width = settings.width or (_DEFAULT_WIDTH * 3 // 4 if is_upright else _DEFAULT_WIDTH)
    return (width, width * 4 // 3) if is_upright else (width, width * 3 // 4)
