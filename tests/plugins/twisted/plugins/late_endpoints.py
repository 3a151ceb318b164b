"""Endpoints that answer after a delay, for tests: C{late:SECONDS:ENDPOINT}, with colons in the last escaped."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.internet.task import deferLater
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IStreamServerEndpoint)
class LateEndpoint:
    """Listens on C{endpoint} after some seconds."""

    def __init__(self, reactor: Any, seconds: float, endpoint: IStreamServerEndpoint) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._endpoint = endpoint

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Listen later."""
        waiting: Deferred[Any] = deferLater(self._reactor, self._seconds)
        return waiting.addCallback(lambda _: self._endpoint.listen(factory))


@implementer(IPlugin, IStreamServerEndpointStringParser)
class LateParser:
    """Parses C{late:SECONDS:ENDPOINT}."""

    prefix = "late"

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> LateEndpoint:  # noqa: N802
        """Return the endpoint."""
        seconds, endpoint = args
        return LateEndpoint(reactor, float(seconds), serverFromString(reactor, endpoint))


late = LateParser()
