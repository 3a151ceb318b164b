"""URLs of cameras: what is in them, what of it may be shown, and what to write instead of a malformed one."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from ipaddress import IPv6Address
from urllib.parse import unquote

from twistedcam.capture.target import Target
from twistedcam.errors import CameraError
from twistedcam.secret import SECRET_NAMES, Secret

_LISTENING = ("udp", "rtp", "srt", "tcp")  # which may wait for a sender: their host may be missing
SCHEMES = (
    "rtsp",
    "rtsps",
    "http",
    "https",
    "rtmp",
    "rtmps",
    "rtmpt",
    "mmsh",
    "mmst",
    "ftp",
    "srtp",
    "tls",
    *_LISTENING,
)
_ESCAPES = "@ as %40, / as %2F, ? as %3F, # as %23, [ as %5B and ] as %5D"
_PASSWORD_IN_QUERY = re.compile(rf"(?i)(?:.*[_-])?(?:{SECRET_NAMES})")
_BARE = 8  # characters that a part of a path or query must have to be a token rather than a word such as "stream"


def looks_like_url(text: str) -> bool:
    """Whether C{text} is a URL, or meant to be one: C{http:/host} and C{rtsp:host} are."""
    return "://" in text or (text.partition(":")[0].lower() in (*SCHEMES, "file") and ":" in text)


def parse_url(url: str) -> tuple[str, Target]:
    """
    A name for the camera at C{url}, which is its host, and its target, of which scheme, host and port are shown.

    Raises L{CameraError}, whose text shows nothing of what may be a password, if C{url} is malformed.
    """
    scheme, host, port, user_info, rest = _split(url)
    shown = f"{scheme}://{host}{port}"
    secrets = tuple(dict.fromkeys(map(Secret, filter(None, _secrets(user_info, rest)))))
    queried = any(_PASSWORD_IN_QUERY.fullmatch(name) for name, _ in _queried(rest))
    name = host.strip("[]") or f"{scheme}{port.replace(':', '-')}"
    return name, Target(shown, Secret(url), secrets, has_password=":" in user_info or queried)


def _split(url: str) -> tuple[str, str, str, str, str]:
    """The scheme, host, port with its colon, user information, and all that follows. Raises L{CameraError}."""
    scheme, _, rest = url.partition(":")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        raise CameraError(f"{_scheme(scheme)} is not a scheme of cameras: write rtsp://, http://, https:// or rtmp://")
    where = f"the URL {scheme}://***"
    if not rest.startswith("//"):
        raise CameraError(f"{where} needs two slashes after the colon: write {scheme}://HOST")
    _check_characters(where, rest)
    authority, rest = re.fullmatch(r"//([^/?#]*)(.*)", rest).groups()  # type: ignore[union-attr]
    user_info, _, address = authority.rpartition("@")
    _check_user_info(where, user_info, rest)
    host, port = _address(where, scheme, address)
    return scheme, host, port, user_info, rest


def _scheme(scheme: str) -> str:
    return f"{scheme}://" if re.fullmatch(r"[a-z][a-z\d+.-]{0,19}", scheme) else "what stands before ://"


def _check_characters(where: str, rest: str) -> None:
    try:
        rest.encode()
    except UnicodeEncodeError:
        raise CameraError(f"{where} is not UTF-8 text: write each byte that is not as %XX, with two digits") from None
    if not rest.isprintable() or " " in rest:
        raise CameraError(f"{where} contains a space, or a character that does not print: write a space as %20")
    if "\\" in rest:
        raise CameraError(rf"{where} contains a \: write it as %5C, and / between the parts of a path")


def _check_user_info(where: str, user_info: str, rest: str) -> None:
    if "@" in rest or re.search(r"[@\[\]]", user_info):
        raise CameraError(
            f"{where} has characters that have to be escaped: in a user name, password or path {_ESCAPES}"
        )
    if re.search(r"%(?![\da-fA-F]{2})", user_info):
        raise CameraError(f"{where} has a % in its user name or password that is to be written as %25")


def _address(where: str, scheme: str, address: str) -> tuple[str, str]:
    """The host and the port with its colon, both may be empty. Raises L{CameraError}."""
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[^:\[\]]*)?", address)
    if found is None:
        # What stands here may be a password as well, so it is not shown.
        raise CameraError(
            f"{where} has no valid host: write an IPv6 address like [::1], and in a user name or password {_ESCAPES}"
        )
    host, port = found[1], (found[2] or "").removesuffix(":")
    if port and not (re.fullmatch(r":\d{1,5}", port, re.ASCII) and 0 < int(port[1:]) < 65536):
        raise CameraError(
            f"{where} has a port that is not a number from 1 to 65535: write {scheme}://HOST:PORT/, "
            f"and in a user name or password {_ESCAPES}"
        )
    _check_host(where, scheme, host)
    return host, port


def _check_host(where: str, scheme: str, host: str) -> None:
    if not host and scheme not in _LISTENING:
        raise CameraError(f"{where} has no host: write {scheme}://HOST/")
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
        elif not re.fullmatch(r"[\w.-]*", host):
            raise ValueError
    except ValueError:
        raise CameraError(f"{where} has no valid host: write a host name, an IPv4 address, or one like [::1]") from None


def _secrets(user_info: str, rest: str) -> Iterator[str]:
    """The parts of a URL that are not to be shown, as they are written, unescaped, and as they are sent in a login."""
    user, _, password = user_info.partition(":")
    for text in (user_info, user, password):
        yield from (text, unquote(text))
    if user_info:
        yield b64encode(unquote(user_info).encode("utf-8", "surrogateescape")).decode()
    yield from (rest if len(rest) > 1 else "", *_of_path(rest))
    for name, value in _queried(rest):
        yield f"{name}={value}"
        if len(value) >= _BARE or _PASSWORD_IN_QUERY.fullmatch(name):
            yield from (value, unquote(value))


def _of_path(rest: str) -> Iterator[str]:
    parts = re.split(r"[?#]", rest, maxsplit=1)[0].split("/")
    yield "/".join(parts) if any(parts) else ""
    for part in parts:
        if len(part) >= _BARE:
            yield from (part, unquote(part))


def _queried(rest: str) -> Iterator[tuple[str, str]]:
    """Names and values of a query, as they are written."""
    for part in re.split(r"[&;#]", rest.partition("?")[2]):
        name, found, value = part.partition("=")
        if found and value:
            yield name, value
        elif name:
            yield "", name
