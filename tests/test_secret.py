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

    def test_credentials(self) -> None:
        """The credentials of every URL in a text are replaced, also where the password contains an @ sign."""
        for text, shown in (
            ("rtsp://me:hunter2@cam/1", "rtsp://***@cam/1"),
            ("rtsp://me:hu@nter2@cam/1 and http://a@b", "rtsp://***@cam/1 and http://***@b"),
            ("rtsp://cam/a@b?c=d@e", "rtsp://cam/a@b?c=d@e"),
            ("me@example.org", "me@example.org"),
            ("'http://cam/v.cgi?User=me&pwd=hunter2&n=1'", "'http://cam/v.cgi?User=***&pwd=***&n=1'"),
        ):
            self.assertEqual(redacted(text), shown)
