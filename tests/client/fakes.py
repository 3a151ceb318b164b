"""A server in memory, played by the test."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from twistedcam.codec import encode_jpeg
from twistedcam.frame import Frame, stamp
from twistedcam.testing import SteppedThread
from twistedcam.wire.framing import PREFIX

LOST = Failure(ConnectionDone())


def gray(lightness: int, sequence: int = 0, captured: float = 0.0, camera: str = "desk", **state: Any) -> Frame:
    """A frame of a single gray."""
    return stamp(encode_jpeg(np.full((48, 64, 3), lightness, np.uint8)), camera, sequence, captured, **state)


def messages(transport: StringTransport) -> list[dict[str, Any]]:
    """The JSON messages written since the last call."""
    content, found = transport.value(), []
    transport.clear()
    while content:
        (length,) = PREFIX.unpack(content[:8])
        found.append(json.loads(content[8 : 8 + length]))
        content = content[8 + length :]
    return found


@implementer(IStreamClientEndpoint)
class FakeServer:
    """An endpoint that connects at once, or fails while C{error} is set; C{answers} False leaves attempts waiting."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.answers = True
        self.attempts = self.cancelled = 0
        self.protocol: Any = None
        self.transport = StringTransport()

    def __repr__(self) -> str:
        return "desk:9999"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, fail or wait, as the attributes say."""
        self.attempts += 1
        if not self.answers:
            return Deferred(self._cancel)
        if self.error is not None:
            return fail(self.error)
        self.protocol, self.transport = protocolFactory.buildProtocol(None), StringTransport()  # type: ignore[arg-type]
        self.protocol.makeConnection(self.transport)
        return succeed(self.protocol)

    def _cancel(self, attempt: Deferred[IProtocol]) -> None:
        self.cancelled += 1

    def send(self, *content: bytes) -> None:
        """Let the client receive C{content}."""
        self.protocol.dataReceived(b"".join(content))

    def lose(self) -> None:
        """Lose the connection, if there is one."""
        if self.protocol is not None:
            self.protocol.connectionLost(LOST)
            self.protocol = None


class PromptThread(SteppedThread):
    """A thread that has done its work before the call returns."""

    def callInThreadWithCallback(self, *args: Any, **kwargs: Any) -> None:
        """Do it at once."""
        super().callInThreadWithCallback(*args, **kwargs)
        self.step()
