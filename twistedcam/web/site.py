"""Which HTTP requests are answered at all: who asks, for which name of this machine, and how."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from twisted.web.util import DeferredResource

from twistedcam.net import describe, is_local
from twistedcam.web.authenticators import RequestAuthenticator
from twistedcam.web.responses import TextResource

log = Logger()

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


class AuthenticatedSite(Site):
    """
    A web site with one door for all of it.

    Under C{allow_origin} pages from elsewhere, of that origin or of all ("*"), may read what is served.
    """

    noisy = False
    requestFactory = _Request

    def __init__(self, root: Resource, door: RequestAuthenticator, allow_origin: str = "", reactor: Any = None) -> None:
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
            return TextResource(http.NOT_ALLOWED, "there is nothing here but to look: use GET", {"Allow": "GET, HEAD"})
        if not _names_this_machine(request):
            # A page elsewhere whose name was made to lead here: it would speak for its reader.
            advice = "open http://localhost or http://127.0.0.1, and let a proxy send that as the Host"
            return TextResource(421, f"this is watched from this machine only: {advice}")
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
