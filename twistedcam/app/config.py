"""The server's configuration: what the options of C{twistd camstream} and the keywords of C{serve} mean."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import InvalidAuthType, makeChecker
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from twistedcam.access.admission import MAX_VIEWERS
from twistedcam.access.share_folder import ShareError, default_folder
from twistedcam.app.camera_config import CAMERA_OPTIONS, CameraConfig, configure_camera, find_no_effect
from twistedcam.app.options import Option, number_reader, read_text, read_texts
from twistedcam.capture.reasons import reason
from twistedcam.capture.sources import Source, parse_source
from twistedcam.encodings import ENCODING_JPEG, ENCODING_PICKLE
from twistedcam.errors import CameraError, TwistedcamError
from twistedcam.net import DEFAULT_PORT
from twistedcam.text import printable
from twistedcam.web.hosts import read_name
from twistedcam.web.origins import read_origin
from twistedcam.web.proxies import Network, read_network
from twistedcam.wire.fields import MAX_TEXT

DEFAULT_LISTEN, SHARED_LISTEN = f"tcp:{DEFAULT_PORT}:interface=127.0.0.1", f"tcp:{DEFAULT_PORT}"
DEFAULT_HTTP, SHARED_HTTP = "tcp:8080:interface=127.0.0.1", "tcp:8080"
_NO_HTTP = "off"


class ConfigError(TwistedcamError, ValueError):
    """An option is wrong; the text names it as the command does, C{--max-viewers}, and says what to write instead."""


@dataclass(frozen=True)
class Endpoint:
    """A server endpoint, and the string that describes it; C{is_default} unless it was asked for."""

    description: str
    endpoint: IStreamServerEndpoint
    is_default: bool = False


@dataclass(frozen=True)
class Local:
    """Everybody on this machine may watch; endpoints that other machines can reach are refused."""


@dataclass(frozen=True)
class Open:
    """Everybody who can reach an endpoint may watch."""


@dataclass(frozen=True)
class Shared:
    """Everybody with the key kept in C{state_dir} may watch, over TLS; C{renew} replaces the key by a new one."""

    state_dir: Path
    renew: bool = False


@dataclass(frozen=True)
class Passwords:
    """Everybody may watch whose name and password one of C{checkers} accepts."""

    checkers: tuple[ICredentialsChecker, ...]


Access = Local | Open | Shared | Passwords


@dataclass(frozen=True)
class ServerConfig:
    """
    What a server serves, where, and to whom.

    The first of C{cameras} is the default one. Viewers that never send a hello get C{silent_encoding}. C{http} is None
    if nothing is served over HTTP; otherwise pages of C{allow_origins} may use it, requests for the host names
    C{allow_hosts} are answered too, and C{trusted_proxies} say which client each request comes from. With C{announce}
    it can be found on the local network.
    """

    cameras: tuple[CameraConfig, ...]
    listen: tuple[Endpoint, ...]
    http: Endpoint | None = None
    access: Access = Local()
    silent_encoding: str = ENCODING_JPEG
    max_viewers: int = MAX_VIEWERS
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    preview: bool = False
    announce: bool = False


def make_config(reactor: Any, cameras: Sequence[Source], given: Mapping[str, Any]) -> ServerConfig:
    """
    The configuration for what was C{given}: values by the names in L{OPTIONS}, as text or as Python's own types.

    None stands for the default. Raises L{ConfigError}.
    """
    values = _read(given)
    _check_names(cameras)
    access = _make_access(values)
    if values["preview"]:
        _check_display()
    if values["announce"]:
        _check_announce(access)
    listen, http = _make_endpoints(reactor, values)
    _check_effects(cameras, values)
    return ServerConfig(
        cameras=tuple(_configure_camera(camera, values) for camera in cameras),
        listen=listen,
        http=http,
        access=access,
        silent_encoding=values["codec"],
        max_viewers=values["max-viewers"],
        allow_origins=values["allow-origin"],
        allow_hosts=values["allow-host"],
        trusted_proxies=values["trusted-proxy"],
        preview=values["preview"],
        announce=values["announce"],
    )


def parse_cameras(texts: Iterable[str], where: str = "--camera") -> tuple[Source, ...]:
    """
    The sources in C{texts}, which C{where} names: each C{[NAME=]SOURCE[,OPTION=VALUE...]}.

    Files are opened, devices are not. Raises L{ConfigError}.
    """
    try:
        return tuple(parse_source(text, CAMERA_OPTIONS) for text in texts)
    except CameraError as error:
        raise ConfigError(f"{where}: {reason(error)}") from None


def _configure_camera(source: Source, values: Mapping[str, Any]) -> CameraConfig:
    """The configuration of C{source}, whose own options come before those for all cameras."""
    own = {name: _read_own(source, name, given) for name, given in source.options.items()}
    return configure_camera(source, {**values, **own})


def _read_own(source: Source, name: str, given: Sequence[str]) -> Any:
    """The value of an option of one camera."""
    where = f"--camera {source.name}: "
    is_repeatable = OPTIONS[name].is_repeatable
    if len(given) > 1 and not is_repeatable:
        raise ConfigError(f"{where}{name} is given {len(given)} times: write it once")
    problem = find_no_effect(source, name)
    if problem:
        raise ConfigError(f"{where}{name}: {problem}")
    return _read_one(name, list(given) if is_repeatable else given[0], where)


def _check_effects(cameras: Sequence[Source], values: Mapping[str, Any]) -> None:
    """Refuse an option for all cameras that has an effect on none of them; it passes over those it is not for."""
    for name in ("format", "control"):
        problems = [find_no_effect(camera, name) for camera in cameras]
        if values[name] and all(problems):
            raise ConfigError(f"--{name}: {problems[0]}")


def _codec(value: Any) -> str:
    if value not in (ENCODING_JPEG, ENCODING_PICKLE):
        raise ValueError(f"{value!r} is neither jpeg nor pickle")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, int) or value not in (0, 1):  # twisted.python.usage has integers for flags
        raise ValueError(f"{value!r} is neither True nor False")
    return bool(value)


def _checkers(value: Any) -> tuple[ICredentialsChecker, ...]:
    return tuple(map(_checker, read_texts(value)))


def _checker(description: str) -> ICredentialsChecker:
    kind, _, rest = description.partition(":")  # what follows may be a password
    if kind == "file" and rest:
        description = f"file:{_readable(rest)}"
    try:
        checker: ICredentialsChecker = makeChecker(description)
    except InvalidAuthType:
        raise ValueError(f"{kind!r} is not recognized, write it like file:PATH or memory:NAME:PASSWORD") from None
    except Exception as error:  # each kind of checker has errors of its own
        raise ValueError(f"{kind!r} cannot be used: {printable(str(error))}") from None
    if IUsernamePassword not in checker.credentialInterfaces:
        raise ValueError(f"{kind!r} is not for names and passwords, write it like file:PATH")
    return checker


def _readable(path: str) -> str:
    """The absolute path of a file that can be read; Twisted's checker only reads it when somebody logs in."""
    try:
        if not os.path.isfile(path):
            raise ValueError(f"there is no file {path!r}")
        with open(path, "rb"):
            return os.path.abspath(path)  # twistd may change to another folder before it starts
    except OSError as error:
        raise ValueError(f"{path!r} cannot be read: {error.strerror}") from None


