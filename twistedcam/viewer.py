"""The viewer's half of the wire: keeps the newest frame and knows how old it is."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twistedcam import codec
from twistedcam.codec import CodecError
from twistedcam.credentials import NoCredentials
from twistedcam.frame import Frame, FrameError
from twistedcam.framing import JPEG, JSON, MAX_BYTES_FROM_SERVER, PICKLE, PREFIX, TLS_ALERT, MessageReceiver
from twistedcam.interfaces import AccessDeniedError, ICredentials

log = Logger()

PING_SECONDS = 1.0
# A camstream server with --codec pickle sends pickles until it has read our
# hello; who goes on sending them after that is another kind of server.
PICKLE_GRACE_SECONDS = 2.0
SILENCE_SECONDS = 4.0
# The first pings follow each other at once: while both sides are busy with a new
# connection, the first round trip is rarely a good one.
_FIRST_PINGS = 4
_CLOCK_SAMPLES = 10
_FPS_WINDOW_SECONDS = 2.0

_PRINTABLE = frozenset(range(0x20, 0x7F)) | {0x0A, 0x0D}

_ENDED = "the server ended the connection"
_ENDED_SILENTLY = f"{_ENDED} without a word: if it speaks TLS, say --key or --tls"

CONNECTING, CONNECTED, RECONNECTING = "connecting", "connected", "reconnecting"


class ServerClock:
    """
    The server's clock, told from ping and pong; all times in seconds.

    The pong with the least round trip is the best witness: its error is at most half of that.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=_CLOCK_SAMPLES)

    @property
    def offset(self) -> float | None:
        """What to add to our monotonic time to get the server's time of day; None before the first pong."""
        return min(self._samples)[1] if self._samples else None

    def add(self, sent: float, clock: float, received: float) -> None:
        """A ping left at C{sent}, the server wrote C{clock} on it, and it was back at C{received}."""
        round_trip = received - sent
        offset = clock - (sent + received) / 2
        if self._samples:
            best_trip, best_offset = min(self._samples)
            if abs(offset - best_offset) > (round_trip + best_trip) / 2 + 0.001:
                self._samples.clear()  # more than both errors: the server's clock was set
        self._samples.append((round_trip, offset))


class Viewer:
    """
    What is seen of one camera: the newest frame, its age, and how the connection fares.

    C{on_frame} is called with each L{Frame}, C{on_failure} with one line when trying again would not help.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        on_frame: Callable[[Frame], None],
        on_failure: Callable[[str], None],
        allow_pickle: bool = False,
    ) -> None:
        self.monotonic = monotonic
        self.allow_pickle = allow_pickle
        self.state = CONNECTING
        self.problem = ""
        self.newest: Frame | None = None
        self.received = self.dropped = self.broken = 0
        self.has_connected = False
        self._on_frame = on_frame
        self._on_failure = on_failure
        self._clock = ServerClock()
        self._sequence: int | None = None
        self._arrivals: deque[float] = deque()
        self._over = False

    def stop(self) -> None:
        """Take no more frames and say nothing of the connection's end."""
        self._over = True

    def age(self, frame: Frame) -> float | None:
        """Seconds since C{frame} was taken, by the server's clock; None while that is not known."""
        if frame.captured is None or self._clock.offset is None:
            return None
        return self.monotonic() + self._clock.offset - frame.captured

    def fps(self) -> float:
        """Frames a second that came in the last two seconds."""
        self._forget_old_arrivals()
        return len(self._arrivals) / _FPS_WINDOW_SECONDS

    def connected(self) -> None:
        """A connection is there."""
        self.state, self.problem = CONNECTED, ""
        self.has_connected = True
        self._clock = ServerClock()
        self._sequence = self.newest = None

    def disconnected(self, reason: str) -> None:
        """The connection, or an attempt at one, failed: another follows."""
        self.state = RECONNECTING if self.has_connected else CONNECTING
        if reason != self.problem and not self._over:
            log.warn("{state}: {reason}", state=self.state, reason=reason)
        self.problem = reason

    def fail(self, reason: str) -> None:
        """Trying again would not help."""
        self.problem = reason
        if not self._over:
            self._on_failure(reason)

    def pong(self, sent: float, clock: float) -> None:
        """The server answered the ping sent at C{sent}, monotonic, when its own clock said C{clock}."""
        self._clock.add(sent, clock, self.monotonic())

    def receive(self, payload: bytes) -> None:
        """Take a JPEG's or an allowed pickle's bytes; a broken one is counted and passed over."""
        if self._over:
            return
        try:
            frame = self._frame_of_pickle(payload) if payload[0] == PICKLE else Frame.from_jpeg(payload)
        except (FrameError, CodecError) as error:
            if not self.broken:
                log.warn("broken frames are passed over, the first one: {error}", error=error)
            self.broken += 1
            return
        if self._sequence is not None:
            self.dropped += max(0, frame.sequence - self._sequence - 1)
        self._sequence = frame.sequence
        self.received += 1
        self.newest = frame
        self._arrivals.append(self.monotonic())
        self._forget_old_arrivals()
        self._on_frame(frame)

    def _frame_of_pickle(self, payload: bytes) -> Frame:
        height, width = codec.decode_pickle(payload).shape[:2]
        sequence = 0 if self._sequence is None else self._sequence + 1
        return Frame(payload, sequence=sequence, width=width, height=height)

    def _forget_old_arrivals(self) -> None:
        since = self.monotonic() - _FPS_WINDOW_SECONDS
        while self._arrivals and self._arrivals[0] < since:
            self._arrivals.popleft()


