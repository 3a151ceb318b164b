"""An HTTP connection: its timeouts, its place, and one answer at a time."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IPullProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from zope.interface import implementer

from twistedcam.access.admission import Admission
from twistedcam.access.connections import Connection
from twistedcam.access.places import Place
from twistedcam.errors import NoRoomError
from twistedcam.net import describe
from twistedcam.pacing.tcp_link import keep_queue_short
from twistedcam.pacing.transport_sink import PORTION_BYTES, PROGRESS_SECONDS, socket_transport


@implementer(IPullProducer)
class _Departure:
    """
    Waits until all that was written to C{channel}'s transport has been handed to the kernel, then writes C{rest}, and
    calls C{channel.answer_has_left} when that has been handed over too.

    As in L{TransportSink}: a pull producer is called whenever the transport's buffer is empty (under TLS too, if it is
    registered with the socket's own transport), and C{rest} is copied in portions only.
    """

    def __init__(self, channel: WebChannel, rest: memoryview) -> None:
        self._channel = channel
        self._rest = rest
        self._raw = socket_transport(channel.transport)
        self._has_begun = False
        self._raw.registerProducer(self, False)  # which calls resumeProducing at once: nothing has left yet
        self._has_begun = True

    def resumeProducing(self) -> None:
        """The transport has handed over all that was written."""
        if not self._has_begun:
            return
        if self._rest and not self._raw.disconnecting:
            portion, self._rest = self._rest[:PORTION_BYTES], self._rest[PORTION_BYTES:]
            self._channel.write(bytes(portion))
            return
        self._raw.unregisterProducer()
        if not self._raw.disconnecting:
            self._channel.answer_has_left()

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._rest = memoryview(b"")


@implementer(IHalfCloseableProtocol)
class WebChannel(HTTPChannel):
    """
    One HTTP connection, in the list of all connections of C{site.admission}.

    Each of these has to happen within the time for which a connection may wait: a whole head of a request comes; its
    answer leaves; the next head comes. A request that holds a place does not wait. The next request is handled only
    when the last answer has left, so that a peer that does not read holds one answer, and one place. A peer that has
    closed its side of the connection after a request, as C{nc -N} does, gets the answer.
    """

    site: Any  # set by Twisted: the AuthenticatedSite
    transport: Any
    _networkProducer: Any  # noqa: N815 - Twisted's: the transport
    _entry: Connection | None = None
    _place: Place | None = None
    _rest = memoryview(b"")
    _answered: Request  # the last one that was answered
    _answers = 0
    _stalled: IDelayedCall | None = None
    _is_departing = False  # an answer was written, and has not left yet
    _has_peer_closed = False

    @property
    def _admission(self) -> Admission:
        found: Admission = self.site.admission
        return found

    def connectionMade(self) -> None:
        super().connectionMade()
        raw = socket_transport(self.transport)
        if hasattr(raw, "socket"):
            # Otherwise the time of a slow reader would begin while most of its answer is still in the kernel's queue.
            keep_queue_short(raw.socket)
        try:
            host = getattr(self.transport.getPeer(), "host", "")
            self._entry = self._admission.connections.open(host, self._end)
        except NoRoomError as full:
            self._end(str(full))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._release()
        if self._entry is not None:
            self._entry.close()

    def readConnectionLost(self) -> None:
        """The peer sends nothing more: end the connection, or let an answer that was begun be the last one."""
        # A peer that is gone looks the same until something is written to it. It must not keep its turn at a login.
        self._has_peer_closed = True
        if self._place is None and not self._is_departing:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing to do: we do not close one side alone."""

    def dataReceived(self, data: bytes) -> None:
        if not self.transport.disconnecting:  # TLS still delivers what comes after an answer that ends the connection
            super().dataReceived(data)

    def allHeadersReceived(self) -> None:
        self._wait()
        super().allHeadersReceived()

    def refuse(self, status: bytes) -> None:
        """Answer with C{status}, read nothing more, and end the connection when that has left."""
        self.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.loseConnection()

    def hold(self, place: Place) -> None:
        """The request that is being handled has C{place}, until its answer has left or the connection is lost."""
        self._place = place
        if self._entry is not None:
            self._entry.let_in()

    def follow_with(self, content: bytes) -> None:
        """
        Send C{content} after what the request that is being handled writes.

        It may be shared: only the portion that is under way is copied.
        """
        self._rest = memoryview(content)

    def requestDone(self, request: Request) -> None:  # noqa: N802
        """The answer has been written: go on when it has left."""
        self._answered = request
        if self._place is not None:
            late = f"it did not take its answer within {PROGRESS_SECONDS:.0f} s"
            self._stalled = self._admission.connections.clock.callLater(PROGRESS_SECONDS, self._end, late)
        rest, self._rest = self._rest, memoryview(b"")
        self._is_departing = True
        self._networkProducer.unregisterProducer()
        _Departure(self, rest)

    def answer_has_left(self) -> None:
        """Go on to the next request."""
        request = self._answered
        self._is_departing = False
        self._answers += 1
        self._release()
        self._wait()
        self._networkProducer.registerProducer(self, True)
        self.resumeProducing()  # it may have been paused while its answer was written
        super().requestDone(request)  # which handles the next request, if that has come
        if self._has_peer_closed and not self.requests:
            self.transport.loseConnection()

    def _wait(self) -> None:
        if self._entry is not None:
            self._entry.wait()

    def _release(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            place.release()
        stalled, self._stalled = self._stalled, None
        if stalled is not None and stalled.active():
            stalled.cancel()

    def _end(self, reason: str) -> None:
        is_idle = self._answers and not self.requests  # browsers keep connections: their end is not worth a line
        if not is_idle:
            peer = f"http {describe(self.transport.getPeer())}"
            self._admission.log.info("{peer} ended: {reason}", peer=peer, reason=reason)
        self.transport.abortConnection()
