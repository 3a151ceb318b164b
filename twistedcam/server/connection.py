"""The server's half of the wire: one factory, and one protocol for each viewer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from twistedcam.hub import Hub
from twistedcam.interfaces import AccessDeniedError, IGuard
from twistedcam.net import is_local
from twistedcam.pacing.quality_ladder import QualityLadder
from twistedcam.pacing.transport_sink import PROGRESS_SECONDS, TransportSink
from twistedcam.wire import messages
from twistedcam.wire.fields import FieldError
from twistedcam.wire.framing import MAX_BYTES_FROM_VIEWER, PREFIX, TLS_HANDSHAKE, MessageReceiver
from twistedcam.wire.messages import Cameras, CamerasRequest, Hello, Ping, Pong, Refused

if TYPE_CHECKING:
    from twistedcam.server.factory import ViewerServerFactory

HELLO_SECONDS = 10.0
LEFT = "it left"
_MOST_MESSAGES_A_SWEEP = 100  # a viewer of ours sends one a second, and a handful at its beginning


class ViewerConnection(MessageReceiver):
    """
    One viewer on the server's side: it is sent frames from the start, and may say hello and ping.

    A hello chooses a camera and bounds the rate; each ping is answered with a pong that tells our clock. Where there
    is a guard, nothing is sent and no ping is answered before a hello that it admits.
    """

    MAX_LENGTH = MAX_BYTES_FROM_VIEWER

    factory: ViewerServerFactory

    def __init__(self, peer: str, host: str, guard: IGuard | None) -> None:
        super().__init__()
        self.peer = peer
        self._host = host
        self._guard = guard
        self._admission: Deferred[None] | None = None
        self._patience: IDelayedCall | None = None
        self.reason = LEFT
        self._place: QualityLadder | None = None
        self._questions: dict[str, Ping | CamerasRequest] = {}  # of each type the newest that waits for its answer
        self._messages = 0  # since the last sweep
        self._amid_message_since: float | None = None

    def connectionMade(self) -> None:
        self._sink = TransportSink(self.transport, self.factory.clock, self._ready)
        self.factory.joined(self)
        if self._guard is None:
            if self._has_room():
                self._watch([self.factory.silent_hub])
        elif self.factory.is_crowded():
            self.refuse("too many wait to be let in")
        else:
            late = f"it was not let in within {HELLO_SECONDS:.0f} s"
            self._patience = self.factory.clock.callLater(HELLO_SECONDS, self.refuse, late)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_patience()
        if self._admission is not None:
            self._admission.cancel()
        if self._guard is not None and self.reason == LEFT:
            self.reason = f"{LEFT} before it was let in"
        if reason.check(SSL.Error):
            self.reason = "it did not speak TLS as this endpoint does"
        self._sink.stopProducing()
        self._unwatch()
        self.factory.left(self)

    def lengthLimitExceeded(self, length: int) -> None:
        if PREFIX.pack(length)[:2] == TLS_HANDSHAKE:
            # Said in so many words, a TLS client sees that this is no TLS, and not just a lost connection.
            self._dismiss("it speaks TLS, which this endpoint does not")
        else:
            super().lengthLimitExceeded(length)

    def refuse(self, reason: str) -> None:
        self.reason = f"ended: {reason}"
        super().refuse(reason)

    def jsonReceived(self, payload: bytes) -> None:
        """Do what a hello asks and answer questions; other types are for versions to come."""
        self._amid_message_since = None
        self._messages += 1
        if self._messages > _MOST_MESSAGES_A_SWEEP:
            self.refuse(f"it sent more than {_MOST_MESSAGES_A_SWEEP} messages in a second")
            return
        try:
            message = messages.parse_from_viewer(payload)
        except FieldError as error:
            self._dismiss(f"a message is invalid: {error}")
            return
        if isinstance(message, Hello) and self._guard is not None:
            self._knock(self._guard, message)
        elif isinstance(message, Hello):
            self._hello(message)
        elif message is not None and self._guard is None:
            self._questions[message.type] = message
            self._answer()

    def sweep(self, now: float) -> None:
        """Once a second: end the connection if a frame, or the end of a message, was waited for too long."""
        self._messages = 0
        if self._place is not None:
            self._place.adjust()
        if self._sink.has_stalled(now):
            self.refuse(f"it took nothing for {PROGRESS_SECONDS:.0f} s")
        elif not self._parser.is_amid_message:
            self._amid_message_since = None
        elif self._amid_message_since is None:
            self._amid_message_since = now
        elif now - self._amid_message_since > PROGRESS_SECONDS:
            self.refuse(f"it has sent half a message, and not the rest for {PROGRESS_SECONDS:.0f} s")

    def _knock(self, guard: IGuard, hello: Hello) -> None:
        if self._admission is not None and not self._admission.called:
            self.refuse("it said hello again before it was answered")
            return
        self._admission = Deferred.fromCoroutine(self._admit(guard, hello))
        self._admission.addErrback(lambda failure: failure.trap(CancelledError))

    async def _admit(self, guard: IGuard, hello: Hello) -> None:
        """Let the viewer in, ask it for more, or send it away: in its address's turn."""
        turns = self.factory.turns
        await turns.wait(self._host)
        try:
            question = await guard.admit(hello, self._is_private())
        except AccessDeniedError as denied:
            turns.failed(self._host)
            await turns.wait(self._host)
            self._dismiss(str(denied))
            return
        if question is not None:
            self.transport.write(messages.pack(question))
            return
        turns.succeeded(self._host)
        self._guard = None
        self._stop_patience()
        if self._has_room():
            self._hello(hello)

    def _has_room(self) -> bool:
        """Whether there is room for one more; if not, the viewer is sent away."""
        if self.is_watching or self.factory.has_room():
            return True
        full = f"{self.factory.max_viewers} are watching, which is all that may"
        if self.factory.sends_pickles:
            self.refuse(full)  # the tutorial's client would take a word for a picture
        else:
            self._dismiss(full, again=True)
        return False

    @property
    def is_watching(self) -> bool:
        """Whether it has a place at a hub."""
        return self._place is not None

    def _is_private(self) -> bool:
        return ISSLTransport.providedBy(self.transport) or is_local(self.transport.getHost())

    def _stop_patience(self) -> None:
        if self._patience is not None and self._patience.active():
            self._patience.cancel()

    def _hello(self, hello: Hello) -> None:
        hubs = self.factory.hubs
        name = next(iter(hubs)) if hello.camera is None else hello.camera
        if name not in hubs:
            self._dismiss(f"there is no camera {name!r:.60} here; there is: {', '.join(hubs)}")
            return
        self._watch([hubs[name], *(self.factory.smaller.get(name, ()) if hello.adapt else ())], hello.fps)

    def _dismiss(self, reason: str, again: bool = False) -> None:
        """Tell the viewer why, and whether to try again; read nothing more, and end its connection."""
        self._stop_reading()
        self.reason = f"refused: {reason}"
        self._stop_patience()
        self._unwatch()
        self._sink.close()
        self.transport.write(messages.pack(Refused(reason, again)))
        self.transport.loseConnection()

    def _watch(self, hubs: Sequence[Hub], fps: float = 0.0) -> None:
        place = self._place
        if place is not None and place.hubs == hubs:
            place.limit(fps)  # and no frame twice
            return
        self._unwatch()
        self._place = QualityLadder(hubs, self._sink, self.peer, fps)

    def _unwatch(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            place.leave()

    def _ready(self) -> None:
        self._answer()
        if self._place is not None:
            self._place.outlet.resume()

    def _answer(self) -> None:
        """Answer, between frames, what was asked: of each kind at most one answer ever waits."""
        while self._questions:
            kind, question = next(iter(self._questions.items()))
            if not self._sink.send(messages.pack(_answer_to(question, self.factory))):
                return
            del self._questions[kind]


def _answer_to(question: Ping | CamerasRequest, factory: ViewerServerFactory) -> Pong | Cameras:
    if isinstance(question, Ping):
        return Pong(question.sent, time.time())
    return Cameras(tuple(factory.hubs))
