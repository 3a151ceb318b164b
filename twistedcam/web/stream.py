"""Frames over HTTP: a stream of them, or a single picture."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web import http
from twisted.web.server import Request
from zope.interface import implementer

from twistedcam.frame import BOUNDARY, Frame
from twistedcam.hub import Hub, Outlet
from twistedcam.interfaces import ISink
from twistedcam.net import describe
from twistedcam.pacing.transport_sink import TransportSink
from twistedcam.web.responses import TextResource

SNAPSHOT_SECONDS = 10.0
STREAM_TYPE = f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}"


class Stream:
    """One HTTP connection that is sent frames until it ends, as multipart/x-mixed-replace."""

    def __init__(self, request: Request, hub: Hub, fps: float, clock: IReactorTime) -> None:
        transport: Any = request.channel.transport
        request.clientproto = b"HTTP/1.0"  # otherwise twisted.web sends chunks, which not every player knows
        request.setHeader("Connection", "close")
        request.setHeader("Content-Type", STREAM_TYPE)
        request.write(b"--" + BOUNDARY + b"\r\n")
        self.peer = f"http {describe(request.getClientAddress())}"
        self._transport = transport
        transport.unregisterProducer()  # twisted.web's own, which does not know about frames
        self._sink = TransportSink(transport, clock, self._ready, attrgetter("part"), is_writing=True)
        self._hub = hub
        self._outlet = hub.attach(self._sink, self.peer)
        self._outlet.limit(fps)

    def gone(self) -> None:
        """The connection is lost: take no more frames."""
        self._sink.stopProducing()
        self._hub.detach(self._outlet)

    def has_stalled(self, now: float) -> bool:
        """Whether a frame has waited for it for L{PROGRESS_SECONDS<twistedcam.pacing.transport_sink>}."""
        return self._sink.has_stalled(now)

    def end(self) -> None:
        """End the connection at once."""
        self._transport.abortConnection()

    def _ready(self) -> None:
        self._outlet.resume()


@implementer(ISink)
class Snapshot:
    """
    The answer to a request for one picture, at most C{max_age} seconds old or taken after the request came.

    C{on_end} is called with it when it no longer C{is_waiting}: it was answered, or its connection was lost.
    """

    def __init__(
        self, request: Request, hub: Hub, max_age: float, clock: IReactorTime, on_end: Callable[[Snapshot], None]
    ) -> None:
        self.is_waiting = True
        self._request = request
        self._hub = hub
        self._max_age = max_age
        self._clock = clock
        self._came = clock.seconds()
        self._on_end = on_end
        late = "there is no picture yet, try again later"
        self._deadline: IDelayedCall = clock.callLater(SNAPSHOT_SECONDS, self.give_up, late)
        self._outlet: Outlet | None = None
        request.notifyFinish().addErrback(lambda failure: self._end())
        self._outlet = hub.attach(self, f"http {describe(request.getClientAddress())}")
        if not self.is_waiting:  # the newest frame was fresh enough
            self._end()

    def may_begin(self) -> bool:
        """True until one frame has been sent."""
        return self.is_waiting

    def begin(self, frame: Frame) -> None:
        """Answer with C{frame} if it is fresh enough."""
        if (frame.age or 0.0) > max(self._max_age, self._clock.seconds() - self._came):
            return
        self._end()
        request = self._request
        request.setHeader("Content-Type", "image/jpeg")
        request.setHeader("Content-Length", str(len(frame.payload)))
        request.setHeader("X-Timestamp", f"{frame.captured or 0.0:.6f}")
        request.setHeader("X-State", frame.state)
        if request.method != b"HEAD":
            channel: Any = request.channel  # a WebChannel
            channel.follow_with(frame.payload)
        request.finish()

    def give_up(self, reason: str) -> None:
        """Answer that there is no picture, with C{reason}."""
        self._end()
        self._request.render(TextResource(http.SERVICE_UNAVAILABLE, reason, {"Retry-After": "1"}))

    def _end(self) -> None:
        self.is_waiting = False
        if self._deadline.active():
            self._deadline.cancel()
        if self._outlet is not None:
            self._hub.detach(self._outlet)
        self._on_end(self)
