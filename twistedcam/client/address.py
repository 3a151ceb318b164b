"""A server's address, with the TLS and the credentials that a connection to it needs."""

from __future__ import annotations

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
        if text.startswith("["):
            host, bracket, port = text[1:].partition("]")
            if not bracket or not _is_ipv6(host) or (port and not port.startswith(":")):
                raise AddressError(f"{text!r} is not an address: {_SYNTAX}")
            return cls(host, _port(text, port[1:]) if port else DEFAULT_PORT)
        if _is_ipv6(text):
            return cls(text)
        host, colon, port = text.partition(":")
        if not host:
            raise AddressError(f"{text!r} is not an address: {_SYNTAX}")
        if not colon:
            return cls(host)
        if host in _ENDPOINT_TYPES or not port.isdecimal():
            return cls(endpoint=text)
        return cls(host, _port(text, port))

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
