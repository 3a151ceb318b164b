"""Which HTTP requests are answered at all: who asks, for which name of this machine, and how."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from twisted.web.util import DeferredResource

from twistedcam.access.guards import PasswordGuard, Turns
from twistedcam.interfaces import AccessDeniedError
from twistedcam.net import describe, is_local

log = Logger()

COOKIE = "twistedcam"
_COOKIE_SECONDS = 30 * 24 * 3600
_LONGEST_BODY_BYTES = 4096
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_ALWAYS = {
    "Server": "twistedcam",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
}


class Plain(Resource):
    """One line of text."""

    isLeaf = True

    def __init__(self, code: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self._code = code
        self._text = text
        self._headers = headers or {}

    def render(self, request: Request) -> bytes:
        """The line."""
        request.setResponseCode(self._code)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        for name, value in self._headers.items():
            request.setHeader(name, value)
        return f"{self._text}\n".encode()


class Door(Protocol):
    """Decides about one request."""

    def admit(self, request: Request) -> Awaitable[IResource | None]:
        """None for who may go on, or what to answer instead."""


class OpenDoor:
    """For everybody who can reach us."""

    async def admit(self, request: Request) -> IResource | None:
        """Come in."""
        return None


class PasswordDoor:
    """HTTP's basic authentication, asking the same guard as the camera's own protocol does, in the same turns."""

    def __init__(self, guard: PasswordGuard, turns: Turns) -> None:
        self._guard = guard
        self._turns = turns

    async def admit(self, request: Request) -> IResource | None:
        """Name and password, over TLS or from this machine."""
        is_private = request.isSecure() or is_local(request.getHost())
        if not is_private:
            return Plain(http.FORBIDDEN, "passwords are taken over TLS only: use https")
        user, password = (text.decode(errors="replace") for text in (request.getUser(), request.getPassword()))
        if not user and not password:
            return _ask_for_password("this camera asks for a name and a password")
        host = getattr(request.getClientAddress(), "host", "")
        await self._turns.wait(host)
        try:
            await self._guard.admit({"user": user, "password": password}, is_private)
        except AccessDeniedError as denied:
            self._turns.failed(host)
            await self._turns.wait(host)
            return _ask_for_password(str(denied))
        self._turns.succeeded(host)
        return None


class TokenDoor:
    """
    A link with a token, which becomes a cookie and leaves the address; programs may show it as a password.

    See L{sharekey.web_token}.
    """

    def __init__(self, token: str, turns: Turns) -> None:
        self._token = token.encode()
        self._turns = turns

    async def admit(self, request: Request) -> IResource | None:
        """A cookie, a password, or the link itself."""
        link = request.args.get(b"key", [b""])[0]
        shown = link or request.getCookie(COOKIE.encode()) or request.getPassword()
        if not shown:
            return _ask_for_password("this camera is shared by a link, which the server shows when it starts")
        host = getattr(request.getClientAddress(), "host", "")
        await self._turns.wait(host)
        if not hmac.compare_digest(shown, self._token):
            self._turns.failed(host)
            await self._turns.wait(host)
            # A page that is still open with an old cookie would go on failing, at the cost of who has a good link.
            request.addCookie(COOKIE, b"", path=b"/", max_age=b"0", secure=True)
            return Plain(http.FORBIDDEN, "the link is wrong, or is of no use any more: ask for the present one")
        self._turns.succeeded(host)
        return self._without_key(request) if link else None

    def _without_key(self, request: Request) -> IResource:
        rest = {name: values for name, values in request.args.items() if name != b"key"}
        query = f"?{urlencode(rest, doseq=True)}" if rest else ""
        path = "/" + request.path.decode("ascii", "replace").lstrip("/")  # two of them would lead to another server
        age = str(_COOKIE_SECONDS)
        request.addCookie(COOKIE, self._token, path=b"/", max_age=age, secure=True, httpOnly=True, sameSite="lax")
        return Plain(http.SEE_OTHER, "this way", {"Location": path + query})


def _ask_for_password(why: str) -> Plain:
    challenge = {"WWW-Authenticate": 'Basic realm="twistedcam", charset="UTF-8"'}
    return Plain(http.UNAUTHORIZED, why, challenge)


class _Request(Request):
    """A request without a body worth reading, whose sender may be gone before it is answered."""

    _is_gone = False

    def connectionLost(self, reason: Failure) -> None:
        self._is_gone = True
        super().connectionLost(reason)

    def render(self, resrc: IResource) -> None:
        """Answer, if anybody is there to be answered."""
        if not self._is_gone:
            super().render(resrc)

    def gotLength(self, length: int | None) -> None:
        if length is None or length > _LONGEST_BODY_BYTES:
            self.channel.write(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\n")
            self.channel.loseConnection()
        super().gotLength(length)


class GatedSite(Site):
    """
    A web site with one door for all of it.

    Under C{allow_origin} pages from elsewhere, of that origin or of all ("*"), may read what is served.
    """

    noisy = False
    requestFactory = _Request

    def __init__(self, root: Resource, door: Door, allow_origin: str = "", reactor: Any = None) -> None:
        super().__init__(root, reactor=reactor)
        self._door = door
        self._allow_origin = allow_origin

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]  # a stream takes its connection for itself

    def log(self, request: http.Request) -> None:
        """Tell of refusals only: a page asks once a second, and those who watch are told of anyway."""
        if request.code in (http.UNAUTHORIZED, http.FORBIDDEN):
            log.info("{host} was not answered: {code}", host=describe(request.getClientAddress()), code=request.code)

    def getResourceFor(self, request: Request) -> IResource:
        for name, value in _ALWAYS.items():
            request.setHeader(name, value)
        if self._allow_origin:
            request.setHeader("Access-Control-Allow-Origin", self._allow_origin)
        request.setHeader("Cross-Origin-Resource-Policy", "cross-origin" if self._allow_origin else "same-origin")
        if request.method not in (b"GET", b"HEAD"):
            return Plain(http.NOT_ALLOWED, "there is nothing here but to look: use GET", {"Allow": "GET, HEAD"})
        if not _names_this_machine(request):
            # A page elsewhere whose name was made to lead here: it would speak for its reader.
            advice = "open http://localhost or http://127.0.0.1, and let a proxy send that as the Host"
            return Plain(421, f"this is watched from this machine only: {advice}")
        return DeferredResource(Deferred.fromCoroutine(self._resource(request)))

    async def _resource(self, request: Request) -> IResource:
        instead = await self._door.admit(request)
        found: IResource = super().getResourceFor(request) if instead is None else instead
        return found


def _names_this_machine(request: Request) -> bool:
    """Whether a request that came over this machine's own address asks for it by a name of its own."""
    here: IAddress = request.getHost()
    if not is_local(here) or not hasattr(here, "host"):
        return True
    name = request.getRequestHostname().decode("ascii", "replace").strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
