"""The HTTP server: which methods, hosts and origins it answers, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from twisted.web.util import DeferredResource

from twistedcam.access.admission import Admission
from twistedcam.net import describe
from twistedcam.text import printable
from twistedcam.web.authenticators import RequestAuthenticator, authenticate
from twistedcam.web.channel import WebChannel
from twistedcam.web.hosts import Hosts, requested_host
from twistedcam.web.origins import Origins, is_preflight
from twistedcam.web.proxies import Proxies
from twistedcam.web.responses import EmptyResource, TextResource

_MAX_BODY_BYTES = 4096
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors "
)
_HEADERS = {
    "Server": "twistedcam",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class _Request(Request):
    """A request with at most L{_MAX_BODY_BYTES} of a body, whose sender may be gone before it is answered."""

    channel: WebChannel
    _is_gone = False

    def __repr__(self) -> str:
        # Twisted logs requests by their repr, and its own shows the whole URI, in whose query there may be a key.
        return f"<{printable(f'{self.method!r} {self.path!r}', 100)}>"

    def connectionLost(self, reason: Failure) -> None:
        self._is_gone = True
        super().connectionLost(reason)

    def render(self, resrc: IResource) -> None:
        """Answer, unless the connection is gone."""
        if not self._is_gone:
            super().render(resrc)

    def gotLength(self, length: int | None) -> None:
        is_too_long = length is None or length > _MAX_BODY_BYTES
        if is_too_long:
            self.requestHeaders.removeHeader(b"expect")  # or "100 Continue" would follow
            self.channel.refuse(b"413 Content Too Large")
        super().gotLength(0 if is_too_long else length)


class AuthenticatedSite(Site):
    """
    A web site that answers a request only after C{authenticator} and C{admission} have let it in.

    Without an authenticator, only requests for one of C{hosts} are answered. Pages of the origins
    C{allow_origins}, or of all with "*", may show and read what is served. C{proxies} finds the client's address for
    each request.
    """

    noisy = False
    protocol: Any = WebChannel
    requestFactory = _Request

    def __init__(
        self,
        root: Resource,
        authenticator: RequestAuthenticator | None,
        admission: Admission,
        allow_origins: Iterable[str] = (),
        reactor: Any = None,
        hosts: Hosts | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        super().__init__(root, reactor=reactor, timeout=None)  # L{WebChannel} has timeouts of its own
        self._authenticator = authenticator
        self.admission = admission
        self._origins = Origins(allow_origins, has_login=authenticator is not None)
        self._headers = _HEADERS | {"Content-Security-Policy": _POLICY + self._origins.frame_ancestors}
        self._hosts = hosts or Hosts()
        self._proxies = proxies or Proxies()

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]  # a stream takes its connection for itself

    def log(self, request: http.Request) -> None:
        """Log refusals only: a page asks once a second, and viewers are logged elsewhere."""
        if request.code in (http.UNAUTHORIZED, http.FORBIDDEN):
            host = describe(request.getClientAddress())
            self.admission.log.info("{host} was refused: {code}", host=host, code=request.code)

    def getResourceFor(self, request: Request) -> IResource:
        request.client = self._proxies.client_of(request)  # what getClientAddress returns
        self._set_headers(request)
        answer = self._answer_before_login(request)
        return self._authenticated(request) if answer is None else answer

    def _set_headers(self, request: Request) -> None:
        for name, value in self._headers.items():
            request.setHeader(name, value)
        self._origins.set_headers(request)

    def _answer_before_login(self, request: Request) -> IResource | None:
        """The answer to a request that is refused, or asks only what is allowed, whoever sends it; otherwise None."""
        if request.method not in (b"GET", b"HEAD") and not is_preflight(request):
            return TextResource(http.NOT_ALLOWED, "only GET and HEAD are answered here", {"Allow": "GET, HEAD"})
        try:
            host = requested_host(request)
        except ValueError as error:
            return TextResource(http.BAD_REQUEST, str(error))
        if self._authenticator is None and not self._hosts.admits(host):
            name = printable(host, 100)
            advice = f"start it with --allow-host {name} if that is its name, or use its IP address"
            return TextResource(421, f"this server does not know itself as {name}: {advice}")
        if not self._origins.admits(request):
            return TextResource(http.FORBIDDEN, "a page of another site asked for this: allow it by --allow-origin")
        if is_preflight(request):
            self._origins.set_preflight_headers(request)
            return EmptyResource()
        return None

    def _authenticated(self, request: Request) -> IResource:
        resource = Deferred.fromCoroutine(self._resource(request))
        resource.addErrback(_cancelled)
        request.notifyFinish().addErrback(lambda failure: resource.cancel())  # the client is gone
        return DeferredResource(resource)

    async def _resource(self, request: Request) -> IResource:
        instead = None
        if self._authenticator is not None:
            instead = await authenticate(self._authenticator, self.admission, request)
        found: IResource = super().getResourceFor(request) if instead is None else instead
        return found


def _cancelled(failure: Failure) -> IResource:
    failure.trap(CancelledError)
    return TextResource(http.SERVICE_UNAVAILABLE, "the connection was lost")  # which L{_Request} does not send
