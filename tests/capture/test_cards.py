"""The test card, and the NO SIGNAL card."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from twistedcam.capture.cards import TestCard, no_signal_card
from twistedcam.interfaces import ICamera


class TestCardTests(TestCase):
    """The test card as a camera."""

    def test_moves(self) -> None:
        """Each picture differs from the one before, even at the same time."""
        card = TestCard(monotonic=lambda: 5.0, wall=lambda: 1795487331.0)
        verifyObject(ICamera, card)
        self.assertEqual(card.grab(), 5.0)
        first = card.retrieve()
        card.grab()
        self.assertEqual(first.shape, (480, 640, 3))
        self.assertTrue((first != card.retrieve()).any())
        card.close()

    def test_clock(self) -> None:
        """It shows the time of day, with milliseconds."""
        now = 1795487331.0
        card = TestCard(wall=lambda: now)
        first = card.retrieve()
        now += 0.0015
        self.assertTrue((first != card.retrieve()).any())


class NoSignalCardTests(TestCase):
    """The card that is shown in place of a lost camera."""

    def test_sizes(self) -> None:
        """The card can have any size, and any text."""
        for width, height in ((1, 1), (16, 12), (320, 240), (3840, 2160)):
            card = no_signal_card(width, height, "\N{CAMERA} desk", "gone " * 40, 1795487331.0)
            self.assertEqual((card.shape, card.dtype), ((height, width, 3), np.uint8))
        self.assertTrue((no_signal_card(320, 240, "desk", "gone", 0) == 230).any())
