"""Cross-site requests: which requests pages of other sites have made, and which of those sites are allowed to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from twisted.web.server import Request

from twistedcam.web.headers import header

ANY_ORIGIN = "*"
OPAQUE_ORIGIN = "null"  # of a page in a file, or in a sandbox

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?", re.IGNORECASE)
_HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~-]+(\s*,\s*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
_PREFLIGHT_SECONDS = 600


class Origins:
    """
    Admits all requests but those that pages of other sites make; pages of the origins C{allowed} may make them, or of
    all with L{ANY_ORIGIN}. With C{has_login}, pages may send the browser's credentials along.

    Browsers say which site makes a request (Sec-Fetch-Site) over TLS and to this machine, but not over plain HTTP to
    another machine.
    """

    def __init__(self, allowed: Iterable[str] = (), has_login: bool = False) -> None:
        self._allowed = frozenset(allowed)
        self._has_login = has_login

    @property
    def frame_ancestors(self) -> str:
        """The origins whose pages may show the page in a frame, as a Content-Security-Policy has them."""
        return " ".join(["'self'", *sorted(self._allowed - {OPAQUE_ORIGIN})])

    def admits(self, request: Request) -> bool:
        """Whether C{request} may be answered."""
        return self._is_allowed(request) or not _is_cross_site(request) or _is_link_to_page(request)

    def set_headers(self, request: Request) -> None:
        """Let the page that made C{request} show the answer, and read it, if it is of an allowed origin."""
        request.setHeader(
            "Cross-Origin-Resource-Policy", "cross-origin" if self._is_allowed(request) else "same-origin"
        )
        if not self._allowed:
            return
        origin = header(request, b"Origin") or ""
        is_any = ANY_ORIGIN in self._allowed
        if not is_any:
            request.setHeader("Vary", "Origin")
        if is_any or _sender(request) in self._allowed:
            request.setHeader("Access-Control-Allow-Origin", ANY_ORIGIN if is_any else origin)
            request.setHeader("Access-Control-Expose-Headers", "X-Timestamp, X-State")
            if self._has_login and not is_any:
                request.setHeader("Access-Control-Allow-Credentials", "true")

    def set_preflight_headers(self, request: Request) -> None:
        """Answer what a browser asks before it lets a page make a request that is not a simple one."""
        request.setHeader("Access-Control-Allow-Methods", "GET, HEAD")
        request.setHeader("Access-Control-Max-Age", str(_PREFLIGHT_SECONDS))
        names = header(request, b"Access-Control-Request-Headers") or ""
        if _HEADER_NAMES.fullmatch(names):
            request.setHeader("Access-Control-Allow-Headers", names)
        if header(request, b"Access-Control-Request-Private-Network") == "true":
            request.setHeader("Access-Control-Allow-Private-Network", "true")

    def _is_allowed(self, request: Request) -> bool:
        if not self._allowed:
            return False
        # Sites can have their pages name no referrer, as Home Assistant does, and images and frames have no Origin. A
        # page cannot read what it gets in such a way, but only show it: that is allowed once any origin is.
        sender = _sender(request)
        return ANY_ORIGIN in self._allowed or not sender or sender in self._allowed


def is_preflight(request: Request) -> bool:
    """Whether a browser asks if a page may make a request."""
    return request.method == b"OPTIONS" and header(request, b"Access-Control-Request-Method") is not None


def read_origin(text: str) -> str:
    """The origin C{text} as browsers write it, "null" or L{ANY_ORIGIN}. Raises ValueError."""
    if text in (OPAQUE_ORIGIN, ANY_ORIGIN):
        return text
    origin = _origin_of(text if "://" in text else f"http://{text}")
    if "," in text or len(text.split()) > 1:
        raise ValueError(f"{text!r:.300} is more than one origin, give the option once for each")
    if not origin:
        raise ValueError(f"{text!r:.300} is not an origin, write it like http://host:8123, or * for all")
    if len(text) != len(_as_typed(text)):
        raise ValueError(f"{text!r:.300} is not an origin, write {origin}")
    return origin


def _as_typed(text: str) -> str:
    """C{text} up to the end of its origin, if it has a scheme."""
    found = urlsplit(text)
    return f"{found.scheme}://{found.netloc}"


def _origin_of(url: str) -> str:
    """The origin of C{url} as browsers write it, empty if it has none."""
    try:
        found = urlsplit(url)
        host, port = _host_of(found), found.port
    except ValueError:
        return ""
    if found.scheme not in _DEFAULT_PORTS or not host or port == 0:
        return ""
    return (
        f"{found.scheme}://{host}"
        if port in (None, _DEFAULT_PORTS[found.scheme])
        else f"{found.scheme}://{host}:{port}"
    )


def _host_of(url: SplitResult) -> str:
    host = url.hostname or ""
    name = f"[{host}]" if ":" in host else host.encode("idna").decode()
    return name if _HOST.fullmatch(name) and "@" not in url.netloc else ""


def _sender(request: Request) -> str:
    """The origin of the page that made C{request}, empty if none is named. Images have no Origin, but a Referer."""
    origin = header(request, b"Origin")
    named = origin if origin is not None else header(request, b"Referer") or ""
    return _origin_of(named) or named


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
