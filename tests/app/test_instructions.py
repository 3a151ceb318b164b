"""The commands and URLs to watch with."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import TestCase

from twistedcam.app import instructions
from twistedcam.app.instructions import watch_commands, web_urls

HERE = IPv4Address("TCP", "127.0.0.1", 9999)
ANYWHERE = IPv4Address("TCP", "0.0.0.0", 8080)


class NamedAddress:
    """An address whose host is a name, as that of an onion service."""

    host = "abc.onion"
    port = 80


class InstructionsTests(TestCase):
    """What is printed for each kind of address."""

    def test_commands(self) -> None:
        """The port is named unless it is the usual one; a key is added, and a local socket is an endpoint."""
        for address, key, line in (
            (HERE, "", "--host 127.0.0.1"),
            (IPv4Address("TCP", "127.0.0.1", 80), "", "--host 127.0.0.1 --port 80"),
            (IPv6Address("TCP", "::1", 9999), "abc", "--host ::1 --key abc"),
            (UNIXAddress("/run/cam"), "", "--endpoint unix:/run/cam"),
            (NamedAddress(), "", "--host abc.onion --port 80"),
        ):
            self.assertEqual(watch_commands(address, key), [f"twistd -n camstream-client {line}"])

    def test_urls(self) -> None:
        """They say whether TLS is used, and may have an end; a local socket has none."""
        self.assertEqual(web_urls(HERE, False), ["http://127.0.0.1:9999/"])
        self.assertEqual(web_urls(IPv6Address("TCP", "::1", 80), True, "?key=abc"), ["https://[::1]:80/?key=abc"])
        self.assertEqual(web_urls(NamedAddress(), False), ["http://abc.onion:80/"])
        self.assertEqual(web_urls(UNIXAddress("/run/cam"), False), [])

    def test_all_interfaces(self) -> None:
        """An address that stands for all interfaces is replaced by those of this machine."""
        self.patch(instructions, "reachable", lambda host: ["192.0.2.1", "198.51.100.1"])
        self.assertEqual(web_urls(ANYWHERE, False), ["http://192.0.2.1:8080/", "http://198.51.100.1:8080/"])
        self.assertEqual(len(watch_commands(ANYWHERE)), 2)

    def test_unknown_kind(self) -> None:
        """For an address of an unknown kind nothing is printed."""
        self.assertEqual((watch_commands(object()), web_urls(object(), False)), ([], []))
