"""How an HTTP request shows who it is from."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable
from typing import Protocol
from urllib.parse import urlencode

from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Request

from twistedcam.access.admission import LoginThrottle
from twistedcam.access.guards import PasswordGuard
from twistedcam.interfaces import AccessDeniedError
from twistedcam.net import is_local
from twistedcam.web.responses import TextResource
from twistedcam.wire.messages import Hello

COOKIE = "twistedcam"
_COOKIE_SECONDS = 30 * 24 * 3600


class RequestAuthenticator(Protocol):
    """Decides about one request."""

    def admit(self, request: Request) -> Awaitable[IResource | None]:
        """None for who may go on, or what to answer instead."""


class NoAuthentication:
    """For everybody who can reach us."""

    async def admit(self, request: Request) -> IResource | None:
        """Come in."""
        return None


class BasicAuthenticator:
    """HTTP's basic authentication, asking the same guard as the camera's own protocol does, in the same turns."""

    def __init__(self, guard: PasswordGuard, turns: LoginThrottle) -> None:
        self._guard = guard
        self._turns = turns

    async def admit(self, request: Request) -> IResource | None:
        """Name and password, over TLS or from this machine."""
        is_private = request.isSecure() or is_local(request.getHost())
        if not is_private:
            return TextResource(http.FORBIDDEN, "passwords are taken over TLS only: use https")
        user, password = (text.decode(errors="replace") for text in (request.getUser(), request.getPassword()))
        if not user and not password:
            return _ask_for_password("this camera asks for a name and a password")
        host = getattr(request.getClientAddress(), "host", "")
        await self._turns.wait(host)
        try:
            await self._guard.admit(Hello(user=user, password=password), is_private)
        except AccessDeniedError as denied:
            self._turns.failed(host)
            await self._turns.wait(host)
            return _ask_for_password(str(denied))
        self._turns.succeeded(host)
        return None


class TokenAuthenticator:
    """
    A link with a token, which becomes a cookie and leaves the address; programs may show it as a password.

    See L{sharekey.web_token}.
    """

    def __init__(self, token: str, turns: LoginThrottle) -> None:
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
            return TextResource(http.FORBIDDEN, "the link is wrong, or is of no use any more: ask for the present one")
        self._turns.succeeded(host)
        return self._without_key(request) if link else None

    def _without_key(self, request: Request) -> IResource:
        rest = {name: values for name, values in request.args.items() if name != b"key"}
        query = f"?{urlencode(rest, doseq=True)}" if rest else ""
        path = "/" + request.path.decode("ascii", "replace").lstrip("/")  # two of them would lead to another server
        age = str(_COOKIE_SECONDS)
        request.addCookie(COOKIE, self._token, path=b"/", max_age=age, secure=True, httpOnly=True, sameSite="lax")
        return TextResource(http.SEE_OTHER, "this way", {"Location": path + query})


def _ask_for_password(why: str) -> TextResource:
    challenge = {"WWW-Authenticate": 'Basic realm="twistedcam", charset="UTF-8"'}
    return TextResource(http.UNAUTHORIZED, why, challenge)
