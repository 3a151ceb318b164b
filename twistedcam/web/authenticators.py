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
from twistedcam.web.responses import TextResource, busy
from twistedcam.wire.messages import Hello

COOKIE = "twistedcam"
_COOKIE_SECONDS = 30 * 24 * 3600


class RequestAuthenticator(Protocol):
    """One way to show credentials over HTTP."""

    @property
    def guard(self) -> IGuard:
        """The guard that checks them."""

    def credentials(self, request: Request) -> Hello | None:
        """What C{request} shows, or None if there is nothing to check."""

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


class TokenAuthenticator:
    """
    A link with a token, which becomes a cookie and is taken out of the address; programs may use it as the password.

    See L{twistedcam.access.sharekey.web_token}.
    """

    def __init__(self, token: Secret) -> None:
        self.guard = TokenGuard(token)
        self._token = token

    def credentials(self, request: Request) -> Hello | None:
        """The token of the link itself, else of the cookie, else of the password."""
        shown = _key(request) or request.getCookie(COOKIE.encode()) or request.getPassword()
        return Hello(password=Secret(shown.decode(errors="replace"))) if shown else None

    def ask(self, request: Request) -> IResource:
        """Ask for the token as a password."""
        return _unauthorized("this camera is shared by a link, which the server shows when it starts")

    def deny(self, request: Request, reason: str) -> IResource:
        """Refuse, and delete the cookie: a page that is still open would go on failing, and delay a good link."""
        request.addCookie(COOKIE, b"", path=b"/", max_age=b"0", secure=True)
        return TextResource(http.FORBIDDEN, reason)

    def redirect(self, request: Request) -> IResource | None:
        """A redirect to the same address without the token, which becomes a cookie."""
        if not _key(request):
            return None
        rest = {name: values for name, values in request.args.items() if name != b"key"}
        query = f"?{urlencode(rest, doseq=True)}" if rest else ""
        path = "/" + request.path.decode("ascii", "replace").lstrip("/")  # "//" would lead to another server
        age = str(_COOKIE_SECONDS)
        request.addCookie(
            COOKIE, self._token.reveal(), path=b"/", max_age=age, secure=True, httpOnly=True, sameSite="lax"
        )
        return TextResource(http.SEE_OTHER, "the address without the key", {"Location": path + query})


def _key(request: Request) -> bytes:
    found: bytes = request.args.get(b"key", [b""])[0]
    return found


def _unauthorized(reason: str) -> TextResource:
    challenge = {"WWW-Authenticate": 'Basic realm="twistedcam", charset="UTF-8"'}
    return TextResource(http.UNAUTHORIZED, reason, challenge)
