"""How many viewers a server takes, and what it logs."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.raw_messages import pack_json
from tests.server.peers import connect, frame
from twistedcam.access.admission import Admission
from twistedcam.hub import Hub
from twistedcam.interfaces import IGuard
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.wire.messages import Challenge, Hello


@implementer(IGuard)
class Open:
    """A guard that admits everybody who sends a hello."""

    def guessed_name(self, hello: Hello) -> str | None:
        """None: there is no password."""
        return None

    async def admit(self, hello: Hello, is_private: bool) -> Challenge | None:
        """Admit."""
        return None


class ViewerServerFactoryTests(TestCase):
    """A server in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hub, self.pickles = Hub(), Hub()
        self.admission = Admission(self.clock)

    def start(self, make_guard: Any = lambda: None, sends_pickles: bool = False) -> ViewerServerFactory:
        """Start a server."""
        silent_hub = self.pickles if sends_pickles else self.hub
        factory = ViewerServerFactory(self.clock, {"desk": self.hub}, silent_hub, make_guard, self.admission)
        factory.doStart()
        self.addCleanup(factory.doStop)
        return factory

    def test_full(self) -> None:
        """A viewer above the limit is told to try again later; when another has left there is a place."""
        factory = self.start()
        self.admission.viewers.limit = 2
        first, _ = connect(factory)
        connect(factory)
        _, transport = connect(factory)
        message = json.loads(transport.value()[8:])
        self.assertEqual((message["type"], message["again"]), ("refused", True))
        self.assertEqual(message["reason"], "the viewer limit of 2 has been reached, try again later")
        self.assertTrue(transport.disconnecting)
        first.connectionLost(connectionDone)
        viewer, _ = connect(factory)
        self.assertTrue(viewer.is_watching)

    def test_full_of_pickles(self) -> None:
        """With pickles, a viewer above the limit is sent nothing: it could not read a refusal."""
        factory = self.start(sends_pickles=True)
        self.admission.viewers.limit = 0
        _, transport = connect(factory)
        self.assertEqual((transport.value(), transport.disconnected), (b"", True))

    def test_pickles(self) -> None:
        """With pickles, a viewer that sends a hello is sent JPEGs."""
        viewer, transport = connect(self.start(sends_pickles=True))
        self.assertTrue(self.pickles.is_watched)
        viewer.dataReceived(pack_json({"type": "hello"}))
        self.assertFalse(self.pickles.is_watched)
        self.hub.publish(frame(1))
        self.assertEqual(transport.value(), frame(1).message)

    def test_counted_elsewhere(self) -> None:
        """Places that are taken over HTTP count as well."""
        factory = self.start()
        self.admission.viewers.limit = 1
        place = self.admission.viewers.take()
        viewer, _ = connect(factory)
        self.assertFalse(viewer.is_watching)
        place.release()
        viewer, _ = connect(factory)
        self.assertTrue(viewer.is_watching)

    def test_own_admission(self) -> None:
        """A factory that is given no admission has one of its own."""
        factory = ViewerServerFactory(self.clock, {"desk": self.hub}, self.hub)
        connect(factory)
        self.assertEqual(factory.admission.viewers.taken, 1)

    def test_log(self) -> None:
        """Only viewers that watch are counted as watching: not those that wait to be let in."""
        factory = self.start(Open)
        with capturedLogs() as events:
            first, _ = connect(factory)
            second, _ = connect(factory)
            first.dataReceived(pack_json({"type": "hello"}))
            second.connectionLost(connectionDone)
            first.connectionLost(connectionDone)
        self.assertEqual(
            [line for line in map(formatEvent, events) if "watching" in line],
            [
                "viewer 127.0.0.1:1 came, 1 watching",
                "viewer 127.0.0.1:1 gone (it left before it was let in), 1 watching",
                "viewer 127.0.0.1:1 gone (it left), 0 watching",
            ],
        )

    def test_stop(self) -> None:
        """When the server stops, every viewer is disconnected, and no sweep is left."""
        factory = self.start()
        viewer, transport = connect(factory)
        factory.doStop()
        self.addCleanup(factory.doStart)
        self.assertEqual((transport.disconnected, viewer.reason), (True, "ended: the server is stopping"))
        self.assertEqual((self.hub.is_watched, self.clock.getDelayedCalls()), (False, []))
