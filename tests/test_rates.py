"""Frame rates: a limit, and a meter."""

from __future__ import annotations

import random

from twisted.trial.unittest import TestCase

from twistedcam.rates import Meter, RateLimit


class RateLimitTests(TestCase):
    """Which pictures a limit selects."""

    def due(self, fps: float, times: list[float]) -> int:
        """How many of the pictures taken at C{times} are due."""
        limit = RateLimit(fps)
        return sum(limit.due(at) for at in times)

    def test_no_limit(self) -> None:
        """Without a limit all are due."""
        self.assertEqual(self.due(0, [n / 30 for n in range(300)]), 300)

    def test_rates(self) -> None:
        """Of 30 pictures a second for 10 s, as many are due as the limit allows."""
        for fps in (1, 5, 7, 15, 20, 24, 29, 30, 60):
            due = self.due(fps, [n / 30 for n in range(300)])
            self.assertIn(due - min(300, fps * 10), (-1, 0, 1), fps)

    def test_jitter(self) -> None:
        """A camera that is a little early or late loses no picture to a limit at its own rate."""
        jitter = random.Random(1)
        times = [n / 25 + jitter.uniform(-0.001, 0.001) for n in range(250)]
        self.assertEqual(self.due(25, times), 250)

    def test_clock_set(self) -> None:
        """A clock that jumps, either way, neither stops the pictures nor lets a burst through."""
        for jump in (-3600, 3600):
            times = [1e9 + n / 30 for n in range(300)] + [1e9 + jump + 10 + n / 30 for n in range(300)]
            self.assertIn(self.due(10, times), range(198, 204))

    def test_gap(self) -> None:
        """After a gap there is no burst to catch up."""
        limit = RateLimit(10)
        self.assertTrue(limit.due(0))
        self.assertEqual([limit.due(100 + n / 100) for n in range(18)].count(True), 2)


class MeterTests(TestCase):
    """The rate of the last two seconds."""

    def test_rate(self) -> None:
        """Frames are counted for two seconds, and the rate falls to nothing when no more come."""
        meter = Meter()
        self.assertEqual(meter.fps(0.0), 0.0)
        for number in range(100):
            meter.add(number / 10)
        self.assertAlmostEqual(meter.fps(9.95), 10, delta=0.6)
        self.assertEqual(meter.fps(20.0), 0.0)

    def test_bounded(self) -> None:
        """However many frames come, memory is bounded."""
        meter = Meter()
        for _ in range(10_000):
            meter.add(1.0)
        self.assertLessEqual(len(meter._times), 500)
