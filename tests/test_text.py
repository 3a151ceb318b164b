"""Text of others on our terminals and in our logs."""

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.text import PrintableFailure, printable

HOSTILE = "a\x1b[2J\r\nb\u202ec\ud800d\x07\u2028\x9b"


class PrintableTests(SynchronousTestCase):
    """L{printable}."""

    def test_escapes(self) -> None:
        """Escape sequences, new lines, bidirectional marks and lone surrogates are spelled out."""
        self.assertEqual(printable(HOSTILE), r"a\x1b[2J\r\nb\u202ec\ud800d\x07\u2028\x9b")

    def test_other_scripts(self) -> None:
        """Letters of all scripts, and signs, stay as they are."""
        for text in ("Tür zum Hof", "入口", "дверь", "📷 1", "a\\b"):
            self.assertEqual(printable(text), text)

    def test_long(self) -> None:
        """The result is cut off at its limit, escape sequences counted."""
        self.assertEqual(printable("x" * 600), "x" * 497 + "...")
        self.assertEqual(printable("x" * 500), "x" * 500)
        self.assertEqual(len(printable("\x1b" * 400)), 500)


class PrintableFailureTests(SynchronousTestCase):
    """L{PrintableFailure}."""

    def test_traceback(self) -> None:
        """The traceback keeps its lines, and what the exception says is made printable."""
        try:
            raise RuntimeError(HOSTILE)
        except RuntimeError:
            plain, failure = Failure(), PrintableFailure()
        self.assertIn("\x1b", plain.getTraceback())
        shown = failure.getTraceback()
        self.assertIn(r"a\x1b[2J", shown)
        self.assertTrue(all(line.isprintable() for line in shown.split("\n")))
        self.assertIn("\n", shown)

    def test_many_lines(self) -> None:
        """An exception whose text has very many lines does not fill the log with them."""
        try:
            raise RuntimeError("first" + "\n" * 100_000 + "last")
        except RuntimeError:
            lines = PrintableFailure().getTraceback().splitlines()
        self.assertLess(len(lines), 210)
        self.assertIn("lines were left out)", "\n".join(lines))
        self.assertIn("last", lines[-1])
