"""The NO SIGNAL card as a source of pictures: published once a second while a camera is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from twistedcam.capture.cards import no_signal_card
from twistedcam.capture.encoder import EncodedPicture, Settings, encode

log = Logger()

CARD_SECONDS = 1.0


@dataclass(frozen=True)
class Card:
    """
    What a NO SIGNAL card shows, its size in pixels and its encodings.

    Equal cards have equal pictures, so that a picture can be published again instead of drawn again.
    """

    camera: str
    reason: str
    since: float
    width: int
    height: int
    encodings: tuple[str, ...]

    def encode(self, settings: Settings) -> EncodedPicture:
        """Draw and encode it, which takes milliseconds. It is upright, whichever way the pictures are turned."""
        settings = replace(settings, rotate=0, flip="")
        image = no_signal_card(self.width, self.height, self.camera, self.reason, self.since)
        return encode(image, self.encodings, settings)


class NoSignal:
    """
    Publishes a card at once and then once a second, from L{start} to L{stop}.

    C{current} gives the card to publish. It is drawn and encoded in one of the reactor's threads, only when it differs
    from the last one, and passed to C{publish} in the reactor's own thread each second.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        current: Callable[[], Card],
        publish: Callable[[Card, EncodedPicture], None],
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._current = current
        self._publish = publish
        self._drawn: tuple[Card, EncodedPicture] | None = None
        self._drawing: Deferred[Any] | None = None
        self._loop = LoopingCall(self._publish_current)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin to publish cards, unless that has begun already."""
        if not self._loop.running:
            self._loop.start(CARD_SECONDS).addErrback(self._failed)

    def stop(self) -> None:
        """Publish no more cards; one that is being drawn is discarded."""
        if self._loop.running:
            self._loop.stop()
        drawing, self._drawing = self._drawing, None
        if drawing is not None:
            drawing.cancel()
        self._drawn = None

    def _publish_current(self) -> Deferred[None] | None:
        card = self._current()
        if not card.encodings:
            return None
        if self._drawn is not None and self._drawn[0] == card:
            self._publish(*self._drawn)
            return None
        pool = self._reactor.getThreadPool()
        self._drawing = deferToThreadPool(self._reactor, pool, card.encode, self._settings)
        return self._drawing.addCallback(self._publish_drawn, card)

    def _publish_drawn(self, picture: EncodedPicture, card: Card) -> None:
        self._drawing = None
        self._drawn = (card, picture)
        self._publish(card, picture)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            log.failure("the NO SIGNAL card cannot be drawn", failure)
