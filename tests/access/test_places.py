"""A bounded number of places."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.access.places import Places
from twistedcam.errors import NoRoomError


class PlacesTests(SynchronousTestCase):
    """L{Places}."""

    def test_full(self) -> None:
        """There are as many places as the limit says, and each that is released can be taken again."""
        places = Places(2, "the limit of {limit} has been reached")
        first, _ = places.take(), places.take()
        with self.assertRaisesRegex(NoRoomError, "^the limit of 2 has been reached$"):
            places.take()
        first.release()
        places.take()
        self.assertEqual(places.taken, 2)

    def test_released_once(self) -> None:
        """A place that is released twice does not free another's."""
        places = Places(2, "full")
        first, _ = places.take(), places.take()
        first.release()
        first.release()
        self.assertEqual(places.taken, 1)

    def test_per_network(self) -> None:
        """One network gets no more than its share; the others find room."""
        places = Places(3, "full", per_network=2)
        first, _ = places.take("a"), places.take("a")
        with self.assertRaisesRegex(NoRoomError, "your address has its share"):
            places.take("a")
        places.take("b")
        first.release()
        places.take("a")
        self.assertEqual(places.taken, 3)
