"""The commands and URLs that the server prints: what to run or open to watch."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import UNIXAddress

from twistedcam.net import DEFAULT_PORT, describe, reachable


def watch_commands(address: Any, key: str = "") -> list[str]:
    """The commands that show what is served at C{address}, one for each address of this machine that leads there."""
    start, end = "twistd -n camstream-client", f" --key {key}" if key else ""
    if isinstance(address, UNIXAddress):
        return [f"{start} --endpoint unix:{describe(address)}{end}"]
    return [f"{start} --host {host}{_port_option(address.port)}{end}" for host in _hosts(address)]


def web_urls(address: Any, is_tls: bool, end: str = "") -> list[str]:
    """URLs of what is served at C{address}, each followed by C{end}: one for each address of this machine."""
    scheme = "https" if is_tls else "http"
    hosts = (f"[{host}]" if ":" in host else host for host in _hosts(address))
    return [f"{scheme}://{host}:{address.port}/{end}" for host in hosts]


def _port_option(port: int) -> str:
    return "" if port == DEFAULT_PORT else f" --port {port}"


def _hosts(address: Any) -> list[str]:
    """The hosts by which C{address} can be reached; none if it is of a kind that has no hosts."""
    host = getattr(address, "host", None)
    if host is None:
        return []
    try:
        return reachable(host)
    except ValueError:  # a name, such as that of an onion service
        return [host]
