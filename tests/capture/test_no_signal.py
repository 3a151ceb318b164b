"""NO SIGNAL cards: published once a second, drawn once."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import TestCase

from twistedcam import codec
from twistedcam.capture import no_signal
from twistedcam.capture.cards import no_signal_card
from twistedcam.capture.encoder import EncodedPicture, Settings
from twistedcam.capture.no_signal import Card, NoSignal
from twistedcam.encodings import ENCODING_JPEG, ENCODING_PICKLE
from twistedcam.testing import SteppedReactor

CARD = Card("desk", "gone", 1_795_487_331.0, 320, 240, (ENCODING_JPEG,))


class NoSignalTests(TestCase):
    """Cards, with a clock and threads that the test controls."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.card = CARD
        self.published: list[tuple[Card, EncodedPicture]] = []
        self.drawn = 0
        self.patch(no_signal, "no_signal_card", self.draw)
        self.cards = NoSignal(self.reactor, Settings(), lambda: self.card, lambda *card: self.published.append(card))
        self.addCleanup(self.assertEqual, self.reactor.getDelayedCalls(), [])
        self.addCleanup(self.cards.stop)

    def draw(self, *args: Any) -> codec.Image:
        """Draw a card, and count it."""
        self.drawn += 1
        return no_signal_card(*args)

    def run_for(self, seconds: int) -> None:
        """Let time pass, while threads do their work."""
        self.reactor.pool.step()
        for _ in range(seconds * 8):
            self.reactor.advance(0.125)
            self.reactor.pool.step()

    def test_drawn_once(self) -> None:
        """A card is published at once and each second, and drawn only once."""
        self.cards.start()
        self.run_for(5)
        self.assertEqual(self.drawn, 1)
        self.assertEqual([card for card, _ in self.published], [CARD] * 6)

    def test_drawn_in_a_thread(self) -> None:
        """The reactor's thread neither draws nor waits: nothing is published until a thread has drawn the card."""
        self.cards.start()
        self.reactor.advance(3)
        self.assertEqual((self.drawn, self.published), (0, []))
        self.reactor.pool.step()
        self.assertEqual((self.drawn, len(self.published)), (1, 1))

    def test_drawn_anew(self) -> None:
        """Another reason, time, size or encoding makes another card, once."""
        self.cards.start()
        self.run_for(2)
        for changed in (
            Card("desk", "busy", CARD.since, 320, 240, CARD.encodings),
            Card("desk", "busy", CARD.since + 1, 320, 240, CARD.encodings),
            Card("desk", "busy", CARD.since + 1, 64, 48, CARD.encodings),
            Card("desk", "busy", CARD.since + 1, 64, 48, (ENCODING_JPEG, ENCODING_PICKLE)),
        ):
            before, self.card = self.drawn, changed
            self.run_for(3)
            self.assertEqual(self.drawn, before + 1)
            card, picture = self.published[-1]
            self.assertEqual((card, picture.width), (changed, changed.width))
            self.assertEqual(tuple(picture.payloads), changed.encodings)

    def test_nobody_watches(self) -> None:
        """Without a viewer no card is drawn; the first one to come gets one within a second."""
        self.card = Card("desk", "gone", CARD.since, 320, 240, ())
        self.cards.start()
        self.run_for(3)
        self.assertEqual((self.drawn, self.published), (0, []))
        self.card = CARD
        self.run_for(1)
        self.assertEqual(len(self.published), 1)

    def test_stopped_while_drawing(self) -> None:
        """A card that is finished when it is no longer wanted is not published, and does not disturb the next start."""
        self.cards.start()
        self.cards.stop()
        self.cards.start()
        self.run_for(2)
        self.assertEqual(len(self.published), 3)
        self.cards.stop()
        self.run_for(2)
        self.assertEqual(len(self.published), 3)

    def test_failure(self) -> None:
        """A card that cannot be drawn is logged; it is tried again when the camera is lost again."""
        self.patch(no_signal, "no_signal_card", lambda *args: 1 / 0)
        self.cards.start()
        self.run_for(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.patch(no_signal, "no_signal_card", self.draw)
        self.cards.start()
        self.run_for(1)
        self.assertEqual(len(self.published), 2)