class ServerConnection(MessageReceiver):
    """A connection to the server: says hello, pings once a second, and hands frames to its L{Viewer}."""

    accepted = (JPEG, JSON, PICKLE)

    factory: ViewerFactory

    def __init__(self, viewer: Viewer, credentials: ICredentials) -> None:
        super().__init__()
        self._viewer = viewer
        self._credentials = credentials
        self._pings = LoopingCall(self._ping)
        self._problem = _ENDED_SILENTLY
        self._pongs = 0
        self._heard = self._began = viewer.monotonic()

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)  # a ping is to go at once
        self.MAX_LENGTH = self.factory.max_message_bytes
        self._viewer.connected()
        log.info("connected to {peer}", peer=self.transport.getPeer())
        self._hello(self._credentials.hello)
        self._pings.clock = self.factory.clock
        if not self._refused:
            self._pings.start(PING_SECONDS)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._pings.running:
            self._pings.stop()
        why = _explain_tls(reason, self.unfinished_prefix)
        if why and not self._refused:
            self._viewer.fail(why)
        self._viewer.disconnected(self._problem)

    def _hello(self, show: Callable[..., dict[str, Any]], *args: object) -> None:
        """Say hello with what C{show} shows of our credentials."""
        try:
            shown = show(*args, self.transport)
        except AccessDeniedError as denied:
            self.refuse(str(denied))
            return
        camera = {"camera": self.factory.camera} if self.factory.camera else {}
        hello = {"type": "hello"} | camera | shown
        # The blank line is nothing to JSON, but makes a web server answer instead of waiting for more.
        self.sendString(json.dumps(hello).encode() + b"\r\n\r\n")

    def dataReceived(self, data: bytes) -> None:
        self._heard = self._viewer.monotonic()
        if self._problem == _ENDED_SILENTLY:
            self._problem = _ENDED
        super().dataReceived(data)

    def frameReceived(self, payload: bytes) -> None:
        if not self._credentials.admits_frames:
            self.refuse("the server does not ask for a key, so it is not the one that the key is for")
        elif payload[0] == PICKLE and not self._viewer.allow_pickle:
            self._refuse_pickle()
        else:
            self._viewer.receive(payload)

    def jsonReceived(self, message: dict[str, Any]) -> None:
        """Take a pong or a refusal; other types are for versions to come."""
        if message.get("type") == "pong":
            self._pong(message)
        elif message.get("type") == "challenge":
            self._hello(self._credentials.answer, message)
            if not self._refused:
                self._ping()
        elif message.get("type") == "refused":
            self.refuse(f"the server refuses us: {message.get('reason')!s:.200}")

    def lengthLimitExceeded(self, length: int) -> None:
        start = PREFIX.pack(length)
        if all(byte in _PRINTABLE for byte in start):
            self.refuse(f"this is no camstream server, it says {start.decode()!r}: check --host and --port")
        else:
            super().lengthLimitExceeded(length)

    def refuse(self, reason: str) -> None:
        self._problem = reason
        super().refuse(reason)
        self._viewer.fail(reason)

    def _refuse_pickle(self) -> None:
        if self._viewer.monotonic() - self._began >= PICKLE_GRACE_SECONDS:
            self.refuse("the server sends pickles, which can run code: say --allow-pickle to accept arrays in them")

    def _ping(self) -> None:
        now = self._viewer.monotonic()
        if self._pongs and now - self._heard > SILENCE_SECONDS:
            self._problem = f"nothing was heard of the server for {SILENCE_SECONDS:.0f} s"
            self.transport.abortConnection()
            return
        self.sendJSON({"type": "ping", "sent": now})

    def _pong(self, message: dict[str, Any]) -> None:
        sent, clock = message.get("sent"), message.get("clock")
        now = self._viewer.monotonic()
        if not isinstance(sent, float) or not isinstance(clock, int | float) or not self._began <= sent <= now:
            self.refuse("the server answers a ping that we did not send")
        elif not abs(clock) < 1e12:
            self.refuse("the server's clock tells no time")
        else:
            self._pongs += 1
            self._viewer.pong(sent, clock)
            if self._pongs < _FIRST_PINGS:
                self._ping()


