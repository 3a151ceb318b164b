"""The emulated link of the benchmarks: its queue by numbers, and the whole of it with real packets."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys

from twisted.trial.unittest import SkipTest, TestCase

from tests.emulated_link import SERVER_HOST, Conditions, Way, link

_SEND = f"""
import socket, sys
with socket.create_server(("{SERVER_HOST}", 9)) as server:
    print("listening", flush=True)
    connection = server.accept()[0]
    connection.recv(1)
    connection.sendall(bytes(int(sys.argv[1])))
"""
_RECEIVE = f"""
import socket, time
began = time.monotonic()
with socket.create_connection(("{SERVER_HOST}", 9)) as connection:
    connected = time.monotonic()
    connection.sendall(b"x")
    count = 0
    while portion := connection.recv(65536):
        count += len(portion)
    print(connected - began, time.monotonic() - connected, count)
"""


def never() -> float:
    """A random number at which nothing is lost."""
    return 1.0


class WayTests(TestCase):
    """When a packet is at the other end."""

    def test_rate_and_delay(self) -> None:
        """Packets follow each other at the link's rate, and all of them take the delay."""
        way = Way(Conditions(rate=8000, delay=0.5), never)
        for _ in range(3):
            way.put(bytes(1000), 10.0)
        self.assertEqual(way.next_arrival, 11.5)
        self.assertEqual(list(way.take(11.4)), [])
        self.assertEqual(list(way.take(12.5)), [bytes(1000)] * 2)
        self.assertEqual(way.next_arrival, 13.5)

    def test_idle_link_saves_nothing_up(self) -> None:
        """An idle link does not save up its rate."""
        way = Way(Conditions(rate=8000), never)
        way.put(bytes(1000), 0.0)
        way.put(bytes(1000), 100.0)
        self.assertEqual(len(list(way.take(100.9))), 1)

    def test_queue(self) -> None:
        """What does not fit into the queue is dropped; there is room again when something has left."""
        way = Way(Conditions(rate=8000, queue=2000), never)
        for _ in range(5):
            way.put(bytes(1000), 0.0)
        self.assertEqual((way.carried, way.dropped), (2, 3))
        way.put(bytes(1000), 1.0)
        self.assertEqual((way.carried, way.dropped), (3, 3))

    def test_loss(self) -> None:
        """The share of packets that is lost is the one asked for."""
        way = Way(Conditions(loss=0.1), random.Random(1).random)
        for _ in range(10_000):
            way.put(b"x", 0.0)
        self.assertAlmostEqual(way.dropped / 10_000, 0.1, places=2)

    def test_stall(self) -> None:
        """A link that was stalled continues where it stopped."""
        way = Way(Conditions(rate=8000, stall_every=5.0, stall_seconds=2.0), never)
        way.put(bytes(1000), 0.0)
        way.put(bytes(1000), 3.5)
        self.assertEqual(list(way.take(4.9)), [bytes(1000)])
        self.assertEqual(way.next_arrival, 6.0)


class LinkTests(TestCase):
    """Real TCP between two namespaces."""

    def test_rate_and_delay(self) -> None:
        """A megabit a second arrives, after the delay in both directions."""
        if os.geteuid() or not os.path.exists("/dev/net/tun"):
            raise SkipTest("needs root and /dev/net/tun")
        if shutil.which("ip") is None:
            raise SkipTest("needs the command ip, of Debian's package iproute2")
        try:
            ends = self.enterContext(link(Conditions(rate=1e6, delay=0.05, queue=30e3)))
        except (OSError, subprocess.SubprocessError) as error:
            raise SkipTest(f"no network namespaces here: {error}") from None
        words = [*ends.server, sys.executable, "-c", _SEND, "100000"]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            server.stdout.readline()
            words = [*ends.viewer, sys.executable, "-c", _RECEIVE]
            said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        connected, received, count = said.split()
        self.assertEqual(int(count), 100_000)
        # 0.1 s for a round trip, and at least 0.8 s for that many bits: never less, however busy the machine is.
        self.assertGreaterEqual(float(connected), 0.1)
        self.assertGreaterEqual(float(received), 0.8)
