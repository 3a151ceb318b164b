"""The values in a query, read within bounds."""

from __future__ import annotations

import math

from twisted.web.server import Request

from twistedcam.camera_status import ICameraStatus
from twistedcam.encodings import encoding_for
from twistedcam.hub import Hub


class QueryError(ValueError):
    """A value in a query is not valid; the text says what it has to be."""


def number(request: Request, name: str, least: float, most: float, default: float) -> float:
    """The number called C{name} in the query. Raises L{QueryError}."""
    texts = request.args.get(name.encode())
    if texts is None:
        return default
    try:
        value = float(texts[0])
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise QueryError(f"{name}={texts[0].decode(errors='replace'):.40} is not a number from {least:g} to {most:g}")
    return value


def hub_for(request: Request, camera: ICameraStatus) -> Hub:
    """The hub of the pictures as wide as the query asks for. Raises L{QueryError}."""
    width = int(number(request, "width", 1, 100_000, camera.width))
    hub: Hub = camera.hubs[encoding_for(width, camera.width)]
    return hub
