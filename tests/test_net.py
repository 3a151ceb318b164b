"""Addresses, as people write them."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.net import describe


class DescribeTests(SynchronousTestCase):
    """Addresses as text."""

    def test_describe(self) -> None:
        """IPv6 hosts are in brackets, and a local socket is its path."""
        self.assertEqual(describe(IPv4Address("TCP", "10.0.0.1", 99)), "10.0.0.1:99")
        self.assertEqual(describe(IPv6Address("TCP", "::1", 99)), "[::1]:99")
        self.assertEqual(describe(UNIXAddress("/run/cam")), "/run/cam")
