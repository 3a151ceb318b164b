"""The size of the pictures follows the link."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.frame import Frame
from twistedcam.hub import Hub
from twistedcam.pacing.quality_ladder import QualityLadder
from twistedcam.testing import RecordingSink

_FPS = 30


class SlowSink(RecordingSink):
    """Takes one frame, and the next when the test sets C{ready}."""

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self.ready = False


class QualityLadderTests(SynchronousTestCase):
    """A viewer whose link takes C{capacity} full frames a second, four times as many of half the size, and so on."""

    def setUp(self) -> None:
        self.hubs = [Hub(), Hub(), Hub()]
        self.sink = SlowSink()
        self.capacity = float(_FPS)  # full frames a second
        self.ladder = QualityLadder(self.hubs, self.sink, "viewer")

    @property
    def step(self) -> int:
        """The number of the one hub that it is attached to."""
        (there,) = [number for number, hub in enumerate(self.hubs) if hub.is_watched]
        return there

    def pass_seconds(self, seconds: int) -> list[int]:
        """The step at the end of each second."""
        steps = []
        for _ in range(seconds):
            credit = 0.0
            for number in range(_FPS):
                credit = min(1.0, credit + 1.001 * self.capacity * 4**self.step / _FPS)
                self.sink.ready = credit >= 1
                self.ladder.outlet.resume()
                self.hubs[self.step].publish(Frame(b"", captured=number / _FPS))
                if credit >= 1 and not self.sink.ready:
                    credit -= 1
            self.ladder.adjust()
            steps.append(self.step)
        return steps

    def test_good_link(self) -> None:
        """A viewer that takes all frames stays at the full ones."""
        self.assertEqual(set(self.pass_seconds(100)), {0})

    def test_slow_link(self) -> None:
        """A viewer that takes half of them gets smaller ones within 3 s, and all of those."""
        self.capacity = _FPS / 2
        self.assertEqual(self.pass_seconds(3)[-1], 1)
        del self.sink.frames[:]
        self.pass_seconds(5)
        self.assertGreater(len(self.sink.frames), 0.9 * 5 * _FPS)

    def test_very_slow_link(self) -> None:
        """A very slow link gets the smallest pictures, and keeps them."""
        self.capacity = _FPS / 100
        self.assertEqual(self.pass_seconds(30)[-1], 2)

    def test_no_flapping(self) -> None:
        """On a link that does not change, larger pictures are tried less and less often."""
        self.capacity = _FPS / 2
        steps = self.pass_seconds(600)
        changes = sum(a != b for a, b in pairwise(steps))
        self.assertLess(changes, 14)
        self.assertGreater(steps.count(1), 560)

    def test_two_steps_down(self) -> None:
        """A try that fails by two steps puts off the next one, as any that fails does."""
        self.capacity = _FPS / 2
        while self.pass_seconds(1) != [1]:
            pass
        while self.pass_seconds(1) != [0]:
            pass
        self.capacity = _FPS / 12
        self.assertEqual(self.pass_seconds(5)[-1], 2)
        self.capacity = _FPS
        self.assertEqual(set(self.pass_seconds(17)), {2})
        self.assertEqual(self.pass_seconds(5)[-1], 1)

    def test_better_again(self) -> None:
        """When the link is good again, the pictures become full again."""
        self.capacity = _FPS / 2
        self.pass_seconds(5)
        self.capacity = _FPS
        self.assertEqual(self.pass_seconds(20)[-1], 0)

    def test_few_frames(self) -> None:
        """A second with hardly any frames, such as those of a NO SIGNAL card, changes nothing."""
        for _ in range(50):
            self.sink.ready = False
            self.hubs[0].publish(Frame(b""))
            self.ladder.adjust()
        self.assertEqual(self.step, 0)

    def test_limit(self) -> None:
        """The rate limit holds on each step."""
        self.ladder.limit(10)
        self.capacity = _FPS / 10
        self.pass_seconds(10)
        self.assertEqual(self.step, 1)
        del self.sink.frames[:]
        self.pass_seconds(1)
        self.assertLessEqual(len(self.sink.frames), 11)

    def test_leave(self) -> None:
        """After leaving, no hub has the outlet."""
        self.capacity = _FPS / 2
        self.pass_seconds(5)
        self.ladder.leave()
        self.assertFalse(any(hub.is_watched for hub in self.hubs))