OPTIONS: Mapping[str, Option] = {
    **CAMERA_OPTIONS,
    "listen": Option((), read_texts),
    "http": Option(None, read_text),
    "codec": Option(ENCODING_JPEG, _codec),
    "max-viewers": Option(MAX_VIEWERS, number_reader(int, 1, 10**6)),
    "allow-origin": Option((), lambda value: tuple(map(read_origin, read_texts(value)))),
    "allow-host": Option((), lambda value: tuple(map(read_name, read_texts(value)))),
    "trusted-proxy": Option((), lambda value: tuple(map(read_network, read_texts(value)))),
    "preview": Option(False, _flag),
    "announce": Option(False, _flag),
    "share": Option(False, _flag),
    "renew": Option(False, _flag),
    "state-dir": Option(None, read_text),
    "auth": Option((), _checkers),
    "open": Option(False, _flag),
}


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    for name in given:
        if name not in OPTIONS:
            raise ConfigError(f"--{name}: there is no such option; there are --{', --'.join(sorted(OPTIONS))}")
    return {name: _read_one(name, given.get(name)) for name in OPTIONS}


def _read_one(name: str, value: Any, where: str = "--") -> Any:
    option = OPTIONS[name]
    if value is None:
        return option.default
    try:
        return option.read(value)
    except ValueError as error:
        raise ConfigError(f"{where}{name}: {error}") from None


