"""Network addresses: how they are written, whether they are local, and which ones reach this machine."""

from __future__ import annotations

import os
import socket
import struct
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from twisted.internet.interfaces import ITCPTransport, IUNIXTransport

if sys.platform == "linux":
    import fcntl

DEFAULT_PORT = 9999  # of a camstream server

_SIOCGIFADDR = 0x8915  # linux/sockios.h


def disable_nagle(transport: Any) -> None:
    """Send small messages at once if C{transport} is TCP: otherwise each may wait 40 ms for an acknowledgement."""
    # Until Twisted 24.11 a UNIX socket claims to be a TCP transport too, and fails when the option is set.
    if ITCPTransport.providedBy(transport) and not IUNIXTransport.providedBy(transport):
        transport.setTcpNoDelay(True)


def describe(address: Any) -> str:
    """C{address} as people write it; without the port if that is 0, as for a client behind a proxy."""
    host = getattr(address, "host", None)
    if host is None:
        return os.fsdecode(getattr(address, "name", None) or b"a local socket")
    if not address.port:
        return str(host)
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"


def is_local(address: Any) -> bool:
    """Whether C{address} can only be on this machine. Raises ValueError if its host is a name."""
    host = getattr(address, "host", None)
    return host is None or parse_ip(host).is_loopback


def parse_ip(host: str) -> IPv4Address | IPv6Address:
    """
    The IP address C{host}; an IPv4 address in IPv6 notation, C{::ffff:127.0.0.1}, as the IPv4 address that it is.

    Raises ValueError.
    """
    found = ip_address(host.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def network_of(host: str) -> str:
    """
    What counts as one source of connections: an IPv4 address, or the /64 network of an IPv6 address.

    An IPv6 /64 is the least that a single customer is given: its 2**64 addresses cost nothing. A host that is not an IP
    address is returned unchanged.
    """
    try:
        found = parse_ip(host)
    except ValueError:
        return host
    return str(found if found.version == 4 else ip_network((found, 64), strict=False))


def reachable(host: str) -> list[str]:
    """The addresses at which others can reach a listener on C{host}, beginning with that of the default route."""
    if not parse_ip(host).is_unspecified:
        return [host]
    addresses = dict.fromkeys(filter(None, (_routed_address(), *_interface_addresses())))
    return list(addresses) or ["127.0.0.1"]


def _routed_address() -> str | None:
    """This machine's address on the default route, or None. (The host name may resolve to 127.0.1.1.)"""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # a network reserved for documentation; nothing is sent
            return str(probe.getsockname()[0])
    except OSError:  # no default route, or no IPv4
        return None


def _interface_addresses() -> list[str]:
    """The IPv4 addresses of this machine's interfaces, except loopback; none if the system does not tell them."""
    if sys.platform != "linux":
        return []
    try:
        names = [name for _, name in socket.if_nameindex()]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            addresses = [_interface_address(probe, name) for name in names]
    except OSError:  # no AF_NETLINK, as in a service with RestrictAddressFamilies, or no IPv4
        return []
    return [address for address in addresses if address and not parse_ip(address).is_loopback]


def _interface_address(probe: socket.socket, name: str) -> str | None:
    try:
        answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()))
    except OSError:  # an interface without an address
        return None
    return socket.inet_ntoa(answer[20:24])
