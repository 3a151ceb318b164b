"""The headers of a request as text, whatever bytes they contain: Twisted's own methods fail if it is not UTF-8."""

from __future__ import annotations

from twisted.web.server import Request


def header(request: Request, name: bytes) -> str | None:
    """The value of the header C{name}, the last one if there are several; None if there is none."""
    return next(reversed(headers(request, name)), None)


def headers(request: Request, name: bytes) -> list[str]:
    """All values of the header C{name}, each byte as one character."""
    return [value.decode("latin-1") for value in request.requestHeaders.getRawHeaders(name, [])]
