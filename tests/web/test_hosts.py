"""The names by which a server is asked for."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from twistedcam.web.hosts import Hosts, read_name, requested_host


def request_for(path: str, *hosts: str) -> Request:
    """A request for C{path} with these Host headers."""
    channel: Any = DummyChannel()
    request = Request(channel)
    request.path = path.encode()
    request.requestHeaders.setRawHeaders(b"Host", [host.encode() for host in hosts])
    return request


class HostsTests(SynchronousTestCase):
    """Which names are those of a server."""

    def setUp(self) -> None:
        self.hosts = Hosts([read_name("Cam.example")], "Box.Lan.example")

    def test_admitted(self) -> None:
        """This machine's own names and those allowed, IP addresses of any kind, and no name at all."""
        own = ("localhost", "localhost.", "LOCALHOST:8080", "cam.localhost", "box", "box.local:80", "box.lan.example")
        addresses = ("127.0.0.1", "10.0.0.1:80", "[::1]:80", "[2001:DB8::1]", "[fe80::1%25eth0]:80", "[::ffff:1.2.3.4]")
        for host in (*own, *addresses, "cam.example", "CAM.EXAMPLE.:8080", ""):
            self.assertTrue(self.hosts.admits(requested_host(request_for("/", host))), host)
        self.assertTrue(self.hosts.admits(requested_host(request_for("/"))))

    def test_refused(self) -> None:
        """A name that anybody may make resolve to this machine."""
        others = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "evil-localhost", "local")
        for host in (*others, "a.cam.example", "lan.example", "127.1.", "xn--bcher-kva.example"):
            self.assertFalse(self.hosts.admits(requested_host(request_for("/", host))), host)

    def test_machine_without_a_name(self) -> None:
        """Whatever the machine is called: its name may be no host name."""
        for machine in ("", "my machine", "-", "\udcff"):
            self.assertTrue(Hosts((), machine).admits("localhost"))
            self.assertFalse(Hosts((), machine).admits("evil.example"))

    def test_names(self) -> None:
        """A name is written as requests have it; what is more than a name is refused."""
        for text, name in (("Cam.Example.", "cam.example"), ("b\u00fccher.example", "xn--bcher-kva.example")):
            self.assertEqual(read_name(text), name)
        for text in ("", ".", "http://a", "a:80", "a/b", "a..b", "*.a", "a b", "a" * 64, "a." * 200, "[::1]", "\udcff"):
            self.assertRaisesRegex(ValueError, "is not a host name, write it without", read_name, text)


class RequestedHostTests(SynchronousTestCase):
    """The host of a request."""

    def test_malformed(self) -> None:
        """Two Host headers are refused, even if they are the same, and one that is malformed."""
        for hosts in (("a", "a"), ("localhost", "evil.example")):
            self.assertRaisesRegex(ValueError, "one Host header", requested_host, request_for("/", *hosts))
        for host in (
            "a b",
            "a:b",
            "::1",
            "[::1",
            "[a]",
            "[]",
            "a@b",
            "a/b",
            "http://a",
            "a..b",
            "a,b",
            "\u00fc",
            "a\x1b",
        ):
            self.assertRaisesRegex(ValueError, "Host header is malformed", requested_host, request_for("/", host))

    def test_whole_uri(self) -> None:
        """The host in a whole URI counts, not the header, and the request is for the path in it."""
        request = request_for("HTTP://Evil.example:80/stream/desk", "localhost")
        self.assertEqual(requested_host(request), "evil.example")
        self.assertEqual((request.path, request.postpath), (b"/stream/desk", [b"stream", b"desk"]))
        request = request_for("https://[::1]", "evil.example")
        self.assertEqual((requested_host(request), request.path, request.postpath), ("::1", b"/", [b""]))
        self.assertRaises(ValueError, requested_host, request_for("http://me@localhost/", "localhost"))
