"""The values in a query, read within bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from twisted.web.server import Request

from twistedcam.camera_status import ICameraStatus
from twistedcam.encodings import encoding_for
from twistedcam.hub import Hub


class QueryError(ValueError):
    """A value in a query is not valid; the text says what it has to be."""


def number(request: Request, name: str, least: float, most: float, default: float) -> float:
    """The number called C{name} in the query. Raises L{QueryError}."""
    (value,) = numbers(request, name, least, most, [default])
    return value


def numbers(request: Request, name: str, least: float, most: float, defaults: Sequence[float]) -> list[float]:
    """
    The numbers called C{name} in the query, one for each of C{defaults}; one number alone holds for all.

    Raises L{QueryError}.
    """
    texts = request.args.get(name.encode())
    if texts is None:
        return list(defaults)
    if len(texts) not in (1, len(defaults)):
        raise QueryError(
            f"{name} is given {len(texts)} times: give it once, or once for each of {len(defaults)} cameras"
        )
    values = [_number(name, text.decode(errors="replace"), least, most) for text in texts]
    return values if len(values) == len(defaults) else values * len(defaults)


def is_on(request: Request, name: str) -> bool:
    """Whether the switch called C{name} in the query is 1; left out, or 0, it is off. Raises L{QueryError}."""
    return number(request, name, 0, 1, 0) == 1


def _number(name: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise QueryError(f"{name}={text:.40} is not a number from {least:g} to {most:g}")
    return value


def encodings_for(request: Request, cameras: Sequence[ICameraStatus]) -> list[str]:
    """The encoding of the pictures of each of C{cameras}, as wide as the query asks for. Raises L{QueryError}."""
    widths = numbers(request, "width", 1, 100_000, [camera.width for camera in cameras])
    return [encoding_for(int(width), camera.width) for width, camera in zip(widths, cameras, strict=True)]


def hub_for(request: Request, camera: ICameraStatus) -> Hub:
    """The hub of the pictures as wide as the query asks for. Raises L{QueryError}."""
    (encoding,) = encodings_for(request, [camera])
    hub: Hub = camera.hubs[encoding]
    return hub
