"""Polls a camera through a thread of its own and publishes what it sees; a lost camera is an ordinary state."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import imutils
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from twistedcam import codec
from twistedcam.broadcast import Hub
from twistedcam.camera import no_signal_card
from twistedcam.codec import CodecError, Image
from twistedcam.frame import LIVE, NO_SIGNAL, Frame, stamp
from twistedcam.interfaces import BrokenPictureError, CameraError, ICamera
from twistedcam.pace import RateLimit
from twistedcam.polling import CameraThread, Polling

log = Logger()

JPEG, PICKLE = "jpeg", "pickle"

CLOSED, OPENING, LOST = "closed", "opening", "lost"  # and frame.LIVE

LINGER_SECONDS = 5.0
CARD_SECONDS = 1.0
MOST_HANGING = 3  # each holds a thread and the device
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 10.0


@dataclass(frozen=True)
class Settings:
    """How pictures become frames: C{width} in pixels (0: as captured), C{fps} at most (0: all), JPEG C{quality}."""

    width: int = 320
    fps: float = 0.0
    quality: int = 80

    def resize(self, image: Image) -> Image:
        """C{image} at our width and its own proportions; it is never enlarged."""
        if not self.width or image.shape[1] <= self.width:
            return image
        return imutils.resize(image, width=self.width)  # type: ignore[no-any-return]


class Capture(Service):
    """
    Polls one camera while anybody watches and publishes each picture, encoded once, to its hubs.

    C{open_camera} is called in a thread, anew after each loss; C{hubs} maps an
    encoding ("jpeg", "pickle") to the L{Hub} of those who get it.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        open_camera: Callable[[], ICamera],
        hubs: Mapping[str, Hub],
        settings: Settings = Settings(),
        make_thread: Callable[[], Any] = CameraThread,
    ) -> None:
        self.state = CLOSED
        self.reason = ""
        self._reactor = reactor
        self._name = name
        self._open_camera = open_camera
        self._hubs = hubs
        self._settings = settings
        self._limit = RateLimit(settings.fps)
        self._sequence = itertools.count()  # drawn from in both threads, which it allows
        self._make_thread = make_thread
        self._trying: Deferred[None] | None = None
        self._ending: list[Polling[dict[str, Frame]]] = []  # those whose thread may still be in a read
        self._linger: IDelayedCall | None = None
        self._since = 0.0
        self._card_size = (settings.width or 640, (settings.width or 640) * 3 // 4)
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

    def _wanted(self) -> list[str]:
        return [encoding for encoding, hub in self._hubs.items() if hub.is_watched]

    def _look(self, camera: ICamera, count: int) -> dict[str, Frame]:
        """In the camera's thread: pass over what is late or not due, and encode the rest."""
        for _ in range(count):
            taken = camera.grab()
        wanted = self._wanted()
        if not wanted or not self._limit.due(taken):
            return {}
        captured = time.time() - (time.monotonic() - taken)
        try:
            image = codec.as_bgr(camera.retrieve())
        except CodecError as error:
            raise BrokenPictureError(str(error)) from None
        return self._encode(wanted, self._settings.resize(image), captured)

    def _encode(self, encodings: list[str], image: Image, captured: float, *state: str | float) -> dict[str, Frame]:
        """One picture's frame in each encoding, made once whoever watches; called in the camera's thread too."""
        sequence = next(self._sequence)
        height, width = image.shape[:2]
        frames = {}
        if JPEG in encodings:
            jpeg = codec.encode_jpeg(image, self._settings.quality)
            frames[JPEG] = stamp(jpeg, self._name, sequence, captured, *state)  # type: ignore[arg-type]
        if PICKLE in encodings:
            payload = codec.encode_pickle(image)
            frames[PICKLE] = Frame(payload, self._name, sequence, captured, width=width, height=height)
        return frames

    def _deliver(self, frames: Mapping[str, Frame]) -> None:
        if frames and self.state != LIVE:
            self._go_live()
        self._publish(frames)

    def _publish(self, frames: Mapping[str, Frame]) -> None:
        for encoding, frame in frames.items():
            self._card_size = (frame.width, frame.height)
            self._hubs[encoding].publish(frame)

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
        log.info("{camera}: nobody watches, the camera is released", camera=self._name)
        self._close()

    def _close(self) -> None:
        trying, self._trying = self._trying, None
        if trying is not None:
            trying.addErrback(lambda failure: failure.trap(CancelledError))
            trying.cancel()
        self._stop_cards()
        self.state, self.reason = CLOSED, ""
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
                log.failure("{camera}: the camera failed in an unforeseen way", camera=self._name)
                self._go_lost(f"{type(error).__name__}: {error}")
            await deferLater(self._reactor, self._next_retry())

    async def _poll(self) -> None:
        """One attempt, unless too many earlier ones still hang in a read."""
        self._ending = [polling for polling in self._ending if not polling.has_ended]
        if len(self._ending) >= MOST_HANGING:
            raise CameraError("it hangs, and has to be unplugged and plugged in again")
        polling = Polling(self._reactor, self._make_thread(), self._open_camera, self._look, self._deliver)
        self._ending.append(polling)
        await polling.run()

    def _next_retry(self) -> float:
        seconds = self._retry_seconds
        self._retry_seconds = min(seconds * 2, LONGEST_RETRY_SECONDS)
        return seconds

    def _go_live(self) -> None:
        self._stop_cards()
        self.state, self.reason = LIVE, ""
        self._retry_seconds = FIRST_RETRY_SECONDS
        log.info("{camera}: live", camera=self._name)

    def _go_lost(self, reason: str) -> None:
        if self.state != LOST:
            self._since = time.time()
        if reason != self.reason:
            log.warn("{camera}: no signal: {reason}; trying again", camera=self._name, reason=reason)
        self.state, self.reason = LOST, reason
        if not self._cards.running:
            self._cards.start(CARD_SECONDS)

    def _stop_cards(self) -> None:
        if self._cards.running:
            self._cards.stop()

    def _publish_card(self) -> None:
        card = no_signal_card(*self._card_size, self._name, self.reason, self._since)
        self._publish(self._encode(self._wanted(), card, time.time(), NO_SIGNAL, self.reason, self._since))
