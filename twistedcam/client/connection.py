"""One connection to a server: the viewer's side of the wire protocol."""

from __future__ import annotations

import math
from collections.abc import Callable
from struct import Struct

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twistedcam.access.credentials import NoCredentials
from twistedcam.client.session import Session
from twistedcam.errors import AccessDeniedError
from twistedcam.interfaces import ICredentials
from twistedcam.net import describe, disable_nagle
from twistedcam.text import printable
from twistedcam.wire import messages
from twistedcam.wire.fields import FieldError
from twistedcam.wire.framing import (
    JPEG_FIRST_BYTE,
    JSON_FIRST_BYTE,
    MAX_BYTES_FROM_SERVER,
    PICKLE_FIRST_BYTE,
    PREFIX,
    TLS_ALERT,
    MessageReceiver,
    guess_prefix,
)
from twistedcam.wire.messages import (
    Cameras,
    CamerasRequest,
    Challenge,
    FromServer,
    FromViewer,
    Hello,
    Ping,
    Pong,
    Refused,
)

log = Logger()

PING_SECONDS = 1.0
# A camstream server with --codec pickle sends pickles until it has read our
# hello; one that sends them after that is another kind of server.
PICKLE_GRACE_SECONDS = 2.0
SILENCE_SECONDS = 3.5  # checked once a second: silence is reported within 5
LOGIN_SECONDS = 12.0  # until the first answer: after failed logins, servers delay the next one by up to 10 s
CLOSE_SECONDS = 1.0
# The first pings follow each other at once: while both sides are busy with a new
# connection, the first round trip is rarely a short one.
_FIRST_PINGS = 4

_MAX_CHALLENGE_BYTES = 1024  # all that is read before the server has proved that it has the key
_UNPROVED = "the server does not prove that it has the key, so it is not the server that the key is for"

_PRINTABLE = frozenset(range(0x20, 0x7F)) | {0x0A, 0x0D}

_ENDED = "the server ended the connection"
_ENDED_SILENTLY = f"{_ENDED} without an answer: if it needs TLS, use --key or --tls"


