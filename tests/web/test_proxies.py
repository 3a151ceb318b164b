"""Who the client behind a proxy is."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from twistedcam.web.proxies import Proxies, read_network

PROXY = "10.0.0.1"


class ProxiesTests(SynchronousTestCase):
    """The client of a request."""

    def setUp(self) -> None:
        self.proxies = Proxies(map(read_network, ("10.0.0.0/8", "2001:db8::9")))

    def client(self, x_forwarded_for: tuple[str, ...] = (), forwarded: tuple[str, ...] = (), peer: str = PROXY) -> Any:
        """The client of a request that C{peer} sends with these header lines."""
        channel: Any = DummyChannel()
        channel.getPeer = lambda: (IPv6Address if ":" in peer else IPv4Address)("TCP", peer, 4711)
        request = Request(channel)
        request.requestHeaders.setRawHeaders("X-Forwarded-For", x_forwarded_for)
        request.requestHeaders.setRawHeaders("Forwarded", forwarded)
        return self.proxies.client_of(request)

    def host(self, *x_forwarded_for: str, forwarded: tuple[str, ...] = ()) -> str:
        """The client's address, behind the proxy."""
        found: str = self.client(x_forwarded_for, forwarded).host
        return found

    def test_not_trusted(self) -> None:
        """Others are not believed: they are the clients themselves, wherever they say that they come from."""
        for peer in ("203.0.113.1", "2001:db8::1"):
            client = self.client(("6.6.6.6",), ("for=6.6.6.6",), peer=peer)
            self.assertEqual((client.host, client.port), (peer, 4711))
        channel: Any = DummyChannel()
        channel.getPeer = lambda: UNIXAddress(None)
        self.assertEqual(self.proxies.client_of(Request(channel)), UNIXAddress(None))

    def test_trusted(self) -> None:
        """A proxy tells the client's address; without a header it is the client."""
        for peer in (PROXY, "::ffff:10.0.0.1", "2001:db8::9"):
            self.assertEqual(self.client(("203.0.113.7",), peer=peer), IPv4Address("TCP", "203.0.113.7", 0))
        self.assertEqual(self.client(("2001:db8::7",)), IPv6Address("TCP", "2001:db8::7", 0))
        self.assertEqual(self.client(), IPv4Address("TCP", PROXY, 4711))

    def test_last_untrusted(self) -> None:
        """The last address that no trusted proxy is at: what stands before it, the client may have made up."""
        self.assertEqual(self.host("6.6.6.6, 203.0.113.7"), "203.0.113.7")
        self.assertEqual(self.host("6.6.6.6, 203.0.113.7, 10.1.1.1,10.0.0.2"), "203.0.113.7")
        self.assertEqual(self.host("6.6.6.6", "203.0.113.7", "10.1.1.1"), "203.0.113.7")
        self.assertEqual(self.host("10.0.0.5, 10.1.1.1"), "10.0.0.5")

    def test_nodes(self) -> None:
        """Addresses with and without a port, and of either family."""
        for node, host in (
            ("203.0.113.7:4711", "203.0.113.7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:DB8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
        ):
            self.assertEqual(self.host(f"6.6.6.6, {node}"), host)
            self.assertEqual(self.host(forwarded=(f'for=6.6.6.6, proto=https;For="{node}"',)), host)

    def test_garbage(self) -> None:
        """Where a proxy does not say, it is the client itself, and not who the client says that it is."""
        for node in (
            "unknown",
            "_hidden",
            "",
            "garbage",
            "203.0.113.7;",
            '"203.0.113.7"',
            "1.2.3",
            "[::1",
            "\xff",
            "\x1b[",
        ):
            self.assertEqual(self.host(f"6.6.6.6, {node}"), PROXY, node)
            self.assertEqual(self.host(f"6.6.6.6, {node}, 10.1.1.1"), "10.1.1.1", node)
        for element in (
            "for=unknown",
            'for="_x:_y"',
            "by=1.2.3.4",
            "for",
            'for="1.2.3.4',
            "for=1.2.3.4 x",
            "1.2.3.4",
            "",
        ):
            self.assertEqual(self.host(forwarded=(f"for=6.6.6.6, {element}",)), PROXY, element)

    def test_forwarded(self) -> None:
        """Several lines, parameters in any order; what a client puts into another parameter is no address."""
        self.assertEqual(self.host(forwarded=("for=6.6.6.6", "by=_p;for=203.0.113.7;host=a.example")), "203.0.113.7")
        self.assertEqual(self.host(forwarded=('for=203.0.113.7;host="a;for=6.6.6.6"',)), "203.0.113.7")
        self.assertEqual(self.host(forwarded=('x="y;for=6.6.6.8";for=203.0.113.7',)), "203.0.113.7")
        self.assertEqual(self.host(forwarded=("for=203.0.113.7;for=6.6.6.8",)), PROXY)
        for host in ("a, for=6.6.6.6", "a, for=6.6.6.6, b", "a,for=6.6.6.6;b="):
            self.assertEqual(self.host(forwarded=(f'for=203.0.113.7;host="{host}"',)), PROXY, host)

    def test_contradiction(self) -> None:
        """A proxy that sets one header may pass on the other, which the client has made up."""
        self.assertEqual(self.host("203.0.113.7", forwarded=("for=203.0.113.7",)), "203.0.113.7")
        self.assertEqual(self.host("203.0.113.7", forwarded=("for=6.6.6.6",)), PROXY)
        self.assertEqual(self.host("6.6.6.6", forwarded=("for=unknown",)), PROXY)

    def test_long(self) -> None:
        """A long list of proxies, which no chain has, is read to a limit only."""
        self.assertEqual(self.host("6.6.6.6, " + ", ".join(["10.1.1.1"] * 5000)), "10.1.1.1")
