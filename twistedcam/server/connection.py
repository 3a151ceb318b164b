"""One viewer's connection, on the server's side."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from twistedcam.access.admission import is_private
from twistedcam.access.connections import Connection
from twistedcam.errors import AccessDeniedError, NoRoomError
from twistedcam.interfaces import IGuard
from twistedcam.net import describe
from twistedcam.pacing.transport_sink import PROGRESS_SECONDS, TransportSink
from twistedcam.server.stages import Authenticating, ServerContext, Watching
from twistedcam.wire import messages
from twistedcam.wire.fields import FieldError
from twistedcam.wire.framing import MAX_BYTES_FROM_VIEWER, PREFIX, TLS_HANDSHAKE, MessageReceiver
from twistedcam.wire.messages import FromServer, Hello, Refused

LEFT = "it left"
_MAX_MESSAGES_PER_SWEEP = 100  # a viewer of ours sends one a second, and a handful when it connects


class ViewerConnection(MessageReceiver):
    """
    The server's side of one viewer's connection.

    Without a C{guard} the viewer watches at once; with one it has to be let in first. Its messages are handled by its
    stage, L{Authenticating} or L{Watching}. C{reason} says why the connection ended. C{connections} is a set that
    contains the connection for as long as it lasts.
    """

    MAX_LENGTH = MAX_BYTES_FROM_VIEWER

    def __init__(
        self, server: ServerContext, address: Any, guard: IGuard | None, connections: set[ViewerConnection]
    ) -> None:
        super().__init__()
        self.peer = describe(address)
        self.host = getattr(address, "host", "")
        self.reason = LEFT
        self._server = server
        self._guard = guard
        self._connections = connections
        self._stage: Authenticating | Watching | None = None  # None once the connection is being ended
        self._entry: Connection | None = None  # in the list of all connections
        self._messages = 0  # since the last sweep
        self._amid_message_since: float | None = None

    def connectionMade(self) -> None:
        self.sink = TransportSink(self.transport, self._server.clock, self._ready)
        self._connections.add(self)
        try:
            self._entry = self._server.admission.connections.open(self.host, self.refuse)
        except NoRoomError as full:
            self.refuse(str(full))
            return
        if self._guard is None:
            self.watch(None)
        else:
            self._stage = Authenticating(self._server, self, self._guard)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if isinstance(self._stage, Authenticating) and self.reason == LEFT:
            self.reason = f"{LEFT} before it was let in"
        if reason.check(SSL.Error):
            self.reason = "it did not speak TLS as this endpoint does"
        self._leave_stage()
        self.sink.stopProducing()
        self._connections.discard(self)
        if self._entry is not None:
            self._entry.close()
        admission = self._server.admission
        count, line = admission.viewers.taken, "viewer {peer} gone ({reason}), {count} watching"
        admission.log.info(line, peer=self.peer, reason=self.reason, count=count)

    def lengthLimitExceeded(self, length: int) -> None:
        if PREFIX.pack(length)[:2] == TLS_HANDSHAKE:
            # An answer in the clear tells a TLS client that this is not TLS; a lost connection would tell it nothing.
            self.dismiss(AccessDeniedError("it speaks TLS, which this endpoint does not"))
        else:
            super().lengthLimitExceeded(length)

    def jsonReceived(self, payload: bytes) -> None:
        """Hand a message to the stage; unknown types are ignored, for the sake of later versions."""
        self._amid_message_since = None
        self._messages += 1
        if self._messages > _MAX_MESSAGES_PER_SWEEP:
            self.refuse(f"it sent more than {_MAX_MESSAGES_PER_SWEEP} messages in a second")
            return
        try:
            message = messages.parse_from_viewer(payload)
            if message is not None and self._stage is not None:
                self._stage.received(message)
        except FieldError as error:
            self.dismiss(AccessDeniedError(f"a message is invalid: {error}"))
        except AccessDeniedError as denied:
            self.dismiss(denied)

    def sweep(self, now: float) -> None:
        """Once a second: end the connection if a frame has waited, or a message been incomplete, for too long."""
        self._messages = 0
        if self._stage is not None:
            self._stage.sweep()
        if self.sink.has_stalled(now):
            self.refuse(f"it took nothing for {PROGRESS_SECONDS:.0f} s")
        elif not self._parser.is_amid_message:
            self._amid_message_since = None
        elif self._amid_message_since is None:
            self._amid_message_since = now
        elif now - self._amid_message_since > PROGRESS_SECONDS:
            self.refuse(f"it has sent half a message, and not the rest for {PROGRESS_SECONDS:.0f} s")

    @property
    def is_private(self) -> bool:
        """Whether others cannot read what the viewer sends."""
        return is_private(self.transport)

    @property
    def is_watching(self) -> bool:
        """Whether the viewer was let in and has a place."""
        return isinstance(self._stage, Watching)

    def watch(self, hello: Hello | None) -> None:
        """Go on to the stage L{Watching}, with what C{hello} asks for."""
        self._leave_stage()
        try:
            self._stage = Watching(self._server, self, hello)
            if self._entry is not None:
                self._entry.let_in()
        except AccessDeniedError as denied:
            if hello is None and self._server.sends_pickles:
                self.refuse(str(denied))  # the tutorial's client would take a refusal for a picture
            else:
                self.dismiss(denied)

    def tell(self, message: FromServer) -> None:
        """Send a message at once; only in a stage that sends no frames."""
        self.transport.write(messages.pack(message))

    def dismiss(self, denied: AccessDeniedError) -> None:
        """Tell the viewer why it is refused, read nothing more, and end the connection when that has been sent."""
        self._stop_reading()
        self._leave_stage()
        self.reason = f"refused: {denied}"
        self.sink.close()
        self.tell(Refused(str(denied), again=isinstance(denied, NoRoomError)))
        self.transport.loseConnection()
        if self._entry is not None:
            self._entry.wait()  # it holds no place any more, and may take its time to go

    def refuse(self, reason: str) -> None:
        """End the connection at once, without an answer."""
        self._leave_stage()
        self.reason = f"ended: {reason}"
        if self._entry is not None:
            self._entry.close()
        super().refuse(reason)

    def _leave_stage(self) -> None:
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.leave()

    def _ready(self) -> None:
        if self._stage is not None:
            self._stage.ready()
