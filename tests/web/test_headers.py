"""Headers that are not UTF-8."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from twistedcam.web.headers import header, headers
from twistedcam.web.hosts import requested_host
from twistedcam.web.origins import Origins
from twistedcam.web.proxies import Proxies, read_network


class HeaderTests(SynchronousTestCase):
    """Any bytes."""

    def setUp(self) -> None:
        channel: Any = DummyChannel()
        channel.getPeer = lambda: IPv4Address("TCP", "10.0.0.1", 4711)
        self.request = Request(channel)

    def test_text(self) -> None:
        """Each byte is one character, and the last of several values counts."""
        self.assertIsNone(header(self.request, b"Origin"))
        self.request.requestHeaders.setRawHeaders(b"Origin", [b"a", b"\xff\x80"])
        self.assertEqual(headers(self.request, b"Origin"), ["a", "\xff\x80"])
        self.assertEqual(header(self.request, b"Origin"), "\xff\x80")

    def test_everywhere(self) -> None:
        """A request whose headers are no text is refused or is that of a proxy, and raises nothing else."""
        for name in (b"Host", b"Origin", b"Referer", b"Sec-Fetch-Site", b"X-Forwarded-For", b"Forwarded"):
            self.request.requestHeaders.setRawHeaders(name, [b"\xff"])
        self.request.path = b"/"
        self.assertRaisesRegex(ValueError, "malformed", requested_host, self.request)
        self.assertFalse(Origins("http://a.example").admits(self.request))
        self.assertEqual(Proxies([read_network("10.0.0.1")]).client_of(self.request).host, "10.0.0.1")  # type: ignore[attr-defined]
