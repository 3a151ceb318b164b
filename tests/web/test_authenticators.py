"""Credentials over HTTP."""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import urljoin

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

from tests.access.slow_guard import SlowGuard
from tests.processes import turn
from tests.web.browser import Exchange, WebTestCase
from tests.web.fake_credential import FakeCredential
from twistedcam.access.guards import PasswordGuard, make_portal
from twistedcam.web import authenticators
from twistedcam.web.authenticators import BasicAuthenticator, TokenAuthenticator
from twistedcam.wire.messages import Challenge


def basic(user: str, password: str) -> str:
    """An Authorization header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class BasicAuthenticatorTests(WebTestCase):
    """A name and a password."""

    def setUp(self) -> None:
        super().setUp()
        self.checker = InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")
        self.authenticator = BasicAuthenticator(PasswordGuard(make_portal([self.checker])))

    async def test_password(self) -> None:
        """Nothing is shown without name and password, and after a failure the next attempt at the name waits."""
        await self.serve()
        for path in ("/", "/page.js", "/stream", "/snapshot", "/state", "/metrics", "/healthz", "/nothing"):
            answer = await self.ask(path)
            self.assertEqual(answer.status, 401, path)
            self.assertIn('www-authenticate: basic realm="twistedcam"', answer.head)
        self.assertEqual((await self.ask("/state", Authorization=basic("me", "secret"))).status, 200)
        wrong = await self.ask("/state", Authorization=basic("me", "guess"))
        self.assertEqual((wrong.status, wrong.body), (401, b"the name or password is wrong\n"))
        good = await self.send("/state", Authorization=basic("me", "secret"))
        for _ in range(20):
            await turn()
        self.assertEqual(good.received, b"")
        self.clock.advance(0.5)
        await self.until(lambda: good.received)
        self.assertEqual(good.status, 200)

    async def test_in_the_clear(self) -> None:
        """Without TLS another machine is not asked for a password, and one that it sends is not checked."""
        self.patch(authenticators, "is_private", lambda transport: False)
        await self.serve()
        for answer in (await self.ask("/state"), await self.ask("/state", Authorization=basic("me", "secret"))):
            self.assertEqual((answer.status, answer.body), (403, b"passwords are accepted over TLS only: use https\n"))
            self.assertNotIn("www-authenticate", answer.head)

    async def test_leaving_while_held_up(self) -> None:
        """A client that leaves while its attempt waits gives up its turn."""
        await self.serve()
        await self.ask("/state", Authorization=basic("me", "guess"))
        before = len(self.clock.getDelayedCalls())
        waiting = await self.send("/state", Authorization=basic("me", "guess"))
        await self.until(lambda: len(self.clock.getDelayedCalls()) > before)
        assert waiting.transport is not None
        waiting.transport.abortConnection()  # type: ignore[attr-defined]
        good = await self.send("/state", Authorization=basic("me", "secret"))
        for _ in range(20):
            await turn()
        self.clock.advance(0.5)
        await self.until(lambda: good.received)
        self.assertEqual(good.status, 200)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def slow(self) -> tuple[SlowGuard, Exchange]:
        """A request for a stream, and the guard that is checking it."""
        guard = SlowGuard()
        self.authenticator = BasicAuthenticator(guard)
        await self.serve()
        exchange = await self.send("/stream", Authorization=basic("me", "secret"))
        await self.until(lambda: guard.checks)
        return guard, exchange

    async def test_leaving_during_the_check(self) -> None:
        """A client that leaves during the check never watches nor counts."""
        guard, exchange = await self.slow()
        self.assertEqual(self.admission.viewers.taken, 0)
        assert exchange.transport is not None
        exchange.transport.abortConnection()  # type: ignore[attr-defined]
        await self.until(lambda: guard.checks[0].called)  # it was cancelled
        self.assertEqual((self.hub.is_watched, self.admission.viewers.taken, self.face.streams), (False, 0, set()))
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_stopping_during_the_check(self) -> None:
        """A client that is let in after the service has stopped is not served."""
        guard, exchange = await self.slow()
        self.face.stopService()
        self.addCleanup(self.face.startService)
        guard.checks[0].callback(None)
        await self.until(lambda: exchange.received)
        self.assertEqual((exchange.status, self.hub.is_watched), (503, False))

    async def test_challenge(self) -> None:
        """A guard that answers with a challenge, which HTTP cannot carry, lets nobody in."""
        guard, exchange = await self.slow()
        guard.checks[0].callback(Challenge("n" * 32, "proof"))
        await self.until(lambda: exchange.received)
        self.assertEqual(exchange.status, 401)

    async def test_too_many(self) -> None:
        """Attempts at one name that wait are bounded; those above the limit are told when to try again."""
        await self.serve()
        await self.ask("/state", Authorization=basic("me", "guess"))
        waiting = [await self.send("/state", Authorization=basic("me", "guess")) for _ in range(20)]
        await self.until(lambda: waiting[-1].received)
        self.assertEqual(waiting[-1].status, 429)
        self.assertIn("retry-after: 16\r\n", waiting[-1].head + "\r\n")
        self.assertIn(b"too many attempts to log in by this name, try again later", waiting[-1].body)


class TokenAuthenticatorTests(WebTestCase):
    """A link with a token."""

    cookie = "__Host-twistedcam-0001020304050607"
    wrong = "0" * 32

    async def serve(self, number: int = 0) -> None:
        """Listen, with a token of its own."""
        self.credential = FakeCredential()
        self.authenticator = TokenAuthenticator(self.credential)
        self.token = self.credential.token.reveal()
        await super().serve(number)

    async def test_redirect(self) -> None:
        """The address without the key is below the path under which a proxy serves us, and never on another host."""
        await self.serve()
        for path in (
            "/",
            "/stream/desk",
            "/stream/",
            "//evil.example/",
            "//evil.example",
            "/\\evil.example",
            "/a:b/c:d",
        ):
            answer = await self.ask(f"{path}?key={self.token}", Accept="text/html")
            location = re.search(r"^location: (.*)$", answer.head, re.MULTILINE)
            assert location is not None
            resolved = urljoin(f"https://cam.example/house{path}", location[1].strip())
            same = (address.replace("\\", "/").replace("house//", "house/") for address in (resolved, f"/house{path}"))
            self.assertEqual(next(same), f"https://cam.example{next(same)}")

    async def test_programs(self) -> None:
        """Programs, and images in pages of other sites, get what they ask for by the address alone."""
        await self.serve()
        for headers in ({}, {"Accept": "image/avif,image/webp,*/*", "Sec-Fetch-Dest": "image"}):
            answer = await self.ask(f"/state?key={self.token}", **headers)  # type: ignore[arg-type]
            self.assertEqual((answer.status, "set-cookie" in answer.head), (200, False))
        self.assertEqual((await self.ask(f"/state?key={self.wrong}")).status, 403)

    async def test_link(self) -> None:
        """The link becomes a cookie and leaves the address; the token is a password, too."""
        await self.serve()
        self.assertEqual((await self.ask("/")).status, 401)
        answer = await self.ask(f"/?key={self.token}&fps=5", Accept="text/html")
        self.assertEqual(answer.status, 303)
        self.assertIn("location: ./?fps=5", answer.head)
        attributes = "path=/; max-age=2592000; secure; httponly; samesite=lax"
        self.assertIn(f"set-cookie: {self.cookie.lower()}={self.token}; {attributes}\r\n", answer.head + "\r\n")
        self.assertEqual((await self.ask("/state", Cookie=f"{self.cookie}={self.token}")).status, 200)
        self.assertEqual((await self.ask("/state", Authorization=basic("anybody", self.token))).status, 200)

    async def test_wrong(self) -> None:
        """A wrong token is refused; a cookie with one is deleted, and nothing is said about cookies without one."""
        await self.serve()
        refusal = b"this link is invalid or has expired: ask for the current one\n"
        for guess in (f"/?key={self.wrong}", "/?key=%ff"):
            answer = await self.ask(guess, Cookie=f"__Host-twistedcam-ffffffffffffffff={self.token}")
            self.assertEqual((answer.status, answer.body), (403, refusal))
            self.assertNotIn("set-cookie", answer.head)
        answer = await self.ask("/state", Cookie=f"{self.cookie}={self.wrong}")
        self.assertEqual((answer.status, answer.body), (403, refusal))
        self.assertIn(f"set-cookie: {self.cookie.lower()}=; path=/; max-age=0; secure; httponly", answer.head)

    async def test_any_lets_in(self) -> None:
        """A right token in the cookie, the link or the password is not beaten by wrong ones in the others."""
        await self.serve()
        good, bad = f"{self.cookie}={self.token}", f"{self.cookie}={self.wrong}"
        answer = await self.ask(f"/?key={self.wrong}&fps=5", Accept="text/html", Cookie=good)
        self.assertEqual(answer.status, 303)
        self.assertIn("location: ./?fps=5", answer.head)
        self.assertIn(f"={self.token}; path=/", answer.head)
        self.assertEqual((await self.ask(f"/?key={self.token}", Accept="text/html", Cookie=bad)).status, 303)
        self.assertEqual((await self.ask("/state", Cookie=bad, Authorization=basic("me", self.token))).status, 200)
        self.assertEqual((await self.ask("/state", Cookie=good, Authorization=basic("me", self.wrong))).status, 200)

    async def test_renewed(self) -> None:
        """When the key is renewed while the server runs, the old token is refused and the new one lets in."""
        await self.serve()
        old = self.token
        self.credential.renew(bytes(reversed(range(32))))
        new, cookie = self.credential.token.reveal(), "__Host-twistedcam-1f1e1d1c1b1a1918"
        self.assertEqual((await self.ask("/state", Cookie=f"{self.cookie}={old}")).status, 401)
        self.assertEqual((await self.ask(f"/?key={old}")).status, 403)
        self.assertIn(
            f"set-cookie: {cookie.lower()}={new}; ", (await self.ask(f"/?key={new}", Accept="text/html")).head
        )
