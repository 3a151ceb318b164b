"""Finds the servers that are announced on the local network by multicast DNS."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from twistedcam.errors import TwistedcamError
from twistedcam.net import DEFAULT_PORT
from twistedcam.text import printable
from twistedcam.wire.announcement import (
    ACCESS_KEY,
    ACCESS_OPEN,
    ACCESS_PASSWORD,
    SERVICE_TYPE,
    Announcement,
    parse_announcement,
)
from twistedcam.wire.fields import FieldError

FIND_SECONDS = 2.0
_MAX_SERVERS, _MAX_ADDRESSES, _MAX_NAME = 64, 4, 63  # of what strangers on the network say
_ACCESS_TEXTS = {
    ACCESS_OPEN: "open to everybody",
    ACCESS_KEY: "shared by a key",
    ACCESS_PASSWORD: "asks for a name and a password",
}


class DiscoveryError(TwistedcamError):
    """The network cannot be asked; the text says why and what to do."""


@dataclass(frozen=True)
class FoundServer:
    """A server that was found: its name, which is printable, its IP addresses and TCP port, and how it is watched."""

    name: str
    addresses: tuple[str, ...]
    port: int
    announcement: Announcement

    def commands(self) -> list[str]:
        """The commands that watch it, one for each of its addresses."""
        words = [] if self.port == DEFAULT_PORT else ["--port", str(self.port)]
        if self.announcement.access == ACCESS_KEY:
            words += ["--key", "-"]
        if self.announcement.access == ACCESS_PASSWORD:
            words += [*(["--tls"] if self.announcement.is_tls else []), "--user", "NAME"]
        elif self.announcement.access == ACCESS_OPEN and self.announcement.is_tls:
            words += ["--tls"]
        return [shlex.join(["twistd", "-n", "camstream-client", "--host", host, *words]) for host in self.addresses]

    def describe(self) -> list[str]:
        """What is known of it, and how to watch it, in lines."""
        announced = self.announcement
        hosts = ", ".join(self.addresses)
        lines = [f"{self.name}: {hosts}, port {self.port}, {_ACCESS_TEXTS[announced.access]}"]
        if announced.cameras:
            lines.append(f"  cameras: {', '.join(announced.cameras)}")
        lines += [f"  {command}" for command in self.commands()]
        if announced.http_port:
            scheme = "https" if announced.is_https else "http"
            lines += [f"  {scheme}://{_in_url(host)}:{announced.http_port}/" for host in self.addresses[:1]]
        return lines


def find_servers(seconds: float = FIND_SECONDS, interfaces: Sequence[str] | None = None) -> list[FoundServer]:
    """
    The servers that answer within C{seconds}, by name; on all networks of this machine, or those of C{interfaces},
    which are addresses of it. Blocks meanwhile. Raises L{DiscoveryError}.
    """
    if find_spec("zeroconf") is None:
        raise DiscoveryError("it needs the package zeroconf: pip install 'twistedcam[discover]'")
    try:
        infos = asyncio.run(_browse(seconds, interfaces))
    except Exception as error:  # zeroconf has errors of its own, beside OSError
        raise DiscoveryError(f"the network cannot be asked ({printable(str(error))})") from None
    return sorted(filter(None, map(_read, infos)), key=lambda server: (server.name, server.addresses))


async def _browse(seconds: float, interfaces: Sequence[str] | None) -> list[Any]:
    """What zeroconf has learned of each service, of at most C{_MAX_SERVERS}."""
    from zeroconf import InterfaceChoice, ServiceStateChange
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

    network = AsyncZeroconf(interfaces=InterfaceChoice.All if interfaces is None else list(interfaces))
    infos: dict[str, Any] = {}
    asked: list[asyncio.Task[bool]] = []

    def changed(zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        if state_change is ServiceStateChange.Removed:
            infos.pop(name, None)
        elif name not in infos and len(asked) < _MAX_SERVERS:
            infos[name] = AsyncServiceInfo(service_type, name)
            asked.append(asyncio.ensure_future(infos[name].async_request(zeroconf, seconds * 1000)))

    browser = AsyncServiceBrowser(network.zeroconf, SERVICE_TYPE, handlers=[changed])
    await asyncio.sleep(seconds)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    await browser.async_cancel()
    await network.async_close()
    return list(infos.values())


def _read(info: Any) -> FoundServer | None:
    """The server that C{info} of zeroconf tells of; None if that is not complete, or none of ours."""
    try:
        announcement = parse_announcement(info.properties)
    except FieldError:
        return None
    addresses = tuple(info.parsed_scoped_addresses()[:_MAX_ADDRESSES])
    if not addresses or not info.port:
        return None
    name = printable(info.name.removesuffix(f".{SERVICE_TYPE}"), _MAX_NAME)
    return FoundServer(name, addresses, info.port, announcement)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
