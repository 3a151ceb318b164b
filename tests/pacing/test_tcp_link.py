"""The thin and the fast link, on real sockets."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from typing import Any

from twisted.trial.unittest import TestCase

from twistedcam.pacing.tcp_link import LOW_WATER_BYTES, TCPInfo, TCPLink, WindowedMax, drain_seconds


class TCPLinkTests(TestCase):
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
        self.link = TCPLink(self.ours, lambda: self.now)

    def low_water(self) -> int:
        """The socket's TCP_NOTSENT_LOWAT."""
        return self.ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)

    def prove(self) -> None:
        """Let ten frames pass, each acknowledged completely when the next is due."""
        for _ in range(10):
            self.assertEqual(self.link.seconds_until_ready(), 0.0)

    def fill(self) -> None:
        """Send until the kernel takes no more; nothing is read."""
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
        """After ten frames that left in time, the kernel's queue is not kept short any more."""
        self.prove()
        self.assertTrue(self.link.fast)
        self.assertEqual(self.low_water(), 0)

    def test_thin_again_when_held_up(self) -> None:
        """One frame that could not leave at once makes the link thin."""
        self.prove()
        self.link.held_up()
        self.assertFalse(self.link.fast)
        self.assertEqual(self.low_water(), LOW_WATER_BYTES)

    def test_thin_again_when_seen_unacknowledged(self) -> None:
        """A fast link is sampled now and then, and becomes thin if it is full."""
        self.prove()
        self.fill()
        self.assertIn(self.link.trusted_frames(), range(20, 41))
        self.assertGreater(self.link.seconds_until_ready(), 0)
        self.assertFalse(self.link.fast)
        self.assertEqual(self.link.trusted_frames(), 0)

    def test_full_link_waits(self) -> None:
        """Nothing may begin on a thin link that is full, and the wait has bounds."""
        self.fill()
        for _ in range(20):
            wait = self.link.seconds_until_ready()
            self.assertGreaterEqual(wait, 0.001)
            self.assertLessEqual(wait, 0.25)
        self.assertFalse(self.link.fast)

    def test_slow_reader(self) -> None:
        """While the viewer's side has much unread nothing may begin; once it is read, a frame may."""
        sent = self.ours.send(bytes(40_000))
        while self.link.seconds_until_ready() == 0.0:
            sent += self.ours.send(bytes(1000))
        waits = []
        for _ in range(20):
            waits.append(self.link.seconds_until_ready())
            self.now += waits[-1]
        self.assertEqual(waits, sorted(waits))  # sampled less and less often
        self.assertLessEqual(waits[-1], 0.25)
        self.theirs.setblocking(True)
        while sent:
            sent -= len(self.theirs.recv(sent))
        self.assertEqual(self.link.seconds_until_ready(), 0.0)

    def test_runs_empty(self) -> None:
        """A link that is never empty is emptied now and then: its shortest round trip has to be measured."""
        link: Any = self.link
        busy = TCPInfo(1500, min_rtt=40_000, bytes_per_second=100_000, sent_bytes=4500, window_bytes=65_536)
        link._info = lambda: busy
        self.assertEqual(link.seconds_until_ready(), 0.0)
        self.now = 31.0
        self.assertGreater(link.seconds_until_ready(), 0.0)
        link._info = lambda: busy._replace(acknowledged_bytes=1500)
        self.assertEqual(link.seconds_until_ready(), 0.0)
        link._info = lambda: busy
        self.assertEqual(link.seconds_until_ready(), 0.0)

    def test_delayed_ack(self) -> None:
        """Up to two segments, which on loopback are 64 kB each, may be unacknowledged on a fast link."""
        link: Any = self.link
        link._info = lambda: TCPInfo(65_483, min_rtt=20, bytes_per_second=10**9, sent_bytes=40_000, window_bytes=65_536)
        self.prove()
        self.assertTrue(self.link.fast)

    def test_older_kernel(self) -> None:
        """If the kernel reports too little, nothing waits, but the link is not proven fast either."""
        link: Any = self.link
        link._info = lambda: None
        self.prove()
        self.assertFalse(self.link.fast)
        self.assertEqual(self.low_water(), LOW_WATER_BYTES)

    def test_samples_are_spread(self) -> None:
        """Links of viewers that connected together are not all sampled for the same frame."""
        self.prove()
        self.assertGreater(len({self.link.trusted_frames() for _ in range(100)}), 10)

    def test_unacknowledged(self) -> None:
        """The unacknowledged bytes are those in the kernel's queue of the socket."""
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
        """On a system without TCP_NOTSENT_LOWAT the send buffer is made small instead."""
        option = socket.TCP_NOTSENT_LOWAT
        del socket.TCP_NOTSENT_LOWAT
        self.addCleanup(setattr, socket, "TCP_NOTSENT_LOWAT", option)
        before = self.ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        link = TCPLink(self.ours, lambda: 0.0)
        self.assertLess(self.ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), before)
        for _ in range(10):
            link.seconds_until_ready()
        self.assertTrue(link.fast)

    def test_local_sockets(self) -> None:
        """A socket other than TCP is always ready."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.assertEqual(TCPLink(ours, lambda: 0.0).seconds_until_ready(), 0.0)


class DrainTests(TestCase):
    """How much may be in flight."""

    def test_busy_but_not_queued(self) -> None:
        """The bandwidth-delay product and a little more may be in flight; the rest has to drain first."""
        info = TCPInfo(segment_bytes=1000, min_rtt=40_000, bytes_per_second=100_000)
        self.assertEqual(drain_seconds(info._replace(sent_bytes=5000), 100_000), 0.0)  # 4000 and a quarter of it
        self.assertAlmostEqual(drain_seconds(info._replace(sent_bytes=7000), 100_000), 0.02)

    def test_long_delay(self) -> None:
        """On a link with a long delay the margin is bounded: it adds to the age."""
        info = TCPInfo(segment_bytes=1000, min_rtt=400_000, sent_bytes=45_000)
        self.assertAlmostEqual(drain_seconds(info, 100_000), 0.02)

    def test_small_link(self) -> None:
        """Two segments may always be in flight."""
        self.assertEqual(drain_seconds(TCPInfo(segment_bytes=1500, min_rtt=1000, sent_bytes=3000), 1000), 0.0)

    def test_behind_a_loss(self) -> None:
        """What arrived behind a lost segment is not in flight any more."""
        info = TCPInfo(segment_bytes=1000, min_rtt=40_000, sent_bytes=7000, sacked_segments=2)
        self.assertEqual(drain_seconds(info, 100_000), 0.0)

    def test_bounds(self) -> None:
        """No wait is so short as to be a busy loop, or so long that the link runs dry unnoticed."""
        info = TCPInfo(segment_bytes=1000, min_rtt=40_000, sent_bytes=10**9)
        self.assertEqual(drain_seconds(info._replace(sent_bytes=5001), 100_000), 0.001)
        self.assertEqual(drain_seconds(info, 1000), 0.25)
        self.assertEqual(drain_seconds(info, 0), 0.04)  # a round trip, while the rate is not known

    def test_windowed_max(self) -> None:
        """The largest value is remembered for a while, not forever."""
        largest = WindowedMax(0.0)
        self.assertEqual(
            [largest.add(value, at) for at, value in ((1, 9), (4, 1), (6, 2), (9, 3), (12, 1))], [9, 9, 9, 9, 3]
        )
