"""Secrets in texts."""

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.secret import Secret, redacted


class SecretTests(SynchronousTestCase):
    """L{Secret}."""

    def test_shows_nothing(self) -> None:
        """No way to format a secret shows it."""
        secret = Secret("hunter2")
        for text in (str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", f"{[secret]}"):
            self.assertNotIn("hunter2", text)
        self.assertEqual(secret.reveal(), "hunter2")

    def test_equality(self) -> None:
        """Secrets are equal if their values are, a lone surrogate included; an empty one is false."""
        self.assertEqual(Secret("a\ud800"), Secret("a\ud800"))
        self.assertNotEqual(Secret("a"), Secret("b"))
        self.assertNotEqual(Secret("a"), "a")
        self.assertEqual(len({Secret("a"), Secret("a")}), 1)
        self.assertFalse(Secret(""))


class RedactedTests(SynchronousTestCase):
    """L{redacted}."""

    def test_urls(self) -> None:
        """Of each URL in a text scheme, host and port are left, and nothing where a password could be the host."""
        for text, shown in (
            ("rtsp://me:hunter2@cam/1", "rtsp://cam"),
            ("rtsp://me:hu@nter2@cam:554/1 and http://a@b.", "rtsp://cam:554 and http://b."),
            ("'http://cam/v.cgi?User=me&pwd=hunter2&n=1'", "'http://cam'"),
            ("see (http://[::1]:80/hunter2), or not", "see (http://[::1]:80), or not"),
            ("http://[::1]", "http://[::1]"),
            ("rtsp://cam/a@b?c=d@e", "rtsp://***"),
            ("rtsp://me:hun/ter2@cam/1", "rtsp://***"),
            ("rtsp://me:12345/hunter2@cam/1", "rtsp://***"),
            ("rtsp://me:hunter2#1@cam", "rtsp://***"),
            ("rtsp://me:hunter2?1@cam", "rtsp://***"),
            ("rtsp://me:hunter2", "rtsp://***"),
            ("rtsp://me:hun[ter2@cam", "rtsp://cam"),
            ("http://a/,http://me:hunter2@b/", "http://***"),
            ("me@example.org", "me@example.org"),
            ("GET /v.cgi?User=me&pwd=hunter2&n=1", "GET /v.cgi?User=***&pwd=***&n=1"),
            ("://", "://"),
        ):
            self.assertEqual(redacted(text), shown)
            self.assertEqual(redacted(shown), shown)

    def test_long(self) -> None:
        """A long text takes no more than linear time."""
        for part in ("://", "a@", "a.", "'", "://a@", "?key=", "[", ":1"):
            redacted("rtsp://" + part * 50_000)
            redacted(part * 50_000 + " @")