def check_name(name: object) -> None:
    """Raise ValueError unless C{name} can be the name of a camera: viewers are shown it unchanged."""
    if not isinstance(name, str):
        raise ValueError(f"{name!r} is not a string")
    if not name or not name.isprintable() or len(name) > MAX_TEXT:
        raise ValueError(f"{name!r:.60} is not a name of 1 to {MAX_TEXT} characters that all print")


def _check_names(cameras: Sequence[Source]) -> None:
    names = [camera.name for camera in cameras]
    for name in names:
        try:
            check_name(name)
        except ValueError as error:
            raise ConfigError(f"--camera: {error}, write NAME=SOURCE") from None
        if names.count(name) > 1:
            raise ConfigError(f"--camera: two cameras are called {name!r}, write NAME=SOURCE for one of them")


def _make_access(values: Mapping[str, Any]) -> Access:
    ways = [f"--{name}" for name in ("share", "open", "auth") if values[name]]
    if len(ways) > 1:
        raise ConfigError(f"{' and '.join(ways)} cannot be combined: keep one of them")
    for name in ("renew", "state-dir"):
        if values[name] and not values["share"]:
            raise ConfigError(f"--{name}: it works only together with --share")
    if (values["share"] or values["auth"]) and values["codec"] == ENCODING_PICKLE:
        raise ConfigError(f"--codec pickle is for viewers that never send a hello, and {ways[0]} does not admit them")
    if values["share"]:
        return Shared(_state_dir(values["state-dir"]), values["renew"])
    if values["auth"]:
        return Passwords(values["auth"])
    return Open() if values["open"] else Local()


def _state_dir(given: str | None) -> Path:
    """The folder for the key, absolute: twistd may change to another folder before it starts."""
    try:
        return Path(os.path.abspath(given or default_folder()))
    except ShareError as error:
        raise ConfigError(f"--share: {error}") from None


def _make_endpoints(reactor: Any, values: Mapping[str, Any]) -> tuple[tuple[Endpoint, ...], Endpoint | None]:
    """The endpoints for viewers over TCP, and the one for HTTP or None."""
    listen, http = (SHARED_LISTEN, SHARED_HTTP) if values["share"] else (DEFAULT_LISTEN, DEFAULT_HTTP)
    wire = tuple(_endpoint(reactor, "listen", text, DEFAULT_LISTEN) for text in values["listen"])
    wire = wire or (_endpoint(reactor, "listen", listen, DEFAULT_LISTEN, is_default=True),)
    if values["http"] == _NO_HTTP:
        return wire, None
    asked = values["http"]
    return wire, _endpoint(reactor, "http", asked or http, DEFAULT_HTTP, is_default=asked is None)


def _endpoint(reactor: Any, option: str, description: str, example: str, is_default: bool = False) -> Endpoint:
    try:
        return Endpoint(description, serverFromString(reactor, description), is_default)
    except Exception as error:  # each kind of endpoint has errors of its own
        raise ConfigError(
            f"--{option}: {description!r} is not a server endpoint ({printable(str(error))}), write it like {example}"
        ) from None


def _check_display() -> None:
    from twistedcam.app.preview import find_display_problem

    problem = find_display_problem()
    if problem:
        raise ConfigError(f"--preview: {problem}; leave out --preview")


def _check_announce(access: Access) -> None:
    if isinstance(access, Local):
        raise ConfigError("--announce: only this machine may watch: add --share, --auth or --open, or leave it out")
    if find_spec("zeroconf") is None:
        raise ConfigError("--announce: it needs the package zeroconf: pip install 'twistedcam[discover]'")
