"""A server's address, with the TLS and the credentials that a connection to it needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address
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
_ENDPOINT = re.compile(r"[A-Za-z]\w*(-\w+)*:.")
_NUMBER = re.compile(r"-?\d+")
_HOST = re.compile(r"\w([\w.-]*\w)?\.?")  # names in all scripts; IDNA is checked when it is looked up
_SYNTAX = "write HOST, HOST:PORT, [IPV6]:PORT, or an endpoint string such as unix:/run/camera"


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
        if not isinstance(text, str):
            raise AddressError(f"the address {text!r:.100} is not a string: {_SYNTAX}")
        if "://" in text:
            raise AddressError(f"{text!r:.300} is the address of a web page: open it in a browser, or {_SYNTAX}")
        if text.startswith("["):
            host, bracket, port = text[1:].partition("]")
            if not bracket or not _is_ipv6(host) or (port and not port.startswith(":")):
                raise _not_an_address(text)
            return cls(host, _port(text, port[1:]) if port else DEFAULT_PORT)
        if _is_ipv6(text):
            return cls(text)
        host, colon, port = text.partition(":")
        if _ENDPOINT.match(text) and (host in _ENDPOINT_TYPES or not _NUMBER.fullmatch(port)):
            return cls(endpoint=text)
        if not is_host(host):
            raise _not_an_address(text)
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


def is_host(text: str) -> bool:
    """Whether C{text} can be the name of a host, or an IP address."""
    return _is_ipv6(text) or _HOST.fullmatch(text) is not None


def _not_an_address(text: str) -> AddressError:
    return AddressError(f"{text!r:.300} is not an address: {_SYNTAX}")


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _port(text: str, port: str) -> int:
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise AddressError(f"{text!r} is not an address: a port is a number from 1 to 65535")
    return int(port)


def _trust(authority: bytes | None) -> Any:
    if authority is None:
        return platformTrust()
    try:
        return Certificate.loadPEM(authority)
    except Exception:  # pyOpenSSL raises errors of its own
        raise AddressError("it holds no certificate in PEM format") from None
