"""What a browser wants a stream for: as a page of its own, or as an image in a page."""

from __future__ import annotations

from html import escape
from importlib import resources
from string import Template

from twisted.web.server import Request

from twistedcam.web.headers import header
from twistedcam.web.responses import body_for

_TEMPLATE = Template(resources.files("twistedcam.web").joinpath("page", "stream.html").read_text())


def is_document(request: Request) -> bool:
    """Whether the answer is shown as a page, in a tab or a frame."""
    return "text/html" in _accepted(request)


def shows_images(request: Request) -> bool:
    """Whether a browser asks for an image: Sec-Fetch-Dest is not sent over plain HTTP to another machine."""
    return "image/webp" in _accepted(request) or header(request, b"Sec-Fetch-Dest") == "image"


def stream_document(request: Request, name: str) -> bytes:
    """The page that shows the stream of the camera C{name}, at the address of C{request}, as large as its window."""
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    request.responseHeaders.addRawHeader("Vary", "Accept")
    query = request.uri.decode("latin-1").partition("?")[2]
    values = {
        "name": name,
        "root": "../" * (request.path.count(b"/") - 1),
        # The pictures are scaled to the window in any case, so that their size may change.
        "source": "?" + (query if "adapt=" in query else f"{query}&adapt=1".removeprefix("&")),
    }
    return body_for(request, _TEMPLATE.substitute({key: escape(value) for key, value in values.items()}).encode())


def _accepted(request: Request) -> str:
    return (header(request, b"Accept") or "").lower()
