"""HTTP authentication: which credentials a request shows, and how it is answered without them."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlencode

from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Request

from twistedcam.access.admission import Admission, is_private
from twistedcam.access.guards import PASSWORDS_NEED_TLS, TokenGuard
from twistedcam.errors import AccessDeniedError, NoRoomError
from twistedcam.interfaces import IGuard
from twistedcam.secret import Secret
from twistedcam.web.document import is_document
from twistedcam.web.responses import TextResource, busy
from twistedcam.wire.messages import Hello

_KEY = b"key"  # the parameter in the query of a link
_COOKIE_SECONDS = 30 * 24 * 3600


class RequestAuthenticator(Protocol):
    """One way to show credentials over HTTP."""

    @property
    def guard(self) -> IGuard:
        """The guard that checks them."""

    def credentials(self, request: Request) -> Hello | None:
        """The credentials in C{request}, or None if there is nothing to check."""

    def ask(self, request: Request) -> IResource:
        """The answer to a request without credentials."""

    def deny(self, request: Request, reason: str) -> IResource:
        """The answer to a request with wrong credentials."""

    def redirect(self, request: Request) -> IResource | None:
        """The answer to a request with good credentials, None to give it what it asks for."""


async def authenticate(authenticator: RequestAuthenticator, admission: Admission, request: Request) -> IResource | None:
    """Check what C{request} shows: None if it may have what it asks for, otherwise the answer instead."""
    shown = authenticator.credentials(request)
    if shown is None:
        return authenticator.ask(request)
    host = getattr(request.getClientAddress(), "host", "")
    is_safe = is_private(request.channel.transport)
    try:
        challenge = await admission.authenticate(host, authenticator.guard, shown, is_safe)
    except NoRoomError as full:
        return busy(full)
    except AccessDeniedError as denied:
        return authenticator.deny(request, str(denied))
    if challenge is not None:
        return authenticator.deny(request, "a challenge cannot be answered over HTTP")
    return authenticator.redirect(request)


class BasicAuthenticator:
    """A name and a password by HTTP's basic authentication, over TLS or from this machine."""

    def __init__(self, guard: IGuard) -> None:
        self.guard = guard

    def credentials(self, request: Request) -> Hello | None:
        """The name and the password; None if others could read them."""
        user, password = (text.decode(errors="replace") for text in (request.getUser(), request.getPassword()))
        if not (user or password) or not is_private(request.channel.transport):
            return None
        return Hello(user=user, password=Secret(password))

    def ask(self, request: Request) -> IResource:
        """Ask for a password, or for TLS if others could read it."""
        if not is_private(request.channel.transport):
            return TextResource(http.FORBIDDEN, f"{PASSWORDS_NEED_TLS}: use https")
        return _unauthorized("this camera asks for a name and a password")

    def deny(self, request: Request, reason: str) -> IResource:
        """Ask again."""
        return _unauthorized(reason)

    def redirect(self, request: Request) -> IResource | None:
        """None: the request is given what it asks for."""
        return None


class TokenCredential(Protocol):
    """The token to check, and the name for its cookie. Both change when the key is renewed while the server runs."""

    @property
    def token(self) -> Secret:
        """See L{twistedcam.access.sharekey.web_token}."""

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the server's certificate."""


class TokenAuthenticator:
    """
    A token in a link, which becomes a cookie and is removed from the address where people see that.

    Programs may send it as the password, or in the address, as images in pages of other sites do: browsers send no
    cookie with these.

    A right token in any of the three is enough, whatever the others contain. The cookie is named after the certificate,
    because cookies do not depend on the port: servers on one host would replace each other's.
    """

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential

    @property
    def guard(self) -> IGuard:
        """A guard that checks the current token."""
        return TokenGuard(self._credential.token)

    def credentials(self, request: Request) -> Hello | None:
        """The right token, if the cookie, the link or the password is it; otherwise the first of these, or None."""
        shown = (request.getCookie(self._cookie()), *request.args.get(_KEY, []), request.getPassword())
        tokens = [Secret(text.decode(errors="replace")) for text in shown if text]
        right = self._credential.token
        return Hello(password=right if right in tokens else tokens[0]) if tokens else None

    def ask(self, request: Request) -> IResource:
        """Ask for the token as a password."""
        return _unauthorized("this camera is shared by a link, which the server shows when it starts")

    def deny(self, request: Request, reason: str) -> IResource:
        """Refuse, and delete the cookie, if there is one: a page that is still open would go on failing."""
        if request.getCookie(self._cookie()) is not None:
            self._set_cookie(request, "", 0)
        return TextResource(http.FORBIDDEN, reason)

    def redirect(self, request: Request) -> IResource | None:
        """For a page that is opened: a redirect to the same address without the token, which becomes a cookie."""
        if _KEY not in request.args or not is_document(request):
            return None
        rest = {name: values for name, values in request.args.items() if name != _KEY}
        query = f"?{urlencode(rest, doseq=True)}" if rest else ""
        # Relative, since a proxy may serve us under a path of its own; "./" keeps a name from being read as a scheme.
        path = "./" + request.path.decode("ascii", "replace").rpartition("/")[2]
        self._set_cookie(request, self._credential.token.reveal(), _COOKIE_SECONDS)
        return TextResource(http.SEE_OTHER, "the address without the key", {"Location": path + query})

    def _cookie(self) -> bytes:
        # Browsers take a cookie of this prefix only over TLS, and from no other host: not from a subdomain either.
        return b"__Host-twistedcam-%s" % self._credential.fingerprint.hex()[:16].encode()

    def _set_cookie(self, request: Request, value: str, seconds: int) -> None:
        request.addCookie(
            self._cookie(), value, path=b"/", max_age=str(seconds), secure=True, httpOnly=True, sameSite="lax"
        )


def _unauthorized(reason: str) -> TextResource:
    challenge = {"WWW-Authenticate": 'Basic realm="twistedcam", charset="UTF-8"'}
    return TextResource(http.UNAUTHORIZED, reason, challenge)
