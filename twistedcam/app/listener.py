"""Listen on an endpoint, and refuse addresses that other machines can reach unless that was asked for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from twistedcam.errors import TwistedcamError
from twistedcam.net import describe, is_local

log = Logger()


class StartError(TwistedcamError):
    """The server cannot start; the text says why and what to do, with options as the command writes them."""


class Listener(Service):
    """
    Listens on one endpoint, which has to be on this machine unless it C{is_open} to others.

    C{instructions} returns the lines to show for the address that was bound, for the log or for a terminal: its second
    argument says which. They are logged, unless they are C{is_secret} and standard output is a terminal.

    An endpoint may answer later. If it fails at once, the start raises L{StartError}; if it fails later, one line is
    logged and C{leave} is called with the exit status 1. If it C{may_fail}, either is a warning.

    C{port} is what listens, or None; C{is_tls} says whether clients have to use TLS there.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        description: str,
        is_open: bool,
        instructions: Callable[[Any, bool], list[str]],
        is_secret: bool = False,
        may_fail: bool = False,
        leave: Callable[[int], None] = lambda status: None,
        is_tls: bool = False,
    ) -> None:
        self.is_tls = is_tls
        self._reactor = reactor
        self._endpoint = endpoint
        self._factory = factory
        self._description = description
        self._is_open = is_open
        self._instructions = instructions
        self._is_secret = is_secret
        self._may_fail = may_fail
        self._leave = leave
        self._answer: Deferred[None] | None = None  # the endpoint's; None unless it was asked to listen
        self.port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """Listen, before any privilege is given up. Raises L{StartError}."""
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """Listen, if that is not done yet: C{twist}, unlike C{twistd}, has no privileged start."""
        super().startService()
        if self._answer is None:
            self._listen()

    def stopService(self) -> Deferred[None]:
        """Stop listening, or waiting for the endpoint."""
        super().stopService()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.cancel()
        port, self.port = self.port, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening)  # type: ignore[call-overload,no-any-return]

    def _listen(self) -> None:
        early: list[Failure] = []
        is_starting = True

        def failed(failure: Failure) -> None:
            if is_starting:
                early.append(failure)
            else:
                self._fail_late(failure)

        self._answer = maybeDeferred(self._endpoint.listen, self._factory)  # type: ignore[call-overload]
        self._answer.addCallbacks(self._listening, self._not_listening).addErrback(failed)
        is_starting = False
        if early:
            early[0].raiseException()

    def _fail_late(self, failure: Failure) -> None:
        if failure.check(StartError):
            log.error("{reason}", reason=failure.getErrorMessage())
        else:
            log.failure("{description} failed unexpectedly", failure, description=self._description)
        self._leave(1)

    def _not_listening(self, failure: Failure) -> None:
        if self._answer is None:  # cancelled
            return
        reason = _explain(failure.value)
        if not self._may_fail:
            raise StartError(f"cannot listen on {self._description}: {reason}")
        log.warn("not listening on {description}: {reason}", description=self._description, reason=reason)

    def _listening(self, port: IListeningPort) -> None:
        if self._answer is None:  # cancelled, but it listens anyway
            port.stopListening()
            return
        address = port.getHost()
        # Where systemd listens for us, this machine's administrator has chosen the address.
        if not self._is_open and not _is_on_this_machine(address) and not self._description.startswith("systemd:"):
            # Nobody has been served yet: connections are accepted only when we have returned to the reactor.
            port.stopListening()
            raise StartError(
                f"{self._description} would show the camera to other machines: "
                "use --share to share it by a key, --auth for names and passwords, or --open to let everybody watch"
            )
        self.port = port
        # Announced when the reactor runs, so that viewers who connect then are served at once.
        self._reactor.callWhenRunning(self._announce, address)

    def _announce(self, address: Any) -> None:
        is_known = isinstance(address, UNIXAddress) or hasattr(address, "host")
        log.info("listening on {address}", address=describe(address) if is_known else self._description)
        # A terminal is read by who started the server, a log file or a pipe by more people than may watch.
        terminal = _find_terminal() if self._is_secret else None
        for line in self._instructions(address, terminal is not None):
            if terminal is None:
                log.info("watch with: {line}", line=line)
            else:
                with contextlib.suppress(OSError):  # the terminal was closed
                    print(f"watch with: {line}", file=terminal, flush=True)


def _find_terminal() -> TextIO | None:
    """Standard output if it is a terminal; the one of the process, as Twisted logs what is written to C{sys.stdout}."""
    output = sys.__stdout__  # None if it was closed before the start
    return output if output is not None and not output.closed and output.isatty() else None


def _is_on_this_machine(address: Any) -> bool:
    """Whether only this machine can reach C{address}; one of an unknown kind may be reached by others."""
    if isinstance(address, UNIXAddress):
        return True
    try:
        return hasattr(address, "host") and is_local(address)
    except ValueError:  # the host is a name, such as that of an onion service
        return False


def _explain(error: BaseException | None) -> str:
    if not isinstance(error, CannotListenError | OSError):
        return f"{type(error).__name__}: {error}"
    reason = getattr(error, "socketError", error)
    text = getattr(reason, "strerror", None) or str(reason)
    if "in use" in text.lower():
        return "it is in use, is a server running already? Choose another: tcp:PORT:interface=127.0.0.1"
    return text
