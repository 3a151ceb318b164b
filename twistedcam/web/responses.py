"""Small resources: a line of text, and content that is made for each request."""

from __future__ import annotations

import math
from collections.abc import Callable
from http import HTTPStatus

from twisted.web.resource import Resource
from twisted.web.server import Request

from twistedcam.access.throttle import TooManyAttemptsError
from twistedcam.errors import NoRoomError
from twistedcam.text import printable

_MAX_TEXT = 2000


class TextResource(Resource):
    """One line of text, with a status code and headers."""

    isLeaf = True

    def __init__(self, code: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self._code = code
        self._text = printable(text, _MAX_TEXT)  # it may quote what was asked for
        self._headers = headers or {}

    def render(self, request: Request) -> bytes:
        """The line."""
        request.setResponseCode(self._code, HTTPStatus(self._code).phrase.encode())  # Twisted has no names for all
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        for name, value in self._headers.items():
            request.setHeader(name, value)
        return body_for(request, f"{self._text}\n".encode())


class EmptyResource(Resource):
    """No content: the headers say it all."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Nothing."""
        request.setResponseCode(HTTPStatus.NO_CONTENT)
        return b""


class DynamicResource(Resource):
    """Content that C{make} gives for each request, as its type and its bytes."""

    isLeaf = True

    def __init__(self, make: Callable[[Request], tuple[str, bytes]]) -> None:
        super().__init__()
        self._make = make

    def render_GET(self, request: Request) -> bytes:
        """The content as of now."""
        kind, content = self._make(request)
        request.setHeader("Content-Type", kind)
        return body_for(request, content)


def body_for(request: Request, content: bytes) -> bytes:
    """C{content}, or nothing if C{request} asks for the head alone, which tells its length."""
    if request.method != b"HEAD":
        return content
    request.setHeader("Content-Length", str(len(content)))
    return b""


def busy(reason: NoRoomError) -> TextResource:
    """The answer when C{reason} keeps a request from being served now, but a later one may be."""
    code = HTTPStatus.TOO_MANY_REQUESTS if isinstance(reason, TooManyAttemptsError) else HTTPStatus.SERVICE_UNAVAILABLE
    return TextResource(code, str(reason), {"Retry-After": str(math.ceil(reason.retry_seconds))})
