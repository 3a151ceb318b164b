"""Which HTTP requests are answered."""

from __future__ import annotations

from base64 import b64encode

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.logger import capturedLogs, formatEvent

from tests.web.browser import WebTestCase
from twistedcam.access.guards import PasswordGuard, make_portal
from twistedcam.web.authenticators import BasicAuthenticator
from twistedcam.web.hosts import Hosts
from twistedcam.web.proxies import Proxies, read_network


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
        with capturedLogs() as events:
            await self.serve()
            for path in ("/", "/state", "/nothing"):
                await self.ask(f"{path}?key=SESAME", "HEAD")
        self.assertTrue(events)
        self.assertNotIn("SESAME", "".join(map(formatEvent, events)))

    async def test_rebinding(self) -> None:
        """Without a login, a page elsewhere whose name was made to resolve to this machine is refused."""
        self.hosts = Hosts(["cam.example"])
        await self.serve()
        for name in ("evil.example:8080", "127.0.0.1.evil.example"):
            for path in ("/state", "/", "/nothing"):
                answer = await self.ask(path, Host=name)
                self.assertEqual(answer.status, 421, name)
            self.assertIn(b"this server does not know itself as " + name.partition(":")[0].encode(), answer.body)
        for name in ("localhost.", "10.0.0.1:80", "[::1]:80", "Cam.example:8080"):
            self.assertEqual((await self.ask("/state", Host=name)).status, 200, name)

    async def test_rebinding_is_no_matter_with_a_login(self) -> None:
        """Where viewers have to log in, a server may be asked for by any name; the page there has no password."""
        self.authenticator = BasicAuthenticator(PasswordGuard(make_portal([])))
        await self.serve()
        self.assertEqual((await self.ask("/state", Host="any.example")).status, 401)

    async def test_malformed_hosts(self) -> None:
        """A Host header that is malformed or comes twice is refused, with a login too."""
        for authenticator in (None, BasicAuthenticator(PasswordGuard(make_portal([])))):
            self.authenticator = authenticator
            await self.serve()
            self.assertEqual((await self.ask("/state", Host="a b")).status, 400)
            self.assertEqual((await self.ask("/state", HOST="localhost")).status, 400)  # beside the one always sent

    async def test_whole_uri(self) -> None:
        """A request for a whole URI is for the host in it."""
        await self.serve()
        self.assertEqual((await self.ask("http://evil.example/state")).status, 421)
        answer = await self.ask(f"http://127.0.0.1:{self.port}/state", Host="evil.example")
        self.assertEqual(answer.status, 200)
        self.assertIn(b'"cameras"', answer.body)

    async def test_other_sites(self) -> None:
        """A page of another site does not turn the camera on, nor learn who watches; a link to the page works."""
        await self.serve()
        for path in ("/stream", "/snapshot", "/?action=stream", "/?action=snapshot", "/state", "/metrics"):
            answer = await self.ask(path, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image")
            self.assertEqual(answer.status, 403, path)
            self.assertEqual(answer.body.count(b"\n"), 1)
        self.assertFalse(self.hub.is_watched)
        link = await self.ask("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
        self.assertEqual(link.status, 200)
        for path in ("/page.js", "/style.css", "/state"):
            self.assertEqual((await self.ask(path, Sec_Fetch_Site="same-origin")).status, 200)

    async def test_proxy(self) -> None:
        """The client of a trusted proxy is shown by its own address, and delayed for its own failures only."""
        self.proxies = Proxies([read_network("127.0.0.1")])
        await self.serve()
        await self.send("/stream", X_Forwarded_For="6.6.6.6, 203.0.113.7")
        await self.until(lambda: self.hub.is_watched)
        self.assertIn(b'"address": "http 203.0.113.7"', (await self.ask("/state")).body)

        self.authenticator = BasicAuthenticator(
            PasswordGuard(make_portal([InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")]))
        )
        await self.serve()
        wrong, good = (f"Basic {b64encode(text).decode()}" for text in (b"me:guess", b"me:secret"))
        stranger, owner = "203.0.113.7", "203.0.113.8"
        self.assertEqual((await self.ask("/state", Authorization=wrong, X_Forwarded_For=stranger)).status, 401)
        self.assertEqual((await self.ask("/state", Authorization=good, X_Forwarded_For=owner)).status, 200)
        late = await self.send("/state", Authorization=good, X_Forwarded_For=stranger)
        self.assertEqual(late.received, b"")
        self.clock.advance(0.5)
        await self.until(lambda: late.received)
        self.assertEqual(late.status, 200)

    async def test_other_origins(self) -> None:
        """Pages of an origin that is allowed may show and read what is served, and frame the page; others may not."""
        self.origins = ("http://dashboard.example", "https://ha.example:8123")
        await self.serve()
        for origin in self.origins:
            answer = await self.ask("/state", Origin=origin, Sec_Fetch_Site="cross-site")
            for header in (
                f"access-control-allow-origin: {origin}\r\n",
                "access-control-expose-headers: x-timestamp, x-state\r\n",
                "cross-origin-resource-policy: cross-origin\r\n",
                "vary: origin\r\n",
                "frame-ancestors 'self' http://dashboard.example https://ha.example:8123\r\n",
            ):
                self.assertIn(header, answer.head + "\r\n")
            self.assertNotIn("credentials", answer.head)
        for headers in ({"Origin": "http://evil.example"}, {"Referer": "http://evil.example/"}):
            answer = await self.ask("/state", **headers)  # type: ignore[arg-type]
            self.assertNotIn("access-control", answer.head)
            self.assertIn("cross-origin-resource-policy: same-origin", answer.head)
            self.assertIn("vary: origin", answer.head)

    async def test_any_origin(self) -> None:
        """Pages of all origins may be allowed, but then without the browser's credentials."""
        self.origins = ("*",)
        self.authenticator = BasicAuthenticator(
            PasswordGuard(make_portal([InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")]))
        )
        await self.serve()
        answer = await self.ask("/state", Origin="http://any.example", Sec_Fetch_Site="cross-site")
        self.assertEqual(answer.status, 401)
        self.assertIn("access-control-allow-origin: *", answer.head)
        self.assertNotIn("access-control-allow-credentials", answer.head)
        self.assertIn("frame-ancestors 'self' *", answer.head)

    async def test_preflight(self) -> None:
        """A page of an allowed origin may ask what it may send, without a login; others are refused."""
        self.origins = ("http://dashboard.example",)
        self.authenticator = BasicAuthenticator(
            PasswordGuard(make_portal([InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")]))
        )
        await self.serve()
        asked = {
            "Origin": self.origins[0],
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization,x-custom",
            "Access-Control-Request-Private-Network": "true",
        }
        answer = await self.ask("/state", "OPTIONS", **asked)  # type: ignore[arg-type]
        self.assertEqual((answer.status, answer.body), (204, b""))
        for header in (
            "access-control-allow-origin: http://dashboard.example",
            "access-control-allow-methods: get, head",
            "access-control-allow-headers: authorization,x-custom",
            "access-control-allow-private-network: true",
            "access-control-allow-credentials: true",
            "access-control-max-age: 600",
        ):
            self.assertIn(header, answer.head)
        asked["Origin"] = "http://evil.example"
        self.assertEqual((await self.ask("/state", "OPTIONS", **asked)).status, 403)  # type: ignore[arg-type]
