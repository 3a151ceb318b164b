"""What a server announces of itself on the local network, as the TXT record of a DNS-SD service: made, and parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twistedcam.text import printable
from twistedcam.wire.fields import FieldError

SERVICE_TYPE = "_twistedcam._tcp.local."

ACCESS_OPEN, ACCESS_KEY, ACCESS_PASSWORD = "open", "key", "password"
_ACCESSES = (ACCESS_OPEN, ACCESS_KEY, ACCESS_PASSWORD)

_MAX_ENTRY = 255  # bytes of one entry of a TXT record, NAME=VALUE


@dataclass(frozen=True)
class Announcement:
    """
    How a server is watched: C{access} is one of open, key and password; C{http_port} is 0 without a web server.

    C{cameras} are their names, and empty where a viewer is told them only after it was let in.
    """

    access: str
    is_tls: bool
    cameras: tuple[str, ...] = ()
    http_port: int = 0
    is_https: bool = False
    version: str = ""

    def to_properties(self) -> dict[str, str]:
        """The entries of the TXT record, of at most 255 bytes each: of the names, the first that fit."""
        found = {"version": self.version, "access": self.access, "tls": "1" if self.is_tls else "0"}
        if self.cameras:
            found["cameras"] = _join(self.cameras, _MAX_ENTRY - len("cameras="))
        if self.http_port:
            found |= {"http": str(self.http_port), "scheme": "https" if self.is_https else "http"}
        return found


def parse_announcement(properties: Mapping[bytes, bytes | None]) -> Announcement:
    """The announcement in the entries of a TXT record, its texts made printable. Raises L{FieldError}."""
    access = _text(properties, b"access")
    if access not in _ACCESSES:
        raise FieldError(f"access is none of {', '.join(_ACCESSES)}")
    return Announcement(
        access=access,
        is_tls=_text(properties, b"tls") == "1",
        cameras=tuple(filter(None, _text(properties, b"cameras").split(","))),
        http_port=_port(_text(properties, b"http")),
        is_https=_text(properties, b"scheme") == "https",
        version=_text(properties, b"version"),
    )


def _join(names: Sequence[str], limit: int) -> str:
    """As many of C{names}, from the first on, as fit into C{limit} bytes with commas between them."""
    joined = ""
    for name in names:
        longer = f"{joined},{name}" if joined else name
        if len(longer.encode()) > limit:
            break
        joined = longer
    return joined


def _text(properties: Mapping[bytes, bytes | None], name: bytes) -> str:
    return printable((properties.get(name) or b"")[:_MAX_ENTRY].decode(errors="replace"))


def _port(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise FieldError("http is not a port")
    return int(text)
