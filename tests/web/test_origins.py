"""Requests that come from the pages of other sites."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from twistedcam.web.origins import Origins, read_origin

DASHBOARD = "http://dash.example:8123"


class OriginsTests(SynchronousTestCase):
    """Which requests are admitted."""

    def admits(self, path: str = "/snapshot", allowed: str = "", **headers: str) -> bool:
        """Whether a request with these headers is admitted."""
        channel: Any = DummyChannel()
        request = Request(channel)
        request.path, _, query = path.encode().partition(b"?")
        request.args = {b"action": [query]} if query else {}
        for name, value in {"Host": "localhost:8080", **headers}.items():
            request.requestHeaders.setRawHeaders(name.replace("_", "-"), [value])
        return Origins(allowed.split()).admits(request)

    def test_own(self) -> None:
        """Requests of the page itself, addresses that were typed, and clients that are no browsers."""
        for site in ("same-origin", "none"):
            self.assertTrue(self.admits(Sec_Fetch_Site=site))
        self.assertTrue(self.admits())
        self.assertTrue(self.admits(Referer="http://evil.example/"))

    def test_others(self) -> None:
        """Requests of another site, or of another port of this one: a picture there would turn the camera on."""
        for site in ("cross-site", "same-site", "nonsense"):
            for path in ("/snapshot", "/stream/desk", "/state", "/metrics", "/", "/?stream"):
                self.assertFalse(self.admits(path, Sec_Fetch_Site=site), path)

    def test_link(self) -> None:
        """A link to the page may be followed, but not one to what turns the camera on; nor may the page be framed."""
        link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
        self.assertTrue(self.admits("/", **link))
        for path in ("/snapshot", "/stream", "/?stream", "/state", "//"):
            self.assertFalse(self.admits(path, **link), path)
        self.assertFalse(self.admits("/", **{**link, "Sec_Fetch_Dest": "iframe"}))
        self.assertFalse(self.admits("/", **{**link, "Sec_Fetch_Mode": "no-cors"}))

    def test_old_browsers(self) -> None:
        """Without Sec-Fetch-Site, the Origin tells: it has to be that of the page itself."""
        for origin in ("http://evil.example", "http://localhost", "http://localhost:8081", "null", ""):
            self.assertFalse(self.admits(Origin=origin), origin)
        for origin in ("http://localhost:8080", "https://LOCALHOST:8080"):
            self.assertTrue(self.admits(Origin=origin), origin)
        self.assertTrue(self.admits(Origin="http://cam.example", Host="Cam.example"))

    def test_allowed(self) -> None:
        """A site that is allowed, which an image shows by its Referer only."""
        other: dict[str, str] = {"Sec_Fetch_Site": "cross-site"}
        self.assertTrue(self.admits(allowed="*", **other))
        for headers in (
            {"Origin": DASHBOARD},
            {"Referer": f"{DASHBOARD}/x?y"},
            {"Origin": DASHBOARD, "Referer": "a:b"},
        ):
            self.assertTrue(self.admits(allowed=DASHBOARD, **other, **headers), headers)
        self.assertTrue(self.admits(allowed="http://a.example", **other, Referer="http://A.example:80/x"))
        self.assertTrue(self.admits(allowed="null", **other, Origin="null"))
        for headers in (
            {"Referer": "http://dash.example/x"},
            {"Referer": f"{DASHBOARD}.evil.example/"},
            {"Referer": f"http://evil.example/{DASHBOARD}"},
            {"Referer": f"http://{DASHBOARD[7:]}@evil.example/"},
            {"Origin": "http://evil.example", "Referer": DASHBOARD},
            {"Origin": "null", "Referer": DASHBOARD},
        ):
            self.assertFalse(self.admits(allowed=DASHBOARD, **other, **headers), headers)

    def test_several(self) -> None:
        """More than one site may be allowed."""
        for origin, is_admitted in ((DASHBOARD, True), ("https://b.example", True), ("http://b.example", False)):
            is_found = self.admits(allowed=f"{DASHBOARD} https://b.example", Sec_Fetch_Site="cross-site", Origin=origin)
            self.assertEqual(is_found, is_admitted)

    def test_no_referrer(self) -> None:
        """Once any site is allowed, so are requests that name none: images and frames of a site may hide it."""
        for kind in ("image", "iframe"):
            headers = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": kind}
            self.assertTrue(self.admits(allowed=DASHBOARD, **headers))
            self.assertFalse(self.admits(**headers))

    def test_read(self) -> None:
        """An origin is written as browsers write it, and what is none is refused, with what to write instead."""
        for text, origin in (
            ("HTTPS://A.example:443", "https://a.example"),
            ("http://ha:8123", "http://ha:8123"),
            ("http://[2001:DB8::1]:81", "http://[2001:db8::1]:81"),
            ("http://b\u00fccher.example", "http://xn--bcher-kva.example"),
            ("http://127.0.0.1", "http://127.0.0.1"),
            ("*", "*"),
            ("null", "null"),
        ):
            self.assertEqual(read_origin(text), origin)
        for text, advice in (
            ("http://ha:8123/", "write http://ha:8123$"),
            ("ha:8123", "write http://ha:8123$"),
            ("a.example", "write http://a.example$"),
            ("https://A.example:443/page?query#part", "write https://a.example$"),
            ("http://a/b", "write http://a$"),
            ("http://a http://b", "more than one origin, give the option once for each"),
            ("http://a,http://b", "more than one origin"),
            ("http://a, http://b", "more than one origin"),
            *(
                (text, "write it like http://host:8123")
                for text in ("", "http://", "http://me@a", "ftp://a", "http://a:0")
            ),
            *(
                (text, "write it like http://host:8123")
                for text in ("http://a:99999", "http://a:b", "http://-a", "http://::1")
            ),
        ):
            self.assertRaisesRegex(ValueError, advice, read_origin, text)
