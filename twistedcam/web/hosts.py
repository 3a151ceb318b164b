"""The host that a request is for, and the host names to which a server without a login answers (DNS rebinding)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from twisted.web.server import Request

from twistedcam.net import parse_ip
from twistedcam.web.headers import headers

_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_HOST = re.compile(r"(?:\[(?P<literal>[^\[\]]+)\]|(?P<name>[^\[\]:]*))(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([^?#]*)", re.IGNORECASE)


class Hosts:
    """
    The host names of a server: C{allowed}, those of the machine with the host name C{machine}, and C{localhost}.

    Without this check, a page of another site whose name was made to resolve to this machine could read what is served
    here (DNS rebinding). That attack needs a name, so requests for an IP address are always admitted.
    """

    def __init__(self, allowed: Iterable[str] = (), machine: str = "") -> None:
        self._names = {"localhost", *allowed}
        try:
            name = read_name(machine)
        except ValueError:  # many systems accept any text as the host name
            return
        short = name.partition(".")[0]
        self._names |= {name, short, f"{short}.local"}

    def admits(self, host: str) -> bool:
        """Whether C{host}, a name or an address as L{requested_host} returns it, is one of this server."""
        return not host or host in self._names or host.endswith(".localhost") or _is_ip(host)


def read_name(text: str) -> str:
    """The host name C{text} as in a Host header: in lower case and punycode, without a final dot. Raises ValueError."""
    try:
        name = text.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        name = ""
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError(f"{text!r:.300} is not a host name, write it without scheme, port or path, like cam.example")
    return name


def requested_host(request: Request) -> str:
    """
    The name or IP address that C{request} is for, in lower case; empty if it names none, as in HTTP/1.0.

    A request for an absolute URI, as clients send it to proxies, is changed into one for the path in it. Raises
    ValueError.
    """
    hosts = headers(request, b"Host")
    if len(hosts) > 1:
        raise ValueError("a request has one Host header")
    absolute = _ABSOLUTE.match(request.path)
    if absolute is None:
        return _read_host(hosts[0]) if hosts else ""
    request.path = absolute[2] or b"/"
    request.postpath = [unquote_to_bytes(part) for part in request.path[1:].split(b"/")]
    return _read_host(absolute[1].decode("latin-1"))


def _read_host(text: str) -> str:
    found = _HOST.fullmatch(text.lower())
    literal, name = (found["literal"], found["name"]) if found else (None, "[")
    if literal is not None and _is_ip(literal):
        return literal
    name = (name or "").removesuffix(".")
    if literal is not None or (name and not _NAME.fullmatch(name)):
        raise ValueError("the Host header is malformed")
    return name


def _is_ip(host: str) -> bool:
    try:
        parse_ip(host)
    except ValueError:
        return False
    return True
