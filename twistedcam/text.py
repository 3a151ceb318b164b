"""Makes text from peers and plugins safe to print: on a terminal, in a log, or on a card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure

from twistedcam.secret import redacted

_MAX_LINES = 200  # of a traceback; the text of an exception may have any number


def printable(text: str, limit: int = 500) -> str:
    """
    C{text} in one line of at most C{limit} characters, with every character that does not print as an escape sequence.

    That covers control characters and escape sequences of terminals, marks that change the direction of text, line
    separators, and lone surrogates, which cannot be encoded. Text that was cut off ends with three dots.
    """
    found = "".join(map(_escape, text[: limit + 1]))
    return found if len(found) <= limit else f"{found[: limit - 3]}..."


def _escape(character: str) -> str:
    # Code points below 0x20, DEL, bidirectional marks, surrogates and separators other than the space do not print.
    return character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()


class PrintableFailure(Failure):
    """A failure whose traceback is printable, for the log: its exception may quote text from a peer or a plugin."""

    hide: Callable[[str], str] = staticmethod(redacted)  # removes secrets from one line

    def getTraceback(self, *args: Any, **keywords: Any) -> str:  # noqa: N802
        """The traceback, line by line as C{hide} and L{printable} write them."""
        lines = super().getTraceback(*args, **keywords).splitlines()
        if len(lines) > _MAX_LINES:
            half = _MAX_LINES // 2
            lines[half:-half] = [f"({len(lines) - _MAX_LINES} lines were left out)"]
        return "".join(f"{printable(self.hide(line))}\n" for line in lines)
