"""Trusted reverse proxies, and the address of the client whose request they forward."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.web.server import Request

from twistedcam.net import parse_ip
from twistedcam.web.headers import headers

_MAX_HOPS = 20
_NODE = re.compile(r"\[([^\[\]]+)\](?::[\w.-]+)?|([^:]+)(?::[\w.-]+)?|([^\[\]]+)")  # 1.2.3.4:5, [::1]:5, ::1
_PAIR = re.compile(r"[ \t]*([\w!#$%&'*+.^`|~-]+)=(\"[^\"\\]*\"|[^\s\";,]*)[ \t]*(?:;|$)", re.ASCII)

Network = IPv4Network | IPv6Network


class Proxies:
    """
    Finds the client of a request that may have come through C{trusted} proxies.

    Of X-Forwarded-For and Forwarded (RFC 7239), only the addresses that trusted proxies have appended are used, because
    a client can send anything before those. If there is none, or the two differ, the proxy counts as the client.
    """

    def __init__(self, trusted: Iterable[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def trusts(self, host: str) -> bool:
        """Whether C{host} is the IP address of a trusted proxy."""
        try:
            address = parse_ip(host)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def client_of(self, request: Request) -> IAddress:
        """The address of the client that sent C{request}; its port is 0 if a proxy named the address."""
        peer: IAddress = request.channel.getPeer()
        host = getattr(peer, "host", "")
        if not self.trusts(host):
            return peer
        lists = (_elements(request, b"X-Forwarded-For"), list(map(_for, _elements(request, b"Forwarded"))))
        found = {self._last_untrusted(host, hops) for hops in lists if hops}
        client = found.pop() if len(found) == 1 else host
        if client == host:
            return peer
        return IPv6Address("TCP", client, 0) if ":" in client else IPv4Address("TCP", client, 0)

    def _last_untrusted(self, host: str, hops: Iterable[str]) -> str:
        """The first of C{host} and then the C{hops} before it, the nearest first, that is not a trusted proxy."""
        for hop in hops:
            before = _read_node(hop)
            if not before:
                break
            host = before
            if not self.trusts(host):
                break
        return host


def read_network(text: str) -> Network:
    """The IP address or network C{text}. Raises ValueError."""
    try:
        return ip_network(text)
    except ValueError as error:
        reason = str(error) if "host bits" in str(error) else f"{text!r} is not an IP address or network"
        raise ValueError(f"{reason}, write it like 127.0.0.1 or 10.0.0.0/8") from None


def _elements(request: Request, name: bytes) -> list[str]:
    """The last elements of a header that is a list, the last one first."""
    lines = headers(request, name)
    return [text.strip() for text in reversed(",".join(lines).rsplit(",", _MAX_HOPS))] if lines else []


def _for(element: str) -> str:
    """The C{for} parameter of an element of Forwarded; empty if it has none, or is malformed."""
    found: dict[str, str] = {}
    position = 0
    while position < len(element):
        pair = _PAIR.match(element, position)
        if pair is None or pair[1].lower() in found:
            return ""
        found[pair[1].lower()] = pair[2].strip('"')
        position = pair.end()
    return found.get("for", "")


def _read_node(text: str) -> str:
    """The IP address in C{text}, as proxies write it, with or without a port; empty if there is none."""
    found = _NODE.fullmatch(text)
    try:
        return str(parse_ip(found[found.lastindex or 0])) if found else ""
    except ValueError:  # "unknown", and names that a proxy has made up
        return ""
