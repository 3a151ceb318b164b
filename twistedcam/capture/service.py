"""Polls a camera through a thread of its own and publishes what it sees; a lost camera is an ordinary state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from twistedcam import codec
from twistedcam.capture.attempt import CameraThread, Polling
from twistedcam.capture.cards import no_signal_card
from twistedcam.capture.encoder import Encoder, Settings
from twistedcam.codec import CodecError, Image
from twistedcam.frame import LIVE, NO_SIGNAL, Frame, FrameError
from twistedcam.hub import Hub
from twistedcam.interfaces import BrokenPictureError, CameraError, ICamera
from twistedcam.rates import Meter, RateLimit

log = Logger()

CLOSED, OPENING, LOST = "closed", "opening", "lost"  # and frame.LIVE

LINGER_SECONDS = 5.0
CARD_SECONDS = 1.0
MOST_HANGING = 3  # each holds a thread and the device
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 10.0


class Capture(Service):
    """
    Polls one camera while anybody watches and publishes each picture, encoded once, to its hubs.

    C{open_camera} is called in a thread, anew after each loss; C{hubs} maps an encoding (see L{encoder}) to the L{Hub}
    of those who get it. C{state}, C{reason} and C{since} say how the camera is; C{grabbed}, C{encoded}, C{broken}
    and C{losses} count; C{problem} says what was wrong with the last broken picture, and C{on_encoded} is told how many
    seconds lay between a picture and its frames.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        open_camera: Callable[[], ICamera],
        hubs: Mapping[str, Hub],
        settings: Settings = Settings(),
        make_thread: Callable[[], Any] = CameraThread,
        on_encoded: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.state = CLOSED
        self.reason = self.problem = ""
        self.since: float | None = None
        self.grabbed = self.encoded = self.broken = self.losses = 0
        self.camera = name
        self.hubs = hubs
        self._reactor = reactor
        self._open_camera = open_camera
        self._encoder = Encoder(name, settings)
        self._limit = RateLimit(settings.fps)
        self._make_thread = make_thread
        self._on_encoded = on_encoded
        self.meter = Meter()  # by the frames' times of capture
        self._trying: Deferred[None] | None = None
        self._ending: list[Polling[dict[str, Frame]]] = []  # those whose thread may still be in a read
        self._linger: IDelayedCall | None = None
        self._cards = LoopingCall(self._publish_card)
        self._cards.clock = reactor
        self._retry_seconds = FIRST_RETRY_SECONDS
        for hub in hubs.values():
            hub.on_demand = self._demand_changed

    def startService(self) -> None:
        """From here on the camera may be opened: it is, as soon as somebody watches."""
        super().startService()
        self._demand_changed()

    def stopService(self) -> None:
        """Let go of the camera, without waiting for a read that is under way."""
        super().stopService()
        self._stop_linger()
        self._close()

    @property
    def width(self) -> int:
        """Of the full picture, in pixels."""
        return self._encoder.size[0]

    def _wanted(self) -> list[str]:
        return [encoding for encoding, hub in self.hubs.items() if hub.is_watched]

    def _look(self, camera: ICamera, count: int) -> dict[str, Frame]:
        """In the camera's thread: pass over what is late or not due, and encode the rest."""
        for _ in range(count):
            taken = camera.grab()
            self.grabbed += 1
        wanted = self._wanted()
        if not wanted or not self._limit.due(taken):
            return {}
        captured = time.time() - (time.monotonic() - taken)
        picture = camera.retrieve()
        try:
            whole = codec.complete(picture) if isinstance(picture, bytes) else codec.as_bgr(picture)
            return self._encode(wanted, whole, captured)
        except (CodecError, FrameError) as error:
            raise BrokenPictureError(str(error)) from None

    def _encode(self, encodings: list[str], picture: Image | bytes, captured: float, *state: Any) -> dict[str, Frame]:
        frames = self._encoder.encode(encodings, picture, captured, *state)
        self.encoded += len(frames)
        return frames

    def _deliver(self, frames: Mapping[str, Frame]) -> None:
        if frames and self.state != LIVE:
            self._go_live()
        for frame in frames.values():
            self._on_encoded(frame.age or 0.0)
            self.meter.add(frame.captured or 0.0)
            break  # all are of one picture
        self._publish(frames)

    def _pass_over(self, problem: str) -> None:
        self.broken += 1
        if problem != self.problem:
            log.warn("{camera}: a broken picture is passed over: {problem}", camera=self.camera, problem=problem)
        self.problem = problem

    def _publish(self, frames: Mapping[str, Frame]) -> None:
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
        log.info("{camera}: nobody watches, the camera is released", camera=self.camera)
        self._close()

    def _close(self) -> None:
        trying, self._trying = self._trying, None
        if trying is not None:
            trying.addErrback(lambda failure: failure.trap(CancelledError))
            trying.cancel()
        self._stop_cards()
        self.state, self.reason, self.since = CLOSED, "", None
        self._retry_seconds = FIRST_RETRY_SECONDS

    async def _keep_trying(self) -> None:
        """Attempt after attempt, until cancelled."""
        while True:
            if self.state == CLOSED:
                self.state = OPENING
            try:
                await self._poll()
            except CancelledError:
                raise
            except (CameraError, CodecError) as error:
                self._go_lost(str(error))
            except Exception as error:
                log.failure("{camera}: the camera failed in an unforeseen way", camera=self.camera)
                self._go_lost(f"{type(error).__name__}: {error}")
            await deferLater(self._reactor, self._next_retry())

    async def _poll(self) -> None:
        """One attempt, unless too many earlier ones still hang in a read."""
        self._ending = [polling for polling in self._ending if not polling.has_ended]
        if len(self._ending) >= MOST_HANGING:
            raise CameraError("it hangs, and has to be unplugged and plugged in again")
        polling = Polling(
            self._reactor, self._make_thread(), self._open_camera, self._look, self._deliver, self._pass_over
        )
        self._ending.append(polling)
        await polling.run()

    def _next_retry(self) -> float:
        seconds = self._retry_seconds
        self._retry_seconds = min(seconds * 2, LONGEST_RETRY_SECONDS)
        return seconds

    def _go_live(self) -> None:
        self._stop_cards()
        self.state, self.reason, self.since = LIVE, "", None
        self._retry_seconds = FIRST_RETRY_SECONDS
        log.info("{camera}: live", camera=self.camera)

    def _go_lost(self, reason: str) -> None:
        if self.state != LOST:
            self.since = time.time()
            self.losses += 1
        if reason != self.reason:
            log.warn("{camera}: no signal: {reason}; trying again", camera=self.camera, reason=reason)
        self.state, self.reason = LOST, reason
        if not self._cards.running:
            self._cards.start(CARD_SECONDS)

    def _stop_cards(self) -> None:
        if self._cards.running:
            self._cards.stop()

    def _publish_card(self) -> None:
        now = time.time()
        since = now if self.since is None else self.since
        card = no_signal_card(*self._encoder.size, self.camera, self.reason, since)
        self._publish(self._encode(self._wanted(), card, now, NO_SIGNAL, self.reason, since))
