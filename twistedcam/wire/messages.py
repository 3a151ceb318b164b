"""
The JSON messages of the wire, each a frozen dataclass that is parsed and bounded once.

L{parse_from_viewer} and L{parse_from_server} make them of what a peer has sent, L{pack} makes bytes of them. Unknown
fields and messages of unknown types are ignored: later versions may have them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from twistedcam.rates import MAX_FPS
from twistedcam.secret import Secret
from twistedcam.wire import framing
from twistedcam.wire.fields import (
    MAX_LONG_TEXT,
    FieldError,
    as_name,
    as_number,
    as_remark,
    as_scalar,
    as_seconds,
    as_text,
    load_object,
)

MIN_NONCE, MAX_NONCE = 16, 100  # characters
_MAX_PROOF = 64  # hexadecimal digits of HMAC-SHA256


@dataclass(frozen=True)
class Hello:
    """
    A viewer asks for C{camera} (the first one if None), and at most C{fps} frames a second (0: no limit).

    If C{adapt} is False, it is sent pictures of full size only. The other fields are credentials: C{nonce} and C{proof}
    for a key, C{user} and C{password} for a login.
    """

    type: ClassVar[str] = "hello"
    camera: str | None = None
    fps: float = 0.0
    adapt: bool = True
    nonce: str | None = None
    proof: str | None = field(default=None, repr=False)
    user: str | None = None
    password: Secret | None = None

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Hello:
        """The hello in a JSON object. Raises L{FieldError}."""
        return cls(
            _optional(found, "camera", _long_text),
            as_number("fps", found.get("fps", 0), 0, MAX_FPS),
            found.get("adapt", True) is not False,
            _optional(found, "nonce", _nonce),
            _optional(found, "proof", _proof),
            _optional(found, "user", _long_text),
            _optional(found, "password", _password),
        )


@dataclass(frozen=True)
class Ping:
    """A viewer asks for the server's clock; C{sent} is returned unchanged."""

    type: ClassVar[str] = "ping"
    sent: str | float | None = None

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Ping:
        """The ping in a JSON object. Raises L{FieldError}."""
        return cls(as_scalar("sent", found.get("sent")))


@dataclass(frozen=True)
class CamerasRequest:
    """A viewer asks for the names of the server's cameras."""

    type: ClassVar[str] = "cameras"

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> CamerasRequest:
        """The request in a JSON object, which has no fields."""
        return cls()


@dataclass(frozen=True)
class Challenge:
    """The server's nonce and its proof that it has the key, in answer to a viewer's nonce."""

    type: ClassVar[str] = "challenge"
    nonce: str
    proof: str

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Challenge:
        """The challenge in a JSON object. Raises L{FieldError}."""
        return cls(_nonce("nonce", found.get("nonce")), _proof("proof", found.get("proof")))


@dataclass(frozen=True)
class Pong:
    """The answer to a ping: its C{sent}, and the server's time of day in seconds since the epoch."""

    type: ClassVar[str] = "pong"
    sent: str | float | None
    clock: float

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Pong:
        """The pong in a JSON object. Raises L{FieldError}."""
        return cls(as_scalar("sent", found.get("sent")), as_seconds("clock", found.get("clock")))


@dataclass(frozen=True)
class Cameras:
    """The names of the server's cameras, at least one; the first is the default."""

    type: ClassVar[str] = "cameras"
    cameras: tuple[str, ...]

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Cameras:
        """The names in a JSON object. Raises L{FieldError}."""
        names = found.get("cameras")
        if not isinstance(names, list) or not names:
            raise FieldError("cameras is not a list of names")
        return cls(tuple(as_name("the name of a camera", name) for name in names))


@dataclass(frozen=True)
class Refused:
    """The server refuses a viewer and says why; C{again} says whether a later attempt may succeed."""

    type: ClassVar[str] = "refused"
    reason: str
    again: bool = False

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Refused:
        """The refusal in a JSON object. Raises L{FieldError}."""
        return cls(as_remark("reason", found.get("reason", "it does not say why")), found.get("again") is True)


FromViewer = Hello | Ping | CamerasRequest
FromServer = Challenge | Pong | Cameras | Refused

_FROM_VIEWER: dict[str, Callable[[Mapping[str, Any]], FromViewer]] = {
    kind.type: kind.parse for kind in (Hello, Ping, CamerasRequest)
}
_FROM_SERVER: dict[str, Callable[[Mapping[str, Any]], FromServer]] = {
    kind.type: kind.parse for kind in (Challenge, Pong, Cameras, Refused)
}

_Message = TypeVar("_Message")
_Value = TypeVar("_Value")


def parse_from_viewer(payload: bytes) -> FromViewer | None:
    """The message of a viewer, or None if its type is unknown. Raises L{FieldError}."""
    return _parse(payload, _FROM_VIEWER)


def parse_from_server(payload: bytes) -> FromServer | None:
    """The message of a server, or None if its type is unknown. Raises L{FieldError}."""
    return _parse(payload, _FROM_SERVER)


def _parse(payload: bytes, kinds: Mapping[str, Callable[[Mapping[str, Any]], _Message]]) -> _Message | None:
    found = load_object(payload)
    kind = found.get("type")
    parse = kinds.get(kind) if isinstance(kind, str) else None
    return parse(found) if parse is not None else None


def to_json(message: FromViewer | FromServer) -> bytes:
    """C{message} as compact JSON, without the fields that have their default values."""
    values = ((one, getattr(message, one.name)) for one in fields(message))
    told = {"type": message.type} | {one.name: value for one, value in values if value != one.default}
    return json.dumps(told, separators=(",", ":"), default=Secret.reveal).encode()


def pack(message: FromViewer | FromServer) -> bytes:
    """C{message} as it goes over the wire, its length in front."""
    return framing.pack(to_json(message))


def _optional(found: Mapping[str, Any], name: str, read: Callable[[str, object], _Value]) -> _Value | None:
    value = found.get(name)
    return None if value is None else read(name, value)


def _long_text(name: str, value: object) -> str:
    return as_text(name, value, MAX_LONG_TEXT)


def _password(name: str, value: object) -> Secret:
    return Secret(_long_text(name, value))


def _proof(name: str, value: object) -> str:
    return as_text(name, value, _MAX_PROOF + 1)  # one too many, so that a longer text does not become a proof


def _nonce(name: str, value: object) -> str:
    text = as_text(name, value, MAX_NONCE + 1)
    if not MIN_NONCE <= len(text) <= MAX_NONCE:
        raise FieldError(f"{name} is not of {MIN_NONCE} to {MAX_NONCE} characters")
    return text
