"""Fan-out: the newest frame to every viewer, and one slot in which it can wait."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from twistedcam.frame import Frame
from twistedcam.hub import Hub, Outlet, Tally
from twistedcam.testing import RecordingSink


def frame(sequence: int) -> Frame:
    """A frame taken at C{sequence} tenths of a second."""
    return Frame(bytes(sequence), sequence=sequence, captured=sequence / 10)


def sequences(sink: RecordingSink) -> list[int]:
    """The sequence numbers of the frames that C{sink} was sent."""
    return [frame.sequence for frame in sink.frames]


class HubTests(TestCase):
    """What each outlet is sent."""

    def setUp(self) -> None:
        self.demands: list[bool] = []
        self.hub = Hub(lambda: self.demands.append(self.hub.is_watched))
        self.sink = RecordingSink()

    def test_every_frame_to_ready_sinks(self) -> None:
        """A sink that is always ready gets every frame, the very same object as all others."""
        other = RecordingSink()
        self.hub.attach(self.sink)
        self.hub.attach(other)
        for sequence in range(5):
            self.hub.publish(frame(sequence))
        self.assertEqual(sequences(self.sink), [0, 1, 2, 3, 4])
        self.assertTrue(all(a is b for a, b in zip(self.sink.frames, other.frames, strict=True)))

    def test_newest_wins(self) -> None:
        """While a sink is busy one frame waits, replaced by each newer one; the other sinks lose nothing."""
        other = RecordingSink()
        outlet = self.hub.attach(self.sink)
        self.hub.attach(other)
        self.sink.ready = False
        for sequence in range(100):
            self.hub.publish(frame(sequence))
        self.assertEqual(sequences(self.sink), [])
        self.assertEqual(outlet.waiting, frame(99))
        self.sink.ready = True
        outlet.resume()
        self.assertEqual(sequences(self.sink), [99])
        self.assertIsNone(outlet.waiting)
        self.assertEqual((outlet.begun, outlet.dropped), (1, 99))
        self.assertEqual(len(other.frames), 100)

    def test_resumed_with_nothing_to_send(self) -> None:
        """A sink may report at any time that it is ready."""
        outlet = self.hub.attach(self.sink)
        outlet.resume()
        self.assertEqual(self.sink.frames, [])

    def test_resumed_and_not_ready(self) -> None:
        """A sink that is not ready after all leaves its frame waiting."""
        outlet = self.hub.attach(self.sink)
        self.sink.ready = False
        self.hub.publish(frame(1))
        outlet.resume()
        self.assertEqual(outlet.waiting, frame(1))

    def test_newcomer_sees_now(self) -> None:
        """A new outlet is sent the newest frame at once."""
        self.hub.attach(RecordingSink())
        self.hub.publish(frame(1))
        self.hub.publish(frame(2))
        self.hub.attach(self.sink)
        self.assertEqual(sequences(self.sink), [2])

    def test_newcomer_sees_no_past(self) -> None:
        """When the last outlet has gone, the next one is not sent the old frame."""
        outlet = self.hub.attach(RecordingSink())
        self.hub.publish(frame(1))
        self.hub.detach(outlet)
        self.hub.attach(self.sink)
        self.assertEqual(self.sink.frames, [])

    def test_demand(self) -> None:
        """The source is told when the first outlet comes and when the last one goes, once each."""
        first, second = self.hub.attach(self.sink), self.hub.attach(RecordingSink())
        self.assertEqual(self.demands, [True])
        self.hub.detach(first)
        self.hub.detach(first)
        self.assertEqual(self.demands, [True])
        self.hub.detach(second)
        self.assertEqual(self.demands, [True, False])

    def test_leaving_while_published(self) -> None:
        """A sink may detach its outlet while a frame is published."""
        outlets: list[Outlet] = []

        class Leaving(RecordingSink):
            def begin(self, frame: Frame) -> None:
                super().begin(frame)
                hub.detach(outlets[0])

        hub = self.hub
        leaving = Leaving()
        outlets.append(hub.attach(leaving))
        hub.attach(self.sink)
        hub.publish(frame(1))
        hub.publish(frame(2))
        self.assertEqual((sequences(leaving), sequences(self.sink)), ([1], [1, 2]))

    def test_rate(self) -> None:
        """An outlet with a rate limit is sent no more than that, evenly."""
        self.hub.attach(self.sink).limit(5)
        for sequence in range(20):
            self.hub.publish(frame(sequence))
        self.assertEqual(sequences(self.sink), list(range(0, 20, 2)))

    def test_rate_of_a_busy_sink(self) -> None:
        """Under a rate limit, too, the frame that waits is the newest; only frames that were due count as dropped."""
        outlet = self.hub.attach(self.sink)
        outlet.limit(2)
        self.sink.ready = False
        for sequence in range(9):
            self.hub.publish(frame(sequence))
        self.assertEqual((outlet.waiting, outlet.dropped), (frame(8), 1))
        self.sink.ready = True
        outlet.resume()
        for sequence in range(9, 16):
            self.hub.publish(frame(sequence))
        self.assertEqual(sequences(self.sink), [8, 10, 15])
        self.assertEqual(outlet.tally(), Tally(3, 1, 33))

    def test_tally(self) -> None:
        """Frames and bytes are counted for outlets that get all, miss some, came later, or have gone."""
        busy = RecordingSink()
        everything, held = self.hub.attach(self.sink), self.hub.attach(busy)
        self.hub.publish(frame(1))
        busy.ready = False
        for sequence in (2, 3):
            self.hub.publish(frame(sequence))
        late = self.hub.attach(RecordingSink())
        slow = self.hub.attach(RecordingSink())
        slow.limit(5)
        for sequence in (4, 5, 6):
            self.hub.publish(frame(sequence))
        self.assertEqual(everything.tally(), Tally(6, 0, 21))
        self.assertEqual(held.tally(), Tally(1, 4, 1))
        self.assertEqual(late.tally(), Tally(4, 0, 18))
        self.assertEqual(slow.tally(), Tally(3, 0, 13))  # the third as the newest there was, the fourth and the sixth
        self.hub.detach(everything)
        self.hub.publish(frame(7))
        self.assertEqual(self.hub.tally(), Tally(6 + 1 + 5 + 3, 5, 21 + 1 + 25 + 13))

    def test_newest(self) -> None:
        """The last frame sent is known for an outlet that gets all, that waits, and that has a limit."""
        outlet, limited = self.hub.attach(self.sink), self.hub.attach(RecordingSink())
        limited.limit(5)
        self.assertIsNone(outlet.newest)
        self.hub.publish(frame(1))
        self.sink.ready = False
        self.hub.publish(frame(2))
        self.hub.publish(frame(3))
        self.assertEqual((outlet.newest, limited.newest), (frame(1), frame(3)))
        self.hub.publish(frame(4))
        self.assertEqual((outlet.newest, limited.newest), (frame(1), frame(3)))
        self.sink.ready = True
        outlet.resume()
        self.assertEqual(outlet.newest, frame(4))
        outlet.limit(5)
        self.assertEqual(outlet.newest, frame(4))

    def test_fps(self) -> None:
        """The rate is that of the last two seconds, by the samples taken."""
        outlet = self.hub.attach(self.sink)
        self.assertEqual(outlet.fps, 0.0)
        for second, frames in enumerate((0, 10, 20, 30)):
            for _ in range(frames):
                self.hub.publish(frame(1))
            outlet.sample(float(second))
        self.assertEqual(outlet.fps, 25.0)
