"""Addresses as people write them, and options of sockets."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import ITCPTransport, IUNIXTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from twistedcam.net import describe, disable_nagle, is_local, network_of, reachable


class DescribeTests(SynchronousTestCase):
    """Addresses as text."""

    def test_describe(self) -> None:
        """IPv6 hosts are in brackets, a port that is not known is left out, and a local socket is its path."""
        self.assertEqual(describe(IPv4Address("TCP", "10.0.0.1", 99)), "10.0.0.1:99")
        self.assertEqual(describe(IPv6Address("TCP", "::1", 99)), "[::1]:99")
        self.assertEqual(describe(IPv6Address("TCP", "::1", 0)), "::1")
        self.assertEqual(describe(UNIXAddress("/run/cam")), "/run/cam")


class LocalTests(SynchronousTestCase):
    """Which addresses are this machine's own."""

    def test_local(self) -> None:
        """Loopback addresses and UNIX sockets, and 127.0.0.1 as a socket for both protocols writes it."""
        for host in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
            self.assertTrue(is_local(IPv6Address("TCP", host, 99)), host)
        self.assertTrue(is_local(UNIXAddress("/run/cam")))
        for host in ("10.0.0.1", "::", "::ffff:10.0.0.1", "fe80::1%eth0"):
            self.assertFalse(is_local(IPv6Address("TCP", host, 99)), host)


class NetworkTests(SynchronousTestCase):
    """What counts as one source of connections."""

    def test_network_of(self) -> None:
        """An IPv4 address, in either notation, or a /64 network."""
        for host, network in (
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("", ""),
            ("example.onion", "example.onion"),
        ):
            self.assertEqual(network_of(host), network)


class ReachableTests(SynchronousTestCase):
    """The addresses at which others can reach this machine."""

    def refuse(self, *arguments: Any) -> Any:
        """What the kernel answers to a service that may not use an address family."""
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    def test_one_address(self) -> None:
        """A listener on one address is reached there; nothing is asked of the system."""
        self.patch(socket, "socket", self.refuse)
        self.assertEqual(reachable("10.0.0.1"), ["10.0.0.1"])

    def test_all_interfaces(self) -> None:
        """A listener on all of them is reached at each one's own address, and otherwise on this machine."""
        for host in ("0.0.0.0", "::"):
            found = reachable(host)
            self.assertTrue(found)
            self.assertNotIn(host, found)
            self.assertTrue("127.0.0.1" not in found or found == ["127.0.0.1"], found)

    def test_no_netlink(self) -> None:
        """Where the system does not list its interfaces, as in the hardened unit, the default route is left."""
        self.patch(socket, "if_nameindex", self.refuse)
        self.assertEqual(len(reachable("0.0.0.0")), 1)

    def test_no_ipv4(self) -> None:
        """Where there are no IPv4 sockets either, this machine's own address is left."""
        self.patch(socket, "if_nameindex", self.refuse)
        self.patch(socket, "socket", self.refuse)
        self.assertEqual(reachable("::"), ["127.0.0.1"])

    def test_interface_without_address(self) -> None:
        """An interface that has no address, or went away meanwhile, is passed over."""
        self.patch(socket, "if_nameindex", lambda: [(1, "nosuchthing0")])
        self.assertEqual(len(reachable("0.0.0.0")), 1)


class Transport:
    """A transport that records which options are set."""

    def __init__(self, *provided: type) -> None:
        self.is_nagle_disabled = False
        directlyProvides(self, *provided)

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        self.is_nagle_disabled = enabled


class NagleTests(SynchronousTestCase):
    """Small messages are sent at once."""

    def test_tcp(self) -> None:
        """Nagle's algorithm is off on a TCP connection."""
        transport = Transport(ITCPTransport)
        disable_nagle(transport)
        self.assertTrue(transport.is_nagle_disabled)

    def test_unix_socket(self) -> None:
        """A UNIX socket is left alone, although Twisted calls it a TCP transport: older versions fail to set it."""
        transport = Transport(ITCPTransport, IUNIXTransport)
        disable_nagle(transport)
        self.assertFalse(transport.is_nagle_disabled)
