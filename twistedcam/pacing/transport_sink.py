"""Frames into a Twisted transport, no faster than the viewer takes them."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPullProducer, IReactorTime
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import implementer

from twistedcam.frame import Frame
from twistedcam.interfaces import ISink
from twistedcam.net import disable_nagle
from twistedcam.pacing.tcp_link import TCPLink

PROGRESS_SECONDS = 30.0
PORTION_BYTES = 32 * 1024


def socket_transport(transport: Any) -> Any:
    """The socket's own transport under C{transport}, which may be TLS, PROXY or their like."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport


@implementer(ISink, IPullProducer)
class TransportSink:
    """
    A sink into one viewer's connection: each message is written whole, and the next begins when it has left us.

    C{on_ready} is called when a frame may begin after L{may_begin} returned False. C{render} gives the bytes of a
    frame, which viewers share. C{is_writing} says that something was written before, and may not have left.
    """

    # Most of the time of sending is spent on cache misses: slots keep these fields together.
    __slots__ = (
        "_alarm",
        "_blocked",
        "_clock",
        "_link",
        "_on_ready",
        "_raw",
        "_render",
        "_rest",
        "_send_at_once",
        "_transport",
        "_trusted_frames",
        "waiting_since",
    )

    def __init__(
        self,
        transport: Any,
        clock: IReactorTime,
        on_ready: Callable[[], None],
        render: Callable[[Frame], bytes] = attrgetter("message"),
        is_writing: bool = False,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._on_ready: Callable[[], None] = lambda: None
        self._render = render
        self._rest = memoryview(b"")
        self._blocked = False
        self._trusted_frames = 0  # may begin before the link is sampled again
        self._alarm: IDelayedCall | None = None
        # A frame has been waiting for this viewer since then, by the clock.
        self.waiting_since: float | None = None
        self._raw = raw = socket_transport(transport)
        disable_nagle(raw)  # or the end of a frame that follows a pong waits for the pong's delayed ACK: 40 ms
        self._link = TCPLink(raw.socket, clock.seconds) if hasattr(raw, "socket") else None
        # Half the cost of write(), which always waits for the reactor's next iteration. Only on a socket's own
        # transport, not under TLS, and only while the transport has nothing to write.
        self._send_at_once = transport.socket.send if isinstance(transport, Connection) else None
        # A pull producer is called whenever the last byte of a write has gone; a push producer would be paused, and
        # so called again, only above 64 KiB. Under TLS, Twisted would call a pull producer in a busy loop, so ours is
        # registered with the socket's own transport.
        raw.registerProducer(self, False)  # which calls resumeProducing at once: on_ready is not set yet
        self._blocked = is_writing
        self._on_ready = on_ready

    def may_begin(self) -> bool:
        """Whether the last message has left us, and the viewer's link has room."""
        if self._trusted_frames:
            self._trusted_frames -= 1
            return True
        wait = 0.0
        if not self._blocked:
            wait = self._link.seconds_until_ready() if self._link is not None else 0.0
            if not wait:
                self.waiting_since = None
                self._trusted_frames = self._link.trusted_frames() if self._link is not None else 0
                return True
        if self.waiting_since is None:
            self.waiting_since = self._clock.seconds()
        if wait and self._alarm is None:
            self._alarm = self._clock.callLater(wait, self._ready)
        return False

    def has_stalled(self, now: float) -> bool:
        """Whether a frame has waited for this viewer for L{PROGRESS_SECONDS}."""
        return self.waiting_since is not None and now - self.waiting_since > PROGRESS_SECONDS

    def begin(self, frame: Frame) -> None:
        """Send C{frame}."""
        message = self._render(frame)
        if self._send_at_once is None:
            self._write(message)
            return
        try:
            sent = self._send_at_once(message)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._transport.abortConnection()
            return
        if sent != len(message):
            if self._link is not None:
                self._link.held_up()
            self._write(memoryview(message)[sent:])

    def send(self, message: bytes) -> bool:
        """Send a small message between frames; False, and nothing is sent, if a frame is under way."""
        if self._blocked:
            return False
        self._write(message)
        return True

    def _write(self, rest: bytes | memoryview) -> None:
        self._block()
        self._rest = memoryview(rest)
        self._write_portion()

    def _block(self) -> None:
        self._blocked = True
        self._trusted_frames = 0

    def _write_portion(self) -> None:
        # The transport copies what it is given: of a large frame, a stalled viewer holds no more than a portion for
        # itself alone.
        portion, self._rest = self._rest[:PORTION_BYTES], self._rest[PORTION_BYTES:]
        self._transport.write(bytes(portion))

    def close(self) -> None:
        """
        Finish the message that was begun, and call C{on_ready} no more.

        The transport may end when all has been written; a viewer that does not take it counts as stalled, too.
        """
        if self._rest:
            self._transport.write(bytes(self._rest))
        self.stopProducing()
        self.waiting_since = self._clock.seconds()
        self._raw.unregisterProducer()

    def resumeProducing(self) -> None:
        """All that was written has gone."""
        if self._raw.disconnecting:
            # TLS ends its socket by itself, but not while a producer is registered.
            self._raw.unregisterProducer()
            return
        if self._rest:
            self._write_portion()
            return
        self._blocked = False
        self._ready()

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._block()
        self._rest = memoryview(b"")
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ready(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None
        self._on_ready()
