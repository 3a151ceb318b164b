"""Polls a camera through a thread of its own and publishes what it sees; a lost camera is an ordinary state."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import imutils
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from twistedcam import codec
from twistedcam.broadcast import Hub
from twistedcam.camera import no_signal_card
from twistedcam.codec import CodecError, Image
from twistedcam.frame import LIVE, NO_SIGNAL, Frame, stamp
from twistedcam.interfaces import CameraError, ICamera
from twistedcam.pace import RateLimit

log = Logger()

JPEG, PICKLE = "jpeg", "pickle"

CLOSED, OPENING, LOST = "closed", "opening", "lost"  # and frame.LIVE

OPEN_SECONDS = 15.0  # some webcams take 10 s to open on Windows
STALL_SECONDS = 5.0
LINGER_SECONDS = 5.0
CARD_SECONDS = 1.0
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


class _Session:
    """One attempt at a camera: opened, polled until it is lost or no longer wanted, closed."""

    def __init__(self, capture: Capture, thread: Any) -> None:
        self._capture = capture
        self._reactor = capture.reactor
        self._thread = thread
        self._camera: ICamera | None = None
        self._limit = RateLimit(capture.settings.fps)
        self._loop: LoopingCall | None = None
        self._lost: Deferred[None] = Deferred()
        self._watch: IDelayedCall | None = None
        self._over = False

    async def run(self) -> None:
        """Publish what the camera sees until it is lost. Raises L{CameraError}, or CancelledError when cancelled."""
        self._watch = self._reactor.callLater(OPEN_SECONDS, self._fail, CameraError("it does not open"))
        try:
            self._in_thread(self._open).addCallbacks(self._poll_at, self._fail)
            await self._lost
        finally:
            self._end()

    def _end(self) -> None:
        self._over = True
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        self._thread.callInThread(self._close)
        self._thread.stop()

    def _in_thread(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._thread, function, *args)

    def _fail(self, reason: Failure | Exception) -> None:
        if not self._lost.called and not self._over:
            self._lost.errback(reason)

    def _open(self) -> float:
        self._camera = self._capture.open_camera()
        return float(self._camera.interval)

    def _close(self) -> None:
        if self._camera is not None:
            self._camera.close()

    def _poll_at(self, interval: float) -> None:
        if self._over:
            return
        # With an interval of 0 the camera paces us: each poll begins when the last
        # one ended. A fixed interval around a blocking read would lose pictures.
        self._loop = LoopingCall.withCount(self._poll)
        self._loop.clock = self._reactor
        self._await_picture()
        self._loop.start(interval).addErrback(self._fail)

    def _await_picture(self) -> None:
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        error = CameraError(f"it has given no picture for {STALL_SECONDS:.0f} s")
        self._watch = self._reactor.callLater(STALL_SECONDS, self._fail, error)

    def _poll(self, count: int) -> Deferred[None]:
        return self._in_thread(self._take, count, self._capture.wanted_encodings()).addCallback(self._deliver)

    def _take(self, count: int, encodings: list[str]) -> dict[str, Frame]:
        """In the camera's thread: pass over what is late or not due, and encode the rest."""
        camera = self._camera
        assert camera is not None
        for _ in range(count):
            taken = camera.grab()
        if not encodings or not self._limit.due(taken):
            return {}
        captured = time.time() - (time.monotonic() - taken)
        image = self._capture.settings.resize(codec.as_bgr(camera.retrieve()))
        return self._capture.encode(encodings, image, captured)

    def _deliver(self, frames: dict[str, Frame]) -> None:
        if self._over:
            return
        if self._watch is not None:
            self._watch.reset(STALL_SECONDS)
        if frames:
            self._capture.deliver(frames)


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
        self.reactor = reactor
        self.camera_name = name
        self.open_camera = open_camera
        self.settings = settings
        self.state = CLOSED
        self.reason = ""
        self._hubs = hubs
        self._sequence = itertools.count()  # drawn from in both threads, which it allows
        self._make_thread = make_thread
        self._watching: Deferred[None] | None = None
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

    def wanted_encodings(self) -> list[str]:
        """The encodings that anybody watches."""
        return [name for name, hub in self._hubs.items() if hub.is_watched]

    def encode(self, encodings: list[str], image: Image, captured: float, *state: str | float) -> dict[str, Frame]:
        """One picture's frame in each encoding, made once whoever watches; called in the camera's thread too."""
        sequence = next(self._sequence)
        height, width = image.shape[:2]
        frames = {}
        if JPEG in encodings:
            jpeg = codec.encode_jpeg(image, self.settings.quality)
            frames[JPEG] = stamp(jpeg, self.camera_name, sequence, captured, *state)  # type: ignore[arg-type]
        if PICKLE in encodings:
            payload = codec.encode_pickle(image)
            frames[PICKLE] = Frame(payload, self.camera_name, sequence, captured, width=width, height=height)
        return frames

    def deliver(self, frames: Mapping[str, Frame]) -> None:
        """Publish one live picture in all its encodings."""
        if self.state != LIVE:
            self._go_live()
        self._publish(frames)

    def _publish(self, frames: Mapping[str, Frame]) -> None:
        for encoding, frame in frames.items():
            self._card_size = (frame.width, frame.height)
            self._hubs[encoding].publish(frame)

    def _demand_changed(self) -> None:
        if not self.running:
            return
        if self.wanted_encodings():
            self._stop_linger()
            if self._watching is None:
                self._watching = Deferred.fromCoroutine(self._watch())
        elif self._linger is None and self._watching is not None:
            self._linger = self.reactor.callLater(LINGER_SECONDS, self._release)

    def _stop_linger(self) -> None:
        linger, self._linger = self._linger, None
        if linger is not None and linger.active():
            linger.cancel()

    def _release(self) -> None:
        self._linger = None
        log.info("{camera}: nobody watches, the camera is released", camera=self.camera_name)
        self._close()

    def _close(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
        self._stop_cards()
        self.state = CLOSED

    async def _watch(self) -> None:
        """Attempt after attempt, until cancelled."""
        try:
            while True:
                if self.state == CLOSED:
                    self.state = OPENING
                try:
                    await _Session(self, self._make_thread()).run()
                except CancelledError:
                    raise
                except (CameraError, CodecError) as error:
                    self._go_lost(str(error))
                except Exception as error:
                    log.failure("{camera}: the camera failed in an unforeseen way", camera=self.camera_name)
                    self._go_lost(f"{type(error).__name__}: {error}")
                await deferLater(self.reactor, self._next_retry())
        except CancelledError:
            pass

    def _next_retry(self) -> float:
        seconds = self._retry_seconds
        self._retry_seconds = min(seconds * 2, LONGEST_RETRY_SECONDS)
        return seconds

    def _go_live(self) -> None:
        self._stop_cards()
        self.state, self.reason = LIVE, ""
        self._retry_seconds = FIRST_RETRY_SECONDS
        log.info("{camera}: live", camera=self.camera_name)

    def _go_lost(self, reason: str) -> None:
        if self.state != LOST:
            self._since = time.time()
        if reason != self.reason:
            log.warn("{camera}: no signal: {reason}; trying again", camera=self.camera_name, reason=reason)
        self.state, self.reason = LOST, reason
        if not self._cards.running:
            self._cards.start(CARD_SECONDS)

    def _stop_cards(self) -> None:
        if self._cards.running:
            self._cards.stop()

    def _publish_card(self) -> None:
        card = no_signal_card(*self._card_size, self.camera_name, self.reason, self._since)
        self._publish(self.encode(self.wanted_encodings(), card, time.time(), NO_SIGNAL, self.reason, self._since))
