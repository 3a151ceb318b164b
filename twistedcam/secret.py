"""Secrets: a type whose text does not show its value, and a way to remove credentials from URLs."""

from __future__ import annotations

import hmac
import re

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")
_IN_QUERY = re.compile(r"(?i)([?&](?:user|usr|username|login|pass|passwd|password|pwd|auth|key|token)=)[^&#\s'\"]*")


class Secret:
    """A password, key or token. Its C{str} and C{repr} do not show it; only L{reveal} does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself: to be sent, compared, or shown to whoever asked for it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        """Whether C{other} is the same secret, compared in constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogatepass"), other._value.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "***"


def redacted(text: str) -> str:
    """C{text} with C{***} in place of the user name and password of each URL in it, also of those in a query."""
    return _IN_QUERY.sub(r"\1***", _CREDENTIALS.sub("***@", text))
