"""Frames into a transport, no faster than it takes them."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPullProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twistedcam.frame import Frame
from twistedcam.interfaces import ISink
from twistedcam.pacing.transport_sink import PROGRESS_SECONDS, TransportSink
from twistedcam.testing import RecordingSink


def frame(size: int = 100) -> Frame:
    """A frame of C{size} bytes."""
    return Frame(b"\xff\xd8" + bytes(size - 2))


class FakeLink:
    """A link whose readiness the test decides."""

    def __init__(self) -> None:
        self.wait = 0.0
        self.trusted = 0
        self.asked = 0

    def seconds_until_ready(self) -> float:
        """Return C{wait}."""
        self.asked += 1
        return self.wait

    def trusted_frames(self) -> int:
        """Return C{trusted}."""
        return self.trusted


class TransportSinkTests(SynchronousTestCase):
    """A sink into a transport in memory, which has sent all when its producer is resumed."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport: Any = StringTransport()
        self.ready = 0
        self.sink = self.make_sink()

    def make_sink(self, **arguments: Any) -> TransportSink:
        """A sink that counts in C{ready} how often it reports that it is ready."""

        def on_ready() -> None:
            self.ready += 1

        return TransportSink(self.transport, self.clock, on_ready, **arguments)

    def make_link(self) -> FakeLink:
        """Give the sink a link."""
        link: Any = FakeLink()
        self.sink._link = link
        return link  # type: ignore[no-any-return]

    def test_interfaces(self) -> None:
        """It is a sink and a pull producer, and the fake sink is a sink."""
        verifyObject(ISink, self.sink)
        verifyObject(IPullProducer, self.sink)
        verifyObject(ISink, RecordingSink())

    def test_one_at_a_time(self) -> None:
        """A frame is written whole, and the next may begin when it has left; that is reported once."""
        self.assertTrue(self.sink.may_begin())
        self.sink.begin(frame())
        self.assertEqual(self.transport.value(), frame().message)
        self.assertFalse(self.sink.may_begin())
        self.sink.resumeProducing()
        self.assertEqual(self.ready, 1)
        self.assertTrue(self.sink.may_begin())

    def test_portions(self) -> None:
        """Of a large frame the transport holds one portion at a time."""
        self.sink.begin(frame(100_000))
        self.assertEqual(len(self.transport.value()), 32 * 1024)
        while not self.ready:
            self.sink.resumeProducing()
        self.assertEqual(self.transport.value(), frame(100_000).message)

    def test_render(self) -> None:
        """The creator decides which bytes of a frame are written."""
        self.transport.unregisterProducer()
        self.sink = self.make_sink(render=lambda frame: b"rendered")
        self.sink.begin(frame())
        self.assertEqual(self.transport.value(), b"rendered")

    def test_written_before(self) -> None:
        """What was written before has to leave before the first frame."""
        self.transport.unregisterProducer()
        self.sink = self.make_sink(is_writing=True)
        self.assertFalse(self.sink.may_begin())
        self.sink.resumeProducing()
        self.assertTrue(self.sink.may_begin())

    def test_between_frames(self) -> None:
        """A small message is sent between frames, never within one."""
        self.assertTrue(self.sink.send(b"pong"))
        self.sink.resumeProducing()
        self.sink.begin(frame(100_000))
        self.assertFalse(self.sink.send(b"pong"))

    def test_link_not_ready(self) -> None:
        """While the link has no room nothing may begin; the sink reports once when it may be asked again."""
        link = self.make_link()
        link.wait = 0.25
        self.assertFalse(self.sink.may_begin())
        self.assertFalse(self.sink.may_begin())
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0.25)
        self.assertEqual(self.ready, 1)
        link.wait = 0.0
        self.assertTrue(self.sink.may_begin())

    def test_trusted_link(self) -> None:
        """A trusted link is not asked about each frame."""
        link = self.make_link()
        link.trusted = 5
        self.assertTrue(all(self.sink.may_begin() for _ in range(12)))
        self.assertEqual(link.asked, 2)

    def test_stalled(self) -> None:
        """A sink that has kept a frame waiting for 30 s has stalled; one with nothing to send has not."""
        self.assertFalse(self.sink.has_stalled(1000.0))
        self.sink.begin(frame(100_000))
        self.sink.may_begin()
        self.assertFalse(self.sink.has_stalled(PROGRESS_SECONDS))
        self.assertTrue(self.sink.has_stalled(PROGRESS_SECONDS + 1))
        while not self.ready:
            self.sink.resumeProducing()
        self.sink.may_begin()
        self.assertFalse(self.sink.has_stalled(PROGRESS_SECONDS + 1))

    def test_close(self) -> None:
        """A sink that is closed finishes its frame, reports nothing more, and stalls if the frame does not leave."""
        self.sink.begin(frame(100_000))
        self.sink.close()
        self.assertEqual(self.transport.value(), frame(100_000).message)
        self.assertIsNone(self.transport.producer)
        self.assertEqual((self.ready, self.sink.may_begin()), (0, False))
        self.assertTrue(self.sink.has_stalled(PROGRESS_SECONDS + 1))

    def test_lost(self) -> None:
        """When the connection is lost nothing is left in the clock."""
        self.make_link().wait = 0.25
        self.sink.may_begin()
        self.sink.stopProducing()
        self.assertEqual((self.clock.getDelayedCalls(), self.sink.may_begin()), ([], False))
