"""A server's address, with the TLS and the credentials that a connection to it needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust

from twistedcam.access.credentials import NoCredentials, PasswordCredentials, use_key
from twistedcam.errors import TwistedcamError
from twistedcam.interfaces import ICredentials
from twistedcam.net import DEFAULT_PORT
from twistedcam.secret import Secret

# An attempt is given up early: one that began while the network was down would connect
# later than a new attempt does.
CONNECT_SECONDS = 5

_ENDPOINT_TYPES = ("tcp", "tls", "ssl", "unix")
_SYNTAX = "write HOST, HOST:PORT, [IPV6]:PORT, or an endpoint string such as unix:/run/camera"
_HOST_SYNTAX = "write the name of a machine, such as camera.local, or its IP address"
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/@]*@)?([^/?#]*)")
_ENDPOINT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*:[^0-9-]")
_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)")  # letters of all scripts: Twisted encodes international names


class AddressError(TwistedcamError, ValueError):
    """An address cannot be used; the text says why, and what to write instead."""


@dataclass(frozen=True)
class Address:
    """
    A server's C{host} and TCP C{port}, or an C{endpoint}, a string or an object, in place of both.

    C{tls} is what a connection is wrapped in, if anything; C{make_credentials} is called for each connection.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    endpoint: IStreamClientEndpoint | str = ""
    tls: Any = field(default=None, repr=False)
    make_credentials: Callable[[], ICredentials] = field(default=NoCredentials, repr=False)  # may hold a password

    @classmethod
    def parse(cls, text: str) -> Address:
        """C{host}, C{host:port}, an IPv6 address, C{[v6]:port}, or an endpoint string. Raises L{AddressError}."""
        _refuse_other_types(text)
        _refuse_url(text)
        if _is_ipv6(text):
            return cls(text)
        host, colon, port = _split(text)
        is_bracketed = text.startswith("[")
        if (host in _ENDPOINT_TYPES and port) or (colon and not is_bracketed and _ENDPOINT.match(text)):
            return cls(endpoint=text)
        if not _is_ipv6(host) if is_bracketed else not _is_host(host):
            raise AddressError(f"{text!r:.80} is not an address: {_SYNTAX}")
        return cls(host, _port(text, port) if colon else DEFAULT_PORT)

    def __str__(self) -> str:
        if self.endpoint:
            return str(self.endpoint)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def with_key(self, key: str) -> Address:
        """This address with the key of a shared camera. Raises L{sharekey.KeyTextError}."""
        tls, make_credentials = use_key(key)
        return replace(self, tls=tls, make_credentials=make_credentials)

    def with_tls(self, authority: bytes | None = None) -> Address:
        """
        This address over TLS, with a certificate for C{host} that one of the system's authorities has signed.

        With C{authority}, a certificate in PEM format, that one has to have signed it instead. Raises L{AddressError}.
        """
        return replace(self, tls=optionsForClientTLS(self.host, trustRoot=_trust(authority)))

    def with_password(self, user: str, password: Secret) -> Address:
        """This address with a name and a password to log in with."""
        return replace(self, make_credentials=lambda: PasswordCredentials(user, password))

    def to_endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        """The endpoint to connect to. Raises L{AddressError} if an endpoint string is not valid."""
        plain = self._plain_endpoint(reactor)
        return plain if self.tls is None else wrapClientTLS(self.tls, plain)

    def _plain_endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        if not self.endpoint:
            return HostnameEndpoint(reactor, self.host, self.port, timeout=CONNECT_SECONDS)
        if not isinstance(self.endpoint, str):
            return self.endpoint
        try:
            return clientFromString(reactor, self.endpoint)  # type: ignore[no-any-return]
        except Exception as problem:  # each kind of endpoint raises errors of its own
            advice = f"write it like tcp:HOST:{DEFAULT_PORT}"
            raise AddressError(f"{self.endpoint!r} is not an endpoint ({problem}): {advice}") from None


def parse_host(text: str) -> str:
    """
    The name or IP address of a machine in C{text}; an IPv6 address may be in brackets.

    Raises L{AddressError} for what is not one, such as C{HOST:PORT} or a URL; the text says what to write.
    """
    _refuse_other_types(text)
    _refuse_url(text)
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if _is_ipv6(bare) or (bare is text and _is_host(text)):
        return bare
    host, colon, port = _split(text)
    if colon and port.isdecimal() and (_is_host(host) or _is_ipv6(host)):
        advice = f"write them apart, the host as {host} and the port as {port:.9}"
        raise AddressError(f"{text!r:.80} is a host and a port: {advice}")
    raise AddressError(f"{text!r:.80} is not a host: {_HOST_SYNTAX}")


def _split(text: str) -> tuple[str, str, str]:
    """The host, the colon if there is one, and the port; for an IPv6 address without its closing bracket, no host."""
    if not text.startswith("["):
        return text.partition(":")
    host, bracket, rest = text[1:].partition("]")
    if not bracket or (rest and not rest.startswith(":")):
        return "", "", ""
    return host, rest[:1], rest[1:]


def _refuse_other_types(text: object) -> None:
    if not isinstance(text, str):
        raise AddressError(f"{text!r:.80} is not a string: {_SYNTAX}")


def _refuse_url(text: str) -> None:
    url = _URL.match(text)
    if url is None:
        return
    host = _split(url[2])[0]
    advice = str(Address(host)) if _is_host(host) or _is_ipv6(host) else "HOST:PORT"
    # The rest of it may be a password.
    raise AddressError(f"a URL ({url[1]}://) is not an address: write the host and the server's own port, as {advice}")


def _is_host(text: str) -> bool:
    """Whether C{text} can be the name or the IPv4 address of a machine. A number alone is no name."""
    labels = text.removesuffix(".").split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    return _is_ipv4(text) if labels[-1].isdecimal() else True


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _port(text: str, port: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise AddressError(f"{text!r:.80} is not an address: a port is a number from 1 to 65535")
    return int(port)


def _trust(authority: bytes | None) -> Any:
    if authority is None:
        return platformTrust()
    try:
        return Certificate.loadPEM(authority)
    except Exception:  # pyOpenSSL raises errors of its own
        raise AddressError("it holds no certificate in PEM format") from None
