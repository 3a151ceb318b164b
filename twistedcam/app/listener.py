"""Where the server may be reached, and what to type to reach it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from twistedcam.net import describe, is_local, reachable

log = Logger()


class StartError(SystemExit, Exception):
    """
    The server cannot start; the text is what its user is told.

    In the foreground that ends twistd with the text and no traceback, as SystemExit does. In the background twistd has
    to hear of it as of any Exception, or the process that waits to hear whether all is well waits for ever.
    """


class Listener(Service):
    """
    Listens on one endpoint, on this machine's own addresses only unless it C{is_open} to others.

    C{how_to_watch} gives the lines to show for an address that was bound; they are not logged if C{is_secret}.
    What keeps it from listening ends the start with one line, L{StartError}, or is a warning if it C{may_fail}.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        description: str,
        is_open: bool,
        how_to_watch: Callable[[Any], list[str]],
        is_secret: bool = False,
        may_fail: bool = False,
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._factory = factory
        self._description = description
        self._is_open = is_open
        self._how_to_watch = how_to_watch
        self._is_secret = is_secret
        self._may_fail = may_fail
        self.port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """Listen, before any privilege is given up."""
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """Listen if we do not yet: twist, unlike twistd, has no privileged start."""
        super().startService()
        if self.port is None:
            self._listen()

    def _listen(self) -> None:
        results: list[Any] = []
        self._endpoint.listen(self._factory).addBoth(results.append)
        self._listening(results[0])  # Twisted's server endpoints have all listened, or failed, by now

    def stopService(self) -> Deferred[None]:
        """Listen no more."""
        super().stopService()
        port, self.port = self.port, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening)  # type: ignore[call-overload,no-any-return]

    def _listening(self, result: IListeningPort | Failure) -> None:
        if isinstance(result, Failure):
            result.trap(CannotListenError, OSError)
            if self._may_fail:
                log.warn(
                    "not listening on {description}: {reason}",
                    description=self._description,
                    reason=_explain(result.value),
                )
                return
            raise StartError(f"camstream: cannot listen on {self._description}: {_explain(result.value)}")
        address = result.getHost()
        if not self._is_open and not is_local(address) and not self._description.startswith("systemd:"):
            # Where systemd listens for us, this machine's administrator has said so.
            # Nobody is in yet: connections are accepted by the reactor, to which we have not returned.
            result.stopListening()
            raise StartError(
                f"camstream: {self._description} would show the camera to other machines: "
                "say --share to share it by a key, --auth for names and passwords, or --open for whoever can reach it"
            )
        self.port = result
        # Who comes now is let in when the reactor runs, and not before.
        self._reactor.callWhenRunning(self._announce, address)

    def _announce(self, address: Any) -> None:
        log.info("listening on {address}", address=describe(address))
        for line in self._how_to_watch(address):
            if self._is_secret:
                # Not in the log: a log file is read by more people than may watch.
                print(f"watch with: {line}", file=sys.__stdout__, flush=True)
            else:
                log.info("watch with: {line}", line=line)


def _explain(error: BaseException | None) -> str:
    reason = getattr(error, "socketError", error)
    text = getattr(reason, "strerror", None) or str(reason)
    if "in use" in text.lower():
        return "it is in use, is a server running already? Choose another: tcp:PORT:interface=127.0.0.1"
    return text


def watch_commands(address: Any, key: str = "") -> list[str]:
    """The command lines that show what is served at C{address}, one for each way to reach it."""
    start, end = "twistd -n camstream-client", f" --key {key}" if key else ""
    host = getattr(address, "host", None)
    if host is None:
        return [f"{start} --endpoint unix:{describe(address)}{end}"]
    port = "" if address.port == 9999 else f" --port {address.port}"
    return [f"{start} --host {name}{port}{end}" for name in reachable(host)]


def web_addresses(address: Any, is_tls: bool, token: str = "") -> list[str]:
    """What to open in a browser for what is served at C{address}, one for each way to reach it."""
    host = getattr(address, "host", None)
    if host is None:
        return []
    scheme, end = "https" if is_tls else "http", f"?key={token}" if token else ""
    names = (f"[{name}]" if ":" in name else name for name in reachable(host))
    return [f"{scheme}://{name}:{address.port}/{end}" for name in names]
