"""Pictures as large as a link can take."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.frame import Frame
from twistedcam.hub import Hub
from twistedcam.pacing.quality_ladder import Ladder
from twistedcam.testing import RecordingSink

_FPS = 30


class Link(RecordingSink):
    """Takes one frame, and the next when it is told to."""

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self.ready = False


class LadderTests(SynchronousTestCase):
    """A viewer whose link takes so many full frames a second, four times as many of half the size, and so on."""

    def setUp(self) -> None:
        self.hubs = [Hub(), Hub(), Hub()]
        self.sink = Link()
        self.capacity = float(_FPS)  # full frames a second
        self.ladder = Ladder(self.hubs, self.sink, "viewer")

    @property
    def step(self) -> int:
        """Which hub it is at; at exactly one."""
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
            self.ladder.look()
            steps.append(self.step)
        return steps

    def test_good_link(self) -> None:
        """Who takes all frames stays at the full ones."""
        self.assertEqual(set(self.pass_seconds(100)), {0})

    def test_slow_link(self) -> None:
        """Who takes half of them is at smaller ones within 3 s, and gets all of those."""
        self.capacity = _FPS / 2
        self.assertEqual(self.pass_seconds(3)[-1], 1)
        del self.sink.frames[:]
        self.pass_seconds(5)
        self.assertGreater(len(self.sink.frames), 0.9 * 5 * _FPS)

    def test_very_slow_link(self) -> None:
        """It goes on down as long as that helps, and then stays."""
        self.capacity = _FPS / 100
        self.assertEqual(self.pass_seconds(30)[-1], 2)

    def test_no_flapping(self) -> None:
        """A link that stays as it is is tried with larger pictures ever more rarely."""
        self.capacity = _FPS / 2
        steps = self.pass_seconds(600)
        changes = sum(a != b for a, b in pairwise(steps))
        self.assertLess(changes, 14)
        self.assertGreater(steps.count(1), 560)

    def test_better_again(self) -> None:
        """When the link is good again, the pictures are full again after a while."""
        self.capacity = _FPS / 2
        self.pass_seconds(5)
        self.capacity = _FPS
        self.assertEqual(self.pass_seconds(20)[-1], 0)

    def test_few_frames(self) -> None:
        """A second with hardly a frame, as of a card, says nothing."""
        for _ in range(50):
            self.sink.ready = False
            self.hubs[0].publish(Frame(b""))
            self.ladder.look()
        self.assertEqual(self.step, 0)

    def test_limit(self) -> None:
        """The bound on the rate holds on each step."""
        self.ladder.limit(10)
        self.capacity = _FPS / 10
        self.pass_seconds(10)
        self.assertEqual(self.step, 1)
        del self.sink.frames[:]
        self.pass_seconds(1)
        self.assertLessEqual(len(self.sink.frames), 11)

    def test_leave(self) -> None:
        """Who leaves is nowhere."""
        self.capacity = _FPS / 2
        self.pass_seconds(5)
        self.ladder.leave()
        self.assertFalse(any(hub.is_watched for hub in self.hubs))
