"""The times of capture of a live stream."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.capture.stream_clock import StreamClock


class StreamClockTests(SynchronousTestCase):
    """Times in a stream, mapped to ours."""

    def setUp(self) -> None:
        self.clock = StreamClock()

    def test_delays(self) -> None:
        """A picture that was delayed is older than its arrival, by as much as it was delayed more than the others."""
        self.assertEqual(self.clock.time_of_capture(100.0, 7.0), 7.0)
        self.assertAlmostEqual(self.clock.time_of_capture(100.04, 7.34), 7.04)
        self.assertAlmostEqual(self.clock.time_of_capture(100.08, 7.35), 7.08)

    def test_less_delay(self) -> None:
        """A picture that comes sooner than any before was not delayed; the others were."""
        self.clock.time_of_capture(0.0, 1.0)
        self.assertAlmostEqual(self.clock.time_of_capture(0.5, 1.1), 1.1)
        self.assertAlmostEqual(self.clock.time_of_capture(1.0, 2.0), 1.6)

    def test_other_rate(self) -> None:
        """A clock that runs more slowly than ours is followed: the least delay is forgotten after half a minute."""
        ages = [1.01 * n - self.clock.time_of_capture(n, 1.01 * n) for n in range(300)]
        self.assertLess(max(ages), 0.32)

    def test_clock_set(self) -> None:
        """A jump in the sender's times, in either direction, begins anew."""
        self.clock.time_of_capture(100.0, 7.0)
        for stamped in (50.0, 1000.0, 1000.0 - 990.0):
            self.assertAlmostEqual(self.clock.time_of_capture(stamped, 8.0), 8.0)

    def test_never_later(self) -> None:
        """No picture is newer than its arrival, or older by more than five seconds."""
        for n in range(1000):
            arrival = n * 0.1
            age = arrival - self.clock.time_of_capture(n * 0.1 - (n * 7919 % 13), arrival)
            self.assertTrue(-1e-9 <= age <= 5.0, age)
