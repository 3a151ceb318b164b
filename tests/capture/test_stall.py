"""How long a camera may give no picture."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.capture.stall import FIRST_SECONDS, StallLimit


class StallLimitTests(SynchronousTestCase):
    """The limit, by a clock that the test advances."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.limit = StallLimit(self.clock.seconds)
        self.limit.begin(0.0)

    def pictures(self, *intervals: float) -> None:
        """A picture now, and one after each interval."""
        self.limit.picture()
        for interval in intervals:
            self.clock.advance(interval)
            self.limit.picture()

    def test_first(self) -> None:
        """Until the second picture of an attempt the limit is 15 s."""
        self.assertEqual(self.limit.seconds, FIRST_SECONDS)
        self.clock.advance(10)
        self.pictures()
        self.assertEqual(self.limit.seconds, 15)

    def test_by_interval(self) -> None:
        """Then it is three times the longest interval, from 5 to 60 s."""
        for interval, expected in ((0.04, 5), (1, 5), (3, 9), (14, 42), (20, 60), (40, 60)):
            self.setUp()
            self.pictures(0.04, interval, 0.04)
            self.assertAlmostEqual(self.limit.seconds, expected)

    def test_forgets(self) -> None:
        """Only the last ten intervals count."""
        self.pictures(10, *[0.1] * 9)
        self.assertAlmostEqual(self.limit.seconds, 30)
        self.clock.advance(0.1)
        self.limit.picture()
        self.assertEqual(self.limit.seconds, 5)

    def test_learns(self) -> None:
        """A stall after a single picture doubles the limit of the next attempt, up to 60 s."""
        for expected in (30, 60, 60):
            self.pictures()
            self.limit.stalled()
            self.limit.begin(0.0)
            self.assertEqual(self.limit.seconds, expected)

    def test_unlearns(self) -> None:
        """What was learned holds for later attempts until pictures come faster again."""
        self.pictures()
        self.limit.stalled()
        for interval, expected in ((20, 30), (10, 15)):
            self.limit.begin(0.0)
            self.pictures(interval)
            self.limit.begin(0.0)
            self.assertEqual(self.limit.seconds, expected)

    def test_learns_from_single_pictures_only(self) -> None:
        """A stall without any picture, or after several, leaves the first limit as it was."""
        self.limit.stalled()
        self.limit.begin(0.0)
        self.assertEqual(self.limit.seconds, FIRST_SECONDS)
        self.pictures(0.1)
        self.limit.stalled()
        self.limit.begin(0.0)
        self.assertEqual(self.limit.seconds, FIRST_SECONDS)

    def test_interval_of_the_camera(self) -> None:
        """A camera that is read by our clock is given three times its interval, however long that is."""
        self.limit.begin(100.0)
        self.assertEqual(self.limit.seconds, 300)
        self.pictures(100)
        self.assertEqual(self.limit.seconds, 300)

    def test_fixed(self) -> None:
        """A limit that was set holds always."""
        self.limit = StallLimit(self.clock.seconds, 2.5)
        self.limit.begin(10.0)
        self.assertEqual(self.limit.seconds, 2.5)
        self.pictures(20, 20)
        self.assertEqual(self.limit.seconds, 2.5)
