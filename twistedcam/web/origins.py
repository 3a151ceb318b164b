"""Cross-site requests: which requests pages of other sites have made, and which of those sites are allowed to."""

from __future__ import annotations

import re

from twisted.web.server import Request

from twistedcam.web.headers import header

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\s]+)(?=[/?#]|$)", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
ANY_ORIGIN = "*"


class Origins:
    """
    Admits all requests but those that pages of other sites make; pages of the origin C{allowed} may make them, or of
    all with L{ANY_ORIGIN}.

    Browsers say which site makes a request (Sec-Fetch-Site) over TLS and to this machine, but not over plain HTTP to
    another machine.
    """

    def __init__(self, allowed: str = "") -> None:
        self._allowed = allowed

    def admits(self, request: Request) -> bool:
        """Whether C{request} may be answered."""
        is_allowed = self._allowed == ANY_ORIGIN or (bool(self._allowed) and _sender(request) == self._allowed)
        return is_allowed or not _is_cross_site(request) or _is_link_to_page(request)


def read_origin(text: str) -> str:
    """The origin C{text} as browsers write it, "null" or L{ANY_ORIGIN}. Raises ValueError."""
    if text in ("", "null", ANY_ORIGIN):
        return text
    if not _ORIGIN.fullmatch(text.removesuffix("/")):
        raise ValueError(f"{text!r} is not an origin, write it like http://host:8123, or * for all")
    return _origin_of(text)


def _origin_of(url: str) -> str:
    """The origin of C{url}, empty if it has none."""
    found = _ORIGIN.match(url)
    if found is None:
        return ""
    scheme, host = found[1].lower(), found[2].lower()
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ' '))}"


def _sender(request: Request) -> str:
    """The origin of the page that made C{request}. Images come with no Origin, but with a Referer."""
    origin = header(request, b"Origin")
    if origin is not None:
        return _origin_of(origin) or origin
    return _origin_of(header(request, b"Referer") or "")


def _is_cross_site(request: Request) -> bool:
    site = header(request, b"Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")  # none: typed, or a bookmark
    origin = header(request, b"Origin")
    host = header(request, b"Host") or ""
    return origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower())


def _is_link_to_page(request: Request) -> bool:
    """Whether a link to the page itself was followed, so that it is shown in a tab, without an action in its query."""
    is_link = (header(request, b"Sec-Fetch-Mode"), header(request, b"Sec-Fetch-Dest")) == ("navigate", "document")
    return is_link and request.path == b"/" and b"action" not in request.args
