"""Pace: the bound on a rate, and the thin and the fast link, on real sockets."""

from __future__ import annotations

import random
import socket

from twisted.trial.unittest import TestCase

from twistedcam.pace import LOW_WATER_BYTES, Link, RateLimit


class RateLimitTests(TestCase):
    """Which pictures are due."""

    def due(self, fps: float, times: list[float]) -> int:
        """How many of pictures taken at C{times} are due."""
        limit = RateLimit(fps)
        return sum(limit.due(at) for at in times)

    def test_no_limit(self) -> None:
        """Without a limit all are due."""
        self.assertEqual(self.due(0, [n / 30 for n in range(300)]), 300)

    def test_rates(self) -> None:
        """Of 30 a second for 10 s, as many are due as were asked for."""
        for fps in (1, 5, 7, 15, 20, 24, 29, 30, 60):
            due = self.due(fps, [n / 30 for n in range(300)])
            self.assertIn(due - min(300, fps * 10), (-1, 0, 1), fps)

    def test_jitter(self) -> None:
        """A camera that is a little early or late loses nothing to a limit that is its own rate."""
        jitter = random.Random(1)
        times = [n / 25 + jitter.uniform(-0.001, 0.001) for n in range(250)]
        self.assertEqual(self.due(25, times), 250)

    def test_clock_set(self) -> None:
        """A clock that jumps either way stops nothing and lets no burst through."""
        for jump in (-3600, 3600):
            times = [1e9 + n / 30 for n in range(300)] + [1e9 + jump + 10 + n / 30 for n in range(300)]
            self.assertIn(self.due(10, times), range(198, 204))

    def test_gap(self) -> None:
        """After a gap there is no burst to catch up."""
        limit = RateLimit(10)
        self.assertTrue(limit.due(0))
        self.assertEqual([limit.due(100 + n / 100) for n in range(18)].count(True), 2)


class LinkTests(TestCase):
    """Thin until proven fast."""

    def setUp(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self.ours = socket.create_connection(listener.getsockname())
            self.theirs, _ = listener.accept()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.ours.setblocking(False)
        self.now = 0.0
        self.link = Link(self.ours, lambda: self.now)

    def low_water(self) -> int:
        """TCP_NOTSENT_LOWAT as it is."""
        return self.ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)

    def prove(self) -> None:
        """Ten frames, each wholly acknowledged when the next is due."""
        for _ in range(10):
            self.assertEqual(self.link.wait(), 0.0)

    def fill(self) -> None:
        """Send until the kernel takes no more, while nobody reads."""
        try:
            while True:
                self.ours.send(bytes(65536))
        except BlockingIOError:
            pass

    def test_begins_thin(self) -> None:
        """A new viewer's queue in the kernel is kept short."""
        self.assertFalse(self.link.fast)
        self.assertEqual(self.low_water(), LOW_WATER_BYTES)

    def test_proven_fast(self) -> None:
        """After ten frames that were gone in time, the kernel's queue is its own again."""
        self.prove()
        self.assertTrue(self.link.fast)
        self.assertEqual(self.low_water(), 0)

    def test_thin_again_when_held_up(self) -> None:
        """One frame that could not go out at once is enough."""
        self.prove()
        self.link.held_up()
        self.assertFalse(self.link.fast)
        self.assertEqual(self.low_water(), LOW_WATER_BYTES)

    def test_thin_again_when_seen_unacknowledged(self) -> None:
        """A fast link is looked at now and then, and found out."""
        self.prove()
        self.fill()
        waits = [self.link.wait() for _ in range(30)]
        self.assertEqual(waits[:29], [0.0] * 29)
        self.assertGreater(waits[29], 0)
        self.assertFalse(self.link.fast)

    def test_full_link_waits(self) -> None:
        """Nothing may begin on a thin link that is full, and the wait has bounds."""
        self.fill()
        for _ in range(20):
            wait = self.link.wait()
            self.assertGreaterEqual(wait, 0.001)
            self.assertLessEqual(wait, 0.25)
        self.assertFalse(self.link.fast)

    def test_without_low_water(self) -> None:
        """A system that does not know TCP_NOTSENT_LOWAT gets a small send buffer instead."""
        option = socket.TCP_NOTSENT_LOWAT
        del socket.TCP_NOTSENT_LOWAT
        self.addCleanup(setattr, socket, "TCP_NOTSENT_LOWAT", option)
        before = self.ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        link = Link(self.ours, lambda: 0.0)
        self.assertLess(self.ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), before)
        for _ in range(10):
            link.wait()
        self.assertTrue(link.fast)

    def test_local_sockets(self) -> None:
        """A socket that is no TCP is always ready."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.assertEqual(Link(ours, lambda: 0.0).wait(), 0.0)
