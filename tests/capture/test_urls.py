"""URLs of cameras."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.capture.urls import parse_url
from twistedcam.errors import CameraError


class ParseTests(SynchronousTestCase):
    """Well-formed URLs."""

    def test_shown(self) -> None:
        """Scheme, host and port are shown, the name is the host; what is opened is the URL itself."""
        for url, name, shown in (
            ("rtsp://10.0.0.9/live", "10.0.0.9", "rtsp://10.0.0.9"),
            ("RTSP://Cam.local:554/live", "Cam.local", "rtsp://Cam.local:554"),
            ("http://me:hunter2@cam:8080/token?token=x#y", "cam", "http://cam:8080"),
            ("rtsp://admin:x%40s3cret%231@10.0.0.9/live", "10.0.0.9", "rtsp://10.0.0.9"),
            ("rtsp://me:a:b&c=$!*'();+,d@cam", "cam", "rtsp://cam"),
            ("https://[::1]:443/", "::1", "https://[::1]:443"),
            ("rtsp://me:pw@[fe80::1%eth0]/", "fe80::1%eth0", "rtsp://[fe80::1%eth0]"),
            ("udp://@239.0.0.1:1234", "239.0.0.1", "udp://239.0.0.1:1234"),
            ("udp://@:1234", "udp-1234", "udp://:1234"),
            ("srt://:9000?mode=listener", "srt-9000", "srt://:9000"),
            ("http://cam/a,b;c=d", "cam", "http://cam"),
            ("http://b\u00fccher.example/", "b\u00fccher.example", "http://b\u00fccher.example"),
        ):
            found, target = parse_url(url)
            self.assertEqual((found, str(target), target.reveal()), (name, shown, url))

    def test_password(self) -> None:
        """A password is noticed in the user information and in the query."""
        for url, has_password in (
            ("rtsp://me:hunter2@cam/", True),
            ("http://cam/?pwd=hunter2", True),
            ("http://cam/?n=1&access_token=hunter2", True),
            ("rtsp://me@cam/", False),
            ("http://cam/?n=1", False),
            ("http://cam:80/", False),
        ):
            self.assertEqual(parse_url(url)[1].has_password, has_password, url)

    def test_hidden(self) -> None:
        """Whatever part of a URL another text quotes is hidden, as it is written and as it is sent."""
        url = "http://admin:hunt%40er2@cam/tok3n-in-path/x?key=abc&stream=1&session=0123456789"
        target = parse_url(url)[1]
        for text in (
            f"[http] {url}: failed",
            "login admin:hunt@er2 failed",
            "hunt%40er2 is wrong",
            "hunt@er2 is wrong",
            "Authorization: Basic YWRtaW46aHVudEBlcjI=",
            "GET /tok3n-in-path/x?key=abc&stream=1&session=0123456789",
            "GET /tok3n-in-path/x: 404",
            "tok3n-in-path is not there",
            "b'abc' has expired",
            "the session 0123456789 is over",
        ):
            hidden = target.hide(text)
            self.assertIn("***" if "[http]" not in text else "http://cam", hidden)
            for secret in ("admin", "hunt", "YWR", "tok3n", "abc", "0123456789"):
                self.assertNotIn(secret, hidden)

    def test_words_stay(self) -> None:
        """A path of usual words, and a short password, do not make an error unreadable."""
        target = parse_url("rtsp://on:a@cam/live/stream")[1]
        text = "rtsp://cam has ended the connection: no live stream"
        self.assertEqual(target.hide(text), text)


class MalformedTests(SynchronousTestCase):
    """Malformed URLs."""

    def refused(self, url: str) -> str:
        """The one line of the error for C{url}, in which nothing of the URL but its scheme is."""
        with self.assertRaises(CameraError) as caught:
            parse_url(url)
        message = str(caught.exception)
        self.assertTrue(message.isprintable())
        for secret in ("s3cret", "admin", "10.0.0.9", "p[x", "p/x"):
            self.assertNotIn(secret, message)
        return message

    def test_characters(self) -> None:
        """Characters of a password that have to be escaped: the error says how each is written."""
        for url in (
            "rtsp://admin:x@s3cret#1@10.0.0.9/live",
            "rtsp://admin:s3cret@1@10.0.0.9/live",
            "rtsp://admin:s3cret#1@10.0.0.9/live",
            "rtsp://admin:s3cret/1@10.0.0.9/live",
            "rtsp://admin:123/s3cret@10.0.0.9/live",
            "rtsp://admin:s3cret?1@10.0.0.9/live",
            "rtsp://admin:s3cret[1@10.0.0.9/live",
            "rtsp://admin:s3cret]1@10.0.0.9/live",
            "rtsp://u:p[x@h/",
            "rtsp://admin:s3cret#1",
            "rtsp://admin:s3cret",
        ):
            self.assertRegex(self.refused(url), r"rtsp://\*\*\*.* @ as %40, / as %2F, \? as %3F, # as %23, \[ as %5B")

    def test_others(self) -> None:
        """Other mistakes."""
        for url, message in (
            ("http://[::1/", "write an IPv6 address like [::1]"),
            ("http://::1/", "write an IPv6 address like [::1]"),
            ("http://[s3cret]/", "has no valid host: write a host name, an IPv4 address, or one like [::1]"),
            ("http://ca$m/", "has no valid host"),
            ("http://cam:0/", "has a port that is not a number from 1 to 65535: write http://HOST:PORT/"),
            ("http://cam:65536/", "has a port that is not"),
            ("http://cam:http/", "has a port that is not"),
            ("http://", "has no host: write http://HOST/"),
            ("http:///x", "has no host"),
            ("http://:80/", "has no host"),
            ("http:/10.0.0.9/s3cret", "needs two slashes after the colon: write http://HOST"),
            ("rtsp:10.0.0.9", "needs two slashes"),
            (
                "rtsp://admin:s3 cret@10.0.0.9/",
                "contains a space, or a character that does not print: write a space as",
            ),
            ("rtsp://10.0.0.9/\x1b[2J", "does not print"),
            ("rtsp://10.0.0.9/\udcff", "is not UTF-8 text: write each byte"),
            ("rtsp://admin:s3cret%1@10.0.0.9/", "has a % in its user name or password that is to be written as %25"),
            ("http:\\\\10.0.0.9\\s3cret", "needs two slashes"),
            ("http://10.0.0.9\\s3cret", "contains a \\: write it as %5C"),
            ("gopher://10.0.0.9/", "gopher:// is not a scheme of cameras: write rtsp://, http://, https:// or rtmp://"),
            ("://10.0.0.9/", "what stands before :// is not a scheme"),
        ):
            self.assertIn(message, self.refused(url))
