"""Secrets: a type whose text does not show its value, and a way to remove credentials from URLs."""

from __future__ import annotations

import hmac
import re

_URL = re.compile(r"(?<=://)\S+")
_AFTER_A_URL = "'\"`>)]},.;:!?"
# A host and a port. Whatever follows must contain no "@": otherwise what looks like the host may be part of a password.
_ADDRESS = re.compile(r"(?:[^/?#\s]*@)?((?:\[[\da-fA-F:.%]+\]|[\w.-]+)?(?::\d{1,5})?)(?:[/?#][^@\s]*)?")
# Names of values in a query that are secret, as a regular expression to be matched whatever its case.
SECRET_NAMES = "user|usr|username|login|pass|passwd|password|pwd|auth|key|token"
_IN_QUERY = re.compile(rf"(?i)([?&](?:{SECRET_NAMES})=)[^&#\s'\"]*")


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
    """
    C{text} with no more of each URL in it than scheme, host and port: there are passwords and tokens in all the rest.

    Where the host cannot be told from a password, C{***} takes its place. So it does for values in a query without URL.
    """
    return _IN_QUERY.sub(r"\1***", _URL.sub(lambda found: _address(found[0]), text))


def _address(rest: str) -> str:
    """What may be shown of a URL's C{rest} after its scheme, and the punctuation that follows the URL."""
    url = rest.rstrip(_AFTER_A_URL)
    if url.startswith("[") and "]" not in url and rest[len(url) :].startswith("]"):
        url += "]"
    found = _ADDRESS.fullmatch(url)
    return (found[1] if found else "***") + rest[len(url) :]
