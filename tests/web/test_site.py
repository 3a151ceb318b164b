"""Which HTTP requests are answered."""

from __future__ import annotations

from typing import Any

from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from zope.interface import implementer

from tests.web.browser import WebTestCase


class SiteTests(WebTestCase):
    """Methods, hosts and origins."""

    async def test_methods(self) -> None:
        """Only GET and HEAD are answered; bodies and endless lines are refused."""
        await self.serve()
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
            answer = await self.ask("/stream", method)
            self.assertEqual(answer.status, 405)
            self.assertIn("allow: get, head", answer.head)
        for path in ("/", "/stream", "/stream/desk"):
            answer = await self.ask(path, "HEAD")
            self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertFalse(self.hub.is_watched)
        self.assertEqual((await self.ask("/", "POST", b"x", Content_Length="1000000000")).status, 413)
        self.assertEqual((await self.ask("/", "POST", b"x", Transfer_Encoding="chunked")).status, 413)
        self.assertIn((await self.ask("/" + "a" * 20_000)).received[:12], (b"", b"HTTP/1.1 400"))
        self.assertIn((await self.ask("/", Long="a" * 20_000)).received[:12], (b"", b"HTTP/1.1 400"))

    async def test_query_is_not_logged(self) -> None:
        """A key in a query is in no line of the log, whatever the method and the answer."""
        lines: list[str] = []

        @implementer(ILogObserver)
        def observer(event: Any) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        await self.serve()
        for path in ("/", "/state", "/nothing"):
            await self.ask(f"{path}?key=SESAME", "HEAD")
        self.assertTrue(lines)
        self.assertNotIn("SESAME", "".join(lines))

    async def test_rebinding(self) -> None:
        """A page elsewhere whose name was made to resolve to this machine is refused (DNS rebinding)."""
        await self.serve()
        for name in (
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "localhost.evil.example",
        ):
            self.assertEqual((await self.ask("/state", Host=name)).status, 421, name)
        for name in ("localhost", "127.0.0.1:80", "[::1]:80", "LOCALHOST:8080", "cam.localhost"):
            self.assertEqual((await self.ask("/state", Host=name)).status, 200, name)

    async def test_other_origins(self) -> None:
        """Pages of an origin that is allowed may read what is served."""
        self.origin = "http://dashboard.example"
        await self.serve()
        answer = await self.ask("/state")
        self.assertIn("access-control-allow-origin: http://dashboard.example", answer.head)
        self.assertIn("cross-origin-resource-policy: cross-origin", answer.head)
