"""Strict parsing of JSON from a peer: the object in a payload, and values of the right type and within bounds."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from twistedcam.text import printable

MAX_LONG_TEXT = 4096  # characters; a viewer's message has no room for more
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can express it, but it cannot be encoded or printed
MAX_TEXT = 200  # characters of a camera's name or a reason: a comment segment of a JPEG has to hold both


class FieldError(ValueError):
    """JSON that is malformed, or a value of the wrong type or out of bounds; the text says which."""


def load_object(payload: bytes) -> dict[str, Any]:
    """The JSON object in C{payload}, which is UTF-8. Raises L{FieldError}, also for NaN and lone surrogates."""
    try:
        found = json.loads(payload.decode(), parse_constant=_refuse_constant)
        if b"\\u" in payload and _LONE_SURROGATE.search(json.dumps(found, ensure_ascii=False)):
            raise FieldError("not JSON: a lone surrogate is not text")
    except FieldError:
        raise
    except (ValueError, RecursionError) as error:
        raise FieldError(f"not JSON: {printable(str(error), MAX_TEXT)}") from None
    if not isinstance(found, dict):
        raise FieldError("JSON, but not an object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise FieldError(f"not JSON: {name} is not a number")


def as_text(name: str, value: object, limit: int = MAX_TEXT) -> str:
    """
    C{value}, from L{load_object}, as text of at most C{limit} characters; the rest is cut off. Raises L{FieldError}.
    """
    if not isinstance(value, str):
        raise FieldError(f"{name} is not text")
    return value[:limit]


def as_name(name: str, value: object) -> str:
    """C{value} as the name of a camera; it has to print, because it is sent back unchanged. Raises L{FieldError}."""
    text = as_text(name, value)
    if not text.isprintable():
        raise FieldError(f"{name} contains characters that do not print")
    return text


def as_remark(name: str, value: object) -> str:
    """C{value} as text that is only shown, and made L{printable} for that. Raises L{FieldError}."""
    return printable(as_text(name, value), MAX_TEXT)


def as_count(name: str, value: object) -> int:
    """C{value} as an integer from 0 to 2**63 - 1. Raises L{FieldError}."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise FieldError(f"{name} is not a whole number from 0 to 2**63 - 1")
    return value


def as_number(name: str, value: object, least: float, most: float) -> float:
    """C{value} as a finite number from C{least} to C{most}. Raises L{FieldError}."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise FieldError(f"{name} is not a number from {least:g} to {most:g}")
    return float(value)


def as_seconds(name: str, value: object) -> float:
    """C{value} as a time of day or a duration. Raises L{FieldError}."""
    return as_number(name, value, -1e12, 1e12)


def as_scalar(name: str, value: object) -> str | float | None:
    """C{value} as it is, if it is text, a finite number, a boolean or None. Raises L{FieldError}."""
    if isinstance(value, str):
        return as_text(name, value, MAX_LONG_TEXT)
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise FieldError(f"{name} is neither text nor a number")
