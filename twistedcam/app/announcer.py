"""Announces the server on the local network by multicast DNS, where other machines may watch it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from twistedcam.app.config import Access, Passwords, Shared
from twistedcam.app.listener import Listener
from twistedcam.net import DEFAULT_PORT, parse_ip, reachable
from twistedcam.text import printable
from twistedcam.threads import DaemonThread
from twistedcam.wire.announcement import ACCESS_KEY, ACCESS_OPEN, ACCESS_PASSWORD, SERVICE_TYPE, Announcement

log = Logger()
_library_log = logging.getLogger("zeroconf")

_FOLLOW_SECONDS = 10.0  # between two looks at the addresses of this machine
_STOP_SECONDS = 2.0  # taking it back takes 0.3 s; the server does not wait for it much longer
_MAX_NAME = 50  # characters; of the 63 that DNS allows, some are for the number of a name that is taken


@dataclass(frozen=True)
class Announced:
    """What is announced, and where: a TCP port at C{addresses} of this machine, on their networks only."""

    port: int
    addresses: tuple[str, ...]
    announcement: Announcement


def find_announced(announcement: Announcement, wire: Sequence[Listener], web: Listener | None) -> Announced | None:
    """
    C{announcement}, completed for the first of C{wire} that other machines can reach; None if they can reach none.

    C{web}, the listener for HTTP, is named in it if it can be reached at the same addresses.
    """
    for listener in wire:
        port, addresses = _reachable_at(listener)
        if addresses:
            found = replace(announcement, is_tls=listener.is_tls)
            return Announced(port, addresses, _with_web(found, web, addresses))
    return None


def _with_web(announcement: Announcement, web: Listener | None, addresses: tuple[str, ...]) -> Announcement:
    if web is None:
        return announcement
    port, web_addresses = _reachable_at(web)
    is_there = not set(addresses).isdisjoint(web_addresses)
    return replace(announcement, http_port=port, is_https=web.is_tls) if is_there else announcement


def _reachable_at(listener: Listener) -> tuple[int, tuple[str, ...]]:
    """The port, and the addresses at which other machines can reach it: none unless it listens there now."""
    address = None if listener.port is None else listener.port.getHost()
    try:
        hosts = [host.partition("%")[0] for host in reachable(getattr(address, "host", ""))]
    except ValueError:  # a UNIX socket, or the name of an onion service
        return 0, ()
    return getattr(address, "port", 0), tuple(host for host in hosts if not parse_ip(host).is_loopback)


def announced_access(access: Access) -> str:
    """How viewers are let in, as an announcement says it."""
    if isinstance(access, Shared):
        return ACCESS_KEY
    return ACCESS_PASSWORD if isinstance(access, Passwords) else ACCESS_OPEN


class Publisher:
    """
    One service of multicast DNS, by python-zeroconf. Its calls block; C{publish} and C{withdraw} are for one thread.

    C{on_problem} is called, in any thread, with the text of the first problem of the network after a C{publish}.
    """

    def __init__(self, on_problem: Callable[[str], None]) -> None:
        self._on_problem = on_problem
        self._zeroconf: Any = None
        self._problems: logging.Handler | None = None
        self._registering: Future[None] | None = None
        self._is_closed = False

    def publish(self, announced: Announced) -> str:
        """
        Announce C{announced} in place of what was announced before, and return the name that it got.

        That takes 1.5 s, unless it is cut short by C{close}. Raises errors of any kind if it is not possible.
        """
        from zeroconf import ServiceInfo, Zeroconf

        self.withdraw()
        info = ServiceInfo(
            SERVICE_TYPE,
            f"{_instance_name(announced.port)}.{SERVICE_TYPE}",
            parsed_addresses=list(announced.addresses),
            port=announced.port,
            properties=announced.announcement.to_properties(),
            # Of this process alone: the machine's own name may be announced by others, with other addresses.
            server=f"twistedcam-{secrets.token_hex(4)}.local.",
        )
        self._zeroconf = Zeroconf(interfaces=list(announced.addresses))
        self._problems = _FirstProblem(self._on_problem)
        _library_log.addHandler(self._problems)
        self._register(info)
        return str(info.name).removesuffix(f".{SERVICE_TYPE}")

    def _register(self, info: Any) -> None:
        async def register() -> None:
            await (await self._zeroconf.async_register_service(info, allow_name_change=True))

        self._registering = asyncio.run_coroutine_threadsafe(register(), self._zeroconf.loop)
        if self._is_closed:
            self._registering.cancel()
        self._registering.result()

    def withdraw(self) -> None:
        """Say that what was announced is gone, if anything was. Takes 0.3 s."""
        if self._problems is not None:
            _library_log.removeHandler(self._problems)
        found, self._zeroconf = self._zeroconf, None
        if found is not None:
            found.close()

    def close(self) -> None:
        """Cut C{publish} short, now and in future; may be called in any thread."""
        self._is_closed = True
        if self._registering is not None:
            self._registering.cancel()


class _FirstProblem(logging.Handler):
    """Passes the first warning of python-zeroconf on, such as a network that cannot be reached, and removes itself."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on the text of the record, without its traceback."""
        _library_log.removeHandler(self)
        self._tell(record.getMessage())


