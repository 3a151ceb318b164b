"""A connection to a server that is made again whenever it is lost."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError  # noqa: A004
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from twistedcam.client.address import Address
from twistedcam.client.connection import ServerConnectionFactory
from twistedcam.client.session import Session
from twistedcam.text import printable
from twistedcam.wire.framing import MAX_BYTES_FROM_SERVER, PREFIX

_UNKNOWN_HOST = (DNSLookupError, ValueError)  # ValueError: Twisted's for what cannot be the name of a host

RETRY = backoffPolicy(initialDelay=0.25, maxDelay=5.0)


class Connector(ClientService):
    """
    Keeps a L{Session} connected to the server at an L{Address}, for as long as it runs.

    It tells the session why each attempt failed. An unknown host ends the session if there was no connection
    before; after any other failure another attempt follows. Raises L{AddressError} for an address that is not valid.
    """

    def __init__(
        self,
        reactor: Any,
        address: Address,
        session: Session,
        camera: str = "",
        max_message_bytes: int = MAX_BYTES_FROM_SERVER,
        adapt: bool = True,
        prefix: Struct = PREFIX,
    ) -> None:
        self._address = address
        self._session = session
        self._factory = ServerConnectionFactory(
            session, reactor, camera, max_message_bytes, address.make_credentials, adapt, prefix
        )
        endpoint = _ReportingEndpoint(address.to_endpoint(reactor), str(address), self._attempt_failed)
        self._failures = 0  # in a row
        super().__init__(endpoint, self._factory, self._pause, clock=reactor)

    def _pause(self, failures: int) -> float:
        """Seconds until the next attempt; they grow until a connection is let in, not only made."""
        self._failures = 0 if self._session.take_let_in() else self._failures + 1
        return RETRY(self._failures)

    def stopService(self) -> Deferred[None]:
        """Close the connection, and abort it if the server does not close it as well."""
        if self._factory.connection is not None:
            self._factory.connection.close()
        return super().stopService()

    def choose(self, camera: str) -> None:
        """Watch C{camera} from now on, and in connections to come."""
        self._factory.choose(camera)

    def _attempt_failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):  # we were stopped
            return
        problem = explain(failure, str(self._address))
        if is_final(failure) and not self._session.has_connected:
            self._session.fail(problem)
        else:
            self._session.disconnected(problem)


def explain(failure: Failure, server: str) -> str:
    """Why an attempt to connect to C{server} failed, in one line."""
    if failure.check(*_UNKNOWN_HOST):
        return f"the host of {server} is not known: check the spelling, or use its IP address"
    if failure.check(ConnectionRefusedError):
        return f"nothing listens at {server}, is the server running?"
    return f"{server}: {printable(failure.getErrorMessage())}"


def is_final(failure: Failure) -> bool:
    """Whether another attempt would fail in the same way, if none has succeeded yet."""
    return failure.check(*_UNKNOWN_HOST) is not None


@implementer(IStreamClientEndpoint)
class _ReportingEndpoint:
    """An endpoint that tells C{on_failure} why an attempt failed, because ClientService does not."""

    def __init__(self, endpoint: IStreamClientEndpoint, server: str, on_failure: Callable[[Failure], None]) -> None:
        self._endpoint = endpoint
        self._server = server
        self._on_failure = on_failure

    def __repr__(self) -> str:
        return self._server

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; a failure is reported, and passed on to the caller."""

        def report(failure: Failure) -> Failure:
            self._on_failure(failure)
            return failure

        return self._endpoint.connect(protocolFactory).addErrback(report)