class ServerConnection(MessageReceiver):
    """
    A connection to the server: says hello, pings once a second, and hands frames to its L{Session}.

    Until the credentials trust the server, it sends one hello and no ping, and reads nothing but a challenge.
    """

    accepted = (JPEG_FIRST_BYTE, JSON_FIRST_BYTE, PICKLE_FIRST_BYTE)

    factory: ServerConnectionFactory

    def __init__(self, session: Session, credentials: ICredentials, prefix: Struct = PREFIX) -> None:
        self.prefix = prefix
        super().__init__()
        self._session = session
        self._credentials = credentials
        self._pings = LoopingCall(self._ping)
        self._problem = _ENDED_SILENTLY
        self._abort: IDelayedCall | None = None
        self._pongs = 0
        self._last_received = self._began = session.monotonic()

    def connectionMade(self) -> None:
        disable_nagle(self.transport)  # pings must not wait
        self.factory.connection = self
        self._session.connected()
        log.info("connected to {peer}", peer=describe(self.transport.getPeer()))
        self._pings.clock = self.factory.clock
        self.MAX_LENGTH = self.factory.max_message_bytes if self._trusts_server else _MAX_CHALLENGE_BYTES
        self._hello(self._credentials.hello)
        if not self._refused:
            self._pings.start(PING_SECONDS)

    @property
    def _has_heard_nothing(self) -> bool:
        return self._problem == _ENDED_SILENTLY

    @property
    def _trusts_server(self) -> bool:
        return bool(self._credentials.trusts_server)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.connection = None
        if self._pings.running:
            self._pings.stop()
        if self._abort is not None and self._abort.active():
            self._abort.cancel()
        tls_problem = _explain_tls(reason, self._parser.unfinished_prefix)
        if tls_problem and not self._refused:
            self._problem = tls_problem
            self._session.fail(tls_problem)
        self._session.disconnected(self._problem)

    def _hello(self, add_credentials: Callable[..., Hello], *args: object) -> None:
        """Say hello with the credentials that C{add_credentials} adds to it."""
        plain = Hello(self.factory.camera or None, adapt=self.factory.adapt)
        try:
            hello = add_credentials(*args, plain, self.transport)
        except AccessDeniedError as denied:
            self._fail(str(denied))
            return
        # The blank line means nothing in JSON, but makes a web server answer instead of waiting for more.
        self.sendString(messages.to_json(hello) + b"\r\n\r\n")

    def close(self) -> None:
        """Read nothing more, and close the connection; abort it if TLS is not closed within L{CLOSE_SECONDS}."""
        self._stop_reading()
        self.transport.loseConnection()
        if self._abort is None:
            self._abort = self.factory.clock.callLater(CLOSE_SECONDS, self.transport.abortConnection)

    def choose(self, camera: str) -> None:
        """Watch another of the server's cameras from now on."""
        self._session.forget()
        if self._trusts_server:
            self._send(Hello(camera, adapt=self.factory.adapt))

    def _send(self, message: FromViewer) -> None:
        self.transport.write(messages.pack(message))

    def dataReceived(self, data: bytes) -> None:
        if self._trusts_server:  # until then, single bytes must not prolong the wait for the proof
            self._last_received = self._session.monotonic()
        if self._has_heard_nothing:
            self._problem = _ENDED
            self._session.waits("")
        super().dataReceived(data)

    def frameReceived(self, payload: bytes) -> None:
        if not self._trusts_server:
            self.refuse(_UNPROVED)
        elif payload[0] == PICKLE_FIRST_BYTE and not self._session.allow_pickle:
            self._refuse_pickle()
        else:
            self._session.receive(payload)

    def jsonReceived(self, payload: bytes) -> None:
        """Take an answer or a refusal; unknown types are ignored, for the sake of later versions."""
        try:
            message = messages.parse_from_server(payload)
        except FieldError as error:
            self.refuse(f"the server sent an invalid message: {error}")
            return
        if isinstance(message, Challenge):
            self._challenged(message)
        elif not self._trusts_server:
            self._end_unproved(message)
        elif isinstance(message, Pong):
            self._pong(message)
        elif isinstance(message, Cameras):
            self._session.cameras_received(message.cameras)
        elif isinstance(message, Refused):
            self._take_refusal(message)

    def _challenged(self, challenge: Challenge) -> None:
        self._hello(self._credentials.answer, challenge)
        if not self._refused:
            self.MAX_LENGTH = self._parser.max_length = self.factory.max_message_bytes
            self._ping()

    def _end_unproved(self, message: FromServer | None) -> None:
        """End a connection whose server has proved nothing. It may be full; nothing that it says is shown."""
        if not isinstance(message, Refused):
            self.refuse(_UNPROVED)
            return
        self._problem = "the server ended the connection before it proved that it has the key"
        super().refuse(self._problem)

    def _take_refusal(self, message: Refused) -> None:
        reason = f"the server refuses us: {message.reason}"
        if message.again:
            self._problem = reason
            self.close()
        else:
            self.refuse(reason)

    def lengthLimitExceeded(self, length: int) -> None:
        start = self.prefix.pack(length)
        form = guess_prefix(start, self.MAX_LENGTH) if self.prefix is PREFIX and self._trusts_server else ""
        if form:
            self.refuse(
                f"the server writes lengths as struct.pack({form!r}, …), not as {PREFIX.format!r}: change that in its "
                f"code, or use --prefix '{form}'"
            )
            return
        if self._trusts_server and all(byte in _PRINTABLE for byte in start):
            self.refuse(f"this is no camstream server, it says {start.decode()!r}: check --host and --port")
        else:
            super().lengthLimitExceeded(length)

    def refuse(self, reason: str) -> None:
        self._fail(reason if self._trusts_server else _UNPROVED)

    def _fail(self, reason: str) -> None:
        self._problem = reason
        super().refuse(reason)
        self._session.fail(reason)

    def _refuse_pickle(self) -> None:
        if self._session.monotonic() - self._began >= PICKLE_GRACE_SECONDS:
            self.refuse("the server sends pickles, which can run code: use --allow-pickle to accept arrays in them")

    def _ping(self) -> None:
        now = self._session.monotonic()
        limit = self._silence_limit()
        if now - self._last_received > limit:
            self._problem = f"nothing was heard from the server for {limit:g} s"
            self.transport.abortConnection()
            return
        if self._has_heard_nothing and now - self._began > SILENCE_SECONDS:
            self._session.waits("connected, but the server has not answered yet")
        if not self._trusts_server:
            return
        self._send(Ping(now - self._began))  # the monotonic clock itself would tell how long this machine has run

    def _silence_limit(self) -> float:
        """How many seconds the server may be silent."""
        if self._pongs:
            return SILENCE_SECONDS
        return LOGIN_SECONDS if self._has_heard_nothing or not self._trusts_server else math.inf

    def _pong(self, pong: Pong) -> None:
        sent, now = pong.sent, self._session.monotonic()
        # A server may have made a whole number of it.
        if not isinstance(sent, int | float) or not 0 <= sent <= now - self._began:
            self.refuse("the server answers a ping that we did not send")
            return
        self._pongs += 1
        self._session.pong(self._began + sent, pong.clock)
        if self._pongs == 1:  # a viewer that is answered has been admitted
            self._send(CamerasRequest())
        if self._pongs < _FIRST_PINGS:
            self._ping()


class ServerConnectionFactory(Factory):
    """
    Connections for one L{Session}, which watch C{camera} (the server's first one if empty).

    Smaller pictures are accepted where the link has no room for full ones, unless C{adapt} is False. C{prefix} is
    another form of the lengths that the server writes.
    """

    noisy = False

    def __init__(
        self,
        session: Session,
        clock: IReactorTime,
        camera: str = "",
        max_message_bytes: int = MAX_BYTES_FROM_SERVER,
        make_credentials: Callable[[], ICredentials] = NoCredentials,
        adapt: bool = True,
        prefix: Struct = PREFIX,
    ) -> None:
        self.adapt = adapt
        self.prefix = prefix
        self.clock = clock
        self.camera = camera
        self.max_message_bytes = max_message_bytes
        self.connection: ServerConnection | None = None
        self._session = session
        self._make_credentials = make_credentials

    def choose(self, camera: str) -> None:
        """Watch C{camera} from now on, and in connections to come."""
        self.camera = camera
        if self.connection is not None:
            self.connection.choose(camera)

    def buildProtocol(self, addr: IAddress | None) -> ServerConnection:  # type: ignore[override]
        connection = ServerConnection(self._session, self._make_credentials(), self.prefix)
        connection.factory = self
        return connection


def _explain_tls(reason: Failure, first_bytes: bytes) -> str:
    """Why TLS failed, if it did and another attempt would not help; otherwise an empty string."""
    if first_bytes.startswith(TLS_ALERT):
        return "the server uses TLS: use --key, or --tls"
    if reason.check(VerificationError, CertificateError):
        return "the server's certificate is for another name: check --host"
    if not reason.check(SSL.Error):
        return ""
    text = str(reason.value)
    if "certificate verify failed" in text:
        return "the server's certificate is not trusted: name its authority with --ca, or check --host"
    if "wrong version number" in text or "packet length too long" in text or "record layer failure" in text:
        return "the server does not use TLS here: leave out --key and --tls, or check --port"
    return f"TLS with the server failed: {printable(text, 200)}"