class Announcer(Service):
    """
    Keeps announced what C{find} returns, and nothing while that is None; it is asked once the reactor runs, and every
    10 s.

    What is announced is taken back when it stops. A network that fails is one line in the log.
    """

    def __init__(
        self,
        reactor: Any,
        find: Callable[[], Announced | None],
        make_publisher: Callable[[Callable[[str], None]], Any] = Publisher,
        make_thread: Callable[[], Any] = DaemonThread,
    ) -> None:
        self._reactor = reactor
        self._find = find
        self._make_publisher, self._make_thread = make_publisher, make_thread
        self._announced: Announced | None = None
        self._publisher: Any = None
        self._thread: Any = None
        self._following = LoopingCall(lambda: Deferred.fromCoroutine(self._follow()))
        self._following.clock = reactor

    def startService(self) -> None:
        """Announce, once the reactor runs: no earlier than the server accepts viewers."""
        super().startService()
        self._reactor.callWhenRunning(self._begin)

    def stopService(self) -> Deferred[None]:
        """Take back what is announced; fires when that is done, after 2 s at the latest."""
        super().stopService()
        return Deferred.fromCoroutine(self._end())

    def _begin(self) -> None:
        if not self.running or self._thread is not None:
            return
        self._publisher = self._make_publisher(self._problem_from_thread)
        self._thread = self._make_thread()
        if self._find() is None:
            self._say_none()
        self._following.start(_FOLLOW_SECONDS).addErrback(
            lambda failure: log.failure("the server is not announced any more", failure)
        )

    async def _end(self) -> None:
        if self._thread is None:
            return
        if self._following.running:
            self._following.stop()
        self._publisher.close()
        with suppress(Exception):  # it took too long, or the network is gone: nobody is there to be told
            await self._in_thread(self._publisher.withdraw).addTimeout(_STOP_SECONDS, self._reactor)
        thread, self._thread, self._announced = self._thread, None, None
        thread.stop()

    async def _follow(self) -> None:
        wanted = self._find()
        if wanted == self._announced:
            return
        self._announced = wanted
        try:
            if wanted is None:
                self._say_none()
                await self._in_thread(self._publisher.withdraw)
            else:
                name = await self._in_thread(self._publisher.publish, wanted)
                log.info("announced on the network as {name}", name=printable(name))
        except Exception as error:  # it has errors of its own, beside OSError
            if self.running:
                self._problem(str(error) or type(error).__name__)

    def _say_none(self) -> None:
        log.warn("not announced on the network: viewers on other machines can reach none of the addresses of --listen")

    def _problem_from_thread(self, text: str) -> None:
        self._reactor.callFromThread(self._problem, text)

    def _problem(self, text: str) -> None:
        log.warn("the server may not be found on the network: {problem}", problem=printable(text))

    def _in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._thread, call, *args)


def _instance_name(port: int) -> str:
    """
    The name of this machine, without its domain, and C{port} unless it is the usual one.

    Of servers with one name that start within a second, python-zeroconf does not rename the second.
    """
    name = socket.gethostname().partition(".")[0][:_MAX_NAME] or "twistedcam"
    return name if port == DEFAULT_PORT else f"{name}-{port}"
