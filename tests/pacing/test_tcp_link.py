"""Pace: the bound on a rate, and the thin and the fast link, on real sockets."""

from __future__ import annotations

import fcntl
import random
import socket
import struct
import termios
from typing import Any

from twisted.trial.unittest import TestCase

from twistedcam.pacing.tcp_link import LOW_WATER_BYTES, Link, TCPInfo, WindowedMax, drain_seconds
from twistedcam.rates import RateLimit


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
        self.assertIn(self.link.trusted_frames(), range(20, 41))
        self.assertGreater(self.link.wait(), 0)
        self.assertFalse(self.link.fast)
        self.assertEqual(self.link.trusted_frames(), 0)

    def test_full_link_waits(self) -> None:
        """Nothing may begin on a thin link that is full, and the wait has bounds."""
        self.fill()
        for _ in range(20):
            wait = self.link.wait()
            self.assertGreaterEqual(wait, 0.001)
            self.assertLessEqual(wait, 0.25)
        self.assertFalse(self.link.fast)

    def test_slow_reader(self) -> None:
        """While the viewer's side has much that was not read, nothing may begin; when it was read, something may."""
        sent = self.ours.send(bytes(40_000))
        while self.link.wait() == 0.0:
            sent += self.ours.send(bytes(1000))
        waits = []
        for _ in range(20):
            waits.append(self.link.wait())
            self.now += waits[-1]
        self.assertEqual(waits, sorted(waits))  # looked for ever less often
        self.assertLessEqual(waits[-1], 0.25)
        self.theirs.setblocking(True)
        while sent:
            sent -= len(self.theirs.recv(sent))
        self.assertEqual(self.link.wait(), 0.0)

    def test_runs_empty(self) -> None:
        """A link that is never empty is let run so now and then, or its shortest round trip could not be measured."""
        link: Any = self.link
        busy = TCPInfo(1500, min_rtt=40_000, bytes_per_second=100_000, sent_bytes=4500, window_bytes=65_536)
        link._info = lambda: busy
        self.assertEqual(link.wait(), 0.0)
        self.now = 31.0
        self.assertGreater(link.wait(), 0.0)
        link._info = lambda: busy._replace(acknowledged_bytes=1500)
        self.assertEqual(link.wait(), 0.0)
        link._info = lambda: busy
        self.assertEqual(link.wait(), 0.0)

    def test_put_off_acknowledgement(self) -> None:
        """An acknowledgement may be put off until there are two packets, which over loopback are of 64 kB."""
        link: Any = self.link
        link._info = lambda: TCPInfo(65_483, min_rtt=20, bytes_per_second=10**9, sent_bytes=40_000, window_bytes=65_536)
        self.prove()
        self.assertTrue(self.link.fast)

    def test_older_kernel(self) -> None:
        """Where the kernel does not tell enough nothing waits, but nothing is taken for proven either."""
        link: Any = self.link
        link._info = lambda: None
        self.prove()
        self.assertFalse(self.link.fast)
        self.assertEqual(self.low_water(), LOW_WATER_BYTES)

    def test_looks_are_spread(self) -> None:
        """Viewers that came together are not all looked at for the same frame, whose last would wait for it."""
        self.prove()
        self.assertGreater(len({self.link.trusted_frames() for _ in range(100)}), 10)

    def test_unacknowledged(self) -> None:
        """What is unacknowledged is what the kernel has in the socket's queue."""
        link: Any = self.link

        def queued() -> int:
            (count,) = struct.unpack("i", fcntl.ioctl(self.ours, termios.TIOCOUTQ, bytes(4)))
            return int(count)

        for _ in range(2):
            self.fill()
            self.assertGreater(queued(), 100_000)
            self.assertIn(queued() - link._info().unacknowledged_bytes, (0, 1))  # one for the connection
            while queued():
                self.theirs.recv(1 << 20)
            self.assertIn(link._info().unacknowledged_bytes, (0, -1))

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


class DrainTests(TestCase):
    """How much may be on its way."""

    def test_busy_but_not_queued(self) -> None:
        """The bandwidth-delay product and a little more may be; what is above that has to drain first."""
        info = TCPInfo(packet_bytes=1000, min_rtt=40_000, bytes_per_second=100_000)
        self.assertEqual(drain_seconds(info._replace(sent_bytes=5000), 100_000), 0.0)  # 4000 and a quarter of it
        self.assertAlmostEqual(drain_seconds(info._replace(sent_bytes=7000), 100_000), 0.02)

    def test_long_delay(self) -> None:
        """On a link of a long delay it is not a quarter more: that would be age."""
        info = TCPInfo(packet_bytes=1000, min_rtt=400_000, sent_bytes=45_000)
        self.assertAlmostEqual(drain_seconds(info, 100_000), 0.02)

    def test_small_link(self) -> None:
        """Two packets may always be."""
        self.assertEqual(drain_seconds(TCPInfo(packet_bytes=1500, min_rtt=1000, sent_bytes=3000), 1000), 0.0)

    def test_behind_a_loss(self) -> None:
        """What arrived behind something that was lost is not on its way any more."""
        info = TCPInfo(packet_bytes=1000, min_rtt=40_000, sent_bytes=7000, arrived_packets=2)
        self.assertEqual(drain_seconds(info, 100_000), 0.0)

    def test_bounds(self) -> None:
        """No wait is so short that it is a busy loop, or so long that the link runs dry unseen."""
        info = TCPInfo(packet_bytes=1000, min_rtt=40_000, sent_bytes=10**9)
        self.assertEqual(drain_seconds(info._replace(sent_bytes=5001), 100_000), 0.001)
        self.assertEqual(drain_seconds(info, 1000), 0.25)
        self.assertEqual(drain_seconds(info, 0), 0.04)  # a round trip, while the rate is not known

    def test_largest(self) -> None:
        """The largest value is remembered for a while, and not for ever."""
        largest = WindowedMax(0.0)
        self.assertEqual(
            [largest.add(value, at) for at, value in ((1, 9), (4, 1), (6, 2), (9, 3), (12, 1))], [9, 9, 9, 9, 3]
        )
