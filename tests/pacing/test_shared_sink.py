"""Several cameras share one connection."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.frame import Frame
from twistedcam.hub import Hub
from twistedcam.pacing.shared_sink import SharedSink
from twistedcam.testing import RecordingSink


def frame(camera: int, sequence: int) -> Frame:
    """A frame of the camera with this number."""
    return Frame(b"", str(camera), sequence, captured=sequence / 30)


class SharedSinkTests(SynchronousTestCase):
    """Three cameras over a link that the test opens and closes."""

    def setUp(self) -> None:
        self.sink = RecordingSink()
        self.shared = SharedSink(self.sink)
        self.hubs = [Hub() for _ in range(3)]
        for hub in self.hubs:
            self.shared.watch([hub], "viewer", 0.0)

    def publish(self, sequence: int, *cameras: int) -> None:
        """A frame of each of C{cameras}."""
        for camera in cameras:
            self.hubs[camera].publish(frame(camera, sequence))

    def sent(self) -> list[tuple[str, int]]:
        """The camera and number of each frame sent since the last call."""
        frames, self.sink.frames = self.sink.frames, []
        return [(each.camera, each.sequence) for each in frames]

    def take_one(self) -> None:
        """The link has room for one frame."""
        sent = len(self.sink.frames)
        self.sink.may_begin = lambda: len(self.sink.frames) == sent  # type: ignore[method-assign]
        self.shared.resume()
        self.sink.may_begin = lambda: False  # type: ignore[method-assign]

    def test_room(self) -> None:
        """While the link has room, each frame is sent as it comes."""
        for sequence in range(3):
            self.publish(sequence, 0, 2)
        self.assertEqual(self.sent(), [("0", 0), ("2", 0), ("0", 1), ("2", 1), ("0", 2), ("2", 2)])

    def test_newest_wins(self) -> None:
        """Of each camera one frame waits, the newest."""
        self.sink.ready = False
        for sequence in range(10):
            self.publish(sequence, 0, 1, 2)
        self.sink.ready = True
        self.shared.resume()
        self.assertEqual(self.sent(), [("0", 9), ("1", 9), ("2", 9)])

    def test_in_turn(self) -> None:
        """On a link that takes one frame in the time of three, a fast camera does not hold up the slower ones."""
        self.sink.ready = False
        counts: Counter[str] = Counter()
        for sequence in range(90):
            self.publish(sequence, 0, 0, 0, 0, 1, 2)
            self.take_one()
            counts.update(camera for camera, _ in self.sent())
        self.assertEqual(counts, {"0": 30, "1": 30, "2": 30})

    def test_waited_first(self) -> None:
        """A frame that comes when the link has room again does not overtake one that has waited for that."""
        self.publish(0, 0)
        self.sink.ready = False
        self.publish(0, 1)
        self.sink.ready = True
        self.publish(1, 0)
        self.assertEqual(self.sent(), [("0", 0)])
        self.shared.resume()
        self.assertEqual(self.sent(), [("1", 0), ("0", 1)])

    def test_first_frame(self) -> None:
        """A camera that is already live is shown at once."""
        other = SharedSink(RecordingSink())
        self.publish(7, 0)
        other.watch([self.hubs[0]], "other", 0.0)
        sink = other._sink
        assert isinstance(sink, RecordingSink)
        self.assertEqual([each.sequence for each in sink.frames], [7])

    def test_adjust(self) -> None:
        """Each camera's pictures become smaller if the link takes too few of them."""
        full, half = Hub(), Hub()
        self.shared.watch([full, half], "viewer", 0.0)
        self.sink.ready = False
        for second in range(3):
            for sequence in range(30):
                full.publish(frame(3, 30 * second + sequence))
            self.shared.adjust()
        self.assertEqual((full.is_watched, half.is_watched), (False, True))

    def test_leave(self) -> None:
        """After the viewer has left, nothing is sent to it, and no camera is watched by it."""
        self.sink.ready = False
        self.publish(0, 0, 1)
        self.shared.leave()
        self.sink.ready = True
        self.shared.resume()
        self.publish(1, 0, 1, 2)
        self.assertEqual((self.sent(), any(hub.is_watched for hub in self.hubs)), ([], False))