class ViewerFactory(Factory):
    """Connections for one L{Viewer}, of the camera named C{camera} (the server's first one if empty)."""

    noisy = False

    def __init__(
        self,
        viewer: Viewer,
        clock: IReactorTime,
        camera: str = "",
        max_message_bytes: int = MAX_BYTES_FROM_SERVER,
        make_credentials: Callable[[], ICredentials] = NoCredentials,
    ) -> None:
        self.clock = clock
        self.camera = camera
        self.max_message_bytes = max_message_bytes
        self._viewer = viewer
        self._make_credentials = make_credentials

    def buildProtocol(self, addr: IAddress | None) -> ServerConnection:  # type: ignore[override]
        connection = ServerConnection(self._viewer, self._make_credentials())
        connection.factory = self
        return connection


def _explain_tls(reason: Failure, first_bytes: bytes) -> str:
    """Why TLS failed, where it did and trying again would not help; otherwise an empty string."""
    if first_bytes.startswith(TLS_ALERT):
        return "the server speaks TLS: say --key, or --tls"
    if reason.check(VerificationError, CertificateError):
        return "the server's certificate is for another name: check --host"
    if not reason.check(SSL.Error):
        return ""
    text = str(reason.value)
    if "certificate verify failed" in text:
        return "the server's certificate is not to be trusted: name its authority with --ca, or check --host"
    if "wrong version number" in text or "packet length too long" in text or "record layer failure" in text:
        return "the server does not speak TLS here: leave out --key and --tls, or check --port"
    return f"TLS with the server failed: {text:.200}"


@implementer(IStreamClientEndpoint)
class ReportingEndpoint:
    """An endpoint that tells C{on_failure} why an attempt failed, which ClientService keeps to itself."""

    def __init__(self, endpoint: IStreamClientEndpoint, on_failure: Callable[[Failure], None]) -> None:
        self._endpoint = endpoint
        self._on_failure = on_failure

    def __repr__(self) -> str:
        return repr(self._endpoint)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, reporting failure on its way to the caller."""

        def report(failure: Failure) -> Failure:
            self._on_failure(failure)
            return failure

        return self._endpoint.connect(protocolFactory).addErrback(report)
