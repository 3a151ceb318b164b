"""Frames over HTTP: a stream of them, or a single picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web import http
from twisted.web.server import Request
from zope.interface import implementer

from twistedcam.frame import BOUNDARY, PART_HEAD, Frame
from twistedcam.hub import Hub, Outlet
from twistedcam.interfaces import ISink
from twistedcam.net import describe
from twistedcam.pacing.quality_ladder import QualityLadder
from twistedcam.pacing.shared_sink import SharedSink
from twistedcam.pacing.transport_sink import TransportSink
from twistedcam.web.responses import TextResource

SNAPSHOT_SECONDS = 10.0
PART_STREAM_TYPE = f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}"
MESSAGE_STREAM_TYPE = "application/octet-stream"


class Stream:
    """
    An HTTP answer that goes on until its connection ends: frames, no faster than the viewer's link takes them.

    C{first} is sent at once; C{render} gives the bytes of a frame.
    """

    def __init__(
        self, request: Request, kind: str, first: bytes, render: Callable[[Frame], bytes], clock: IReactorTime
    ) -> None:
        transport: Any = request.channel.transport
        request.clientproto = b"HTTP/1.0"  # otherwise twisted.web sends chunks, which not every player knows
        request.setHeader("Connection", "close")
        request.setHeader("Content-Type", kind)
        request.setHeader("X-Accel-Buffering", "no")  # nginx would keep megabytes of pictures for a slow viewer
        request.write(first)
        self.peer = f"http {describe(request.getClientAddress())}"
        self._transport = transport
        transport.unregisterProducer()  # twisted.web's own, which does not know about frames
        self._sink = TransportSink(transport, clock, self._ready, render, is_writing=True)

    def gone(self) -> None:
        """The connection is lost: take no more frames."""
        self._sink.stopProducing()

    def sweep(self, state: Callable[[], bytes]) -> None:
        """Once a second: adjust the size of the pictures to the link; C{state} gives the message about all cameras."""

    def has_stalled(self, now: float) -> bool:
        """Whether a frame has waited for it for L{PROGRESS_SECONDS<twistedcam.pacing.transport_sink>}."""
        return self._sink.has_stalled(now)

    def end(self) -> None:
        """End the connection at once."""
        self._transport.abortConnection()

    def _ready(self) -> None:
        """The link may have room again."""


class PartStream(Stream):
    """
    One camera's frames as multipart/x-mixed-replace. For C{hubs} see L{QualityLadder}.

    C{for_browser} sends the head of each part before the part itself is known, so that Chromium shows a picture at
    once. Such a head has no Content-Length, which some programs need.
    """

    def __init__(
        self, request: Request, hubs: Sequence[Hub], fps: float, clock: IReactorTime, for_browser: bool = False
    ) -> None:
        first = b"--" + BOUNDARY + b"\r\n"
        if for_browser:
            first += PART_HEAD
        super().__init__(request, PART_STREAM_TYPE, first, _PART_FOR_BROWSERS if for_browser else _PART, clock)
        self._ladder = QualityLadder(hubs, self._sink, self.peer, fps)

    def gone(self) -> None:
        super().gone()
        self._ladder.leave()

    def sweep(self, state: Callable[[], bytes]) -> None:
        self._ladder.adjust()

    def _ready(self) -> None:
        self._ladder.outlet.resume()


class MessageStream(Stream):
    """
    The frames of several cameras, and once a second the C{state} of all, as messages of the wire protocol.

    C{cameras} has for each camera the hubs, as L{QualityLadder} takes them, and the highest number of frames a second.
    """

    def __init__(
        self, request: Request, state: bytes, cameras: Iterable[tuple[Sequence[Hub], float]], clock: IReactorTime
    ) -> None:
        super().__init__(request, MESSAGE_STREAM_TYPE, state, _MESSAGE, clock)
        self._state = b""  # waits until a frame has left
        self._cameras = SharedSink(self._sink)
        for hubs, fps in cameras:
            self._cameras.watch(hubs, self.peer, fps)

    def gone(self) -> None:
        super().gone()
        self._cameras.leave()

    def sweep(self, state: Callable[[], bytes]) -> None:
        self._cameras.adjust()
        self._state = state()
        self._tell()

    def _tell(self) -> None:
        if self._state and self._sink.send(self._state):
            self._state = b""

    def _ready(self) -> None:
        self._tell()
        self._cameras.resume()


_PART, _PART_FOR_BROWSERS, _MESSAGE = map(attrgetter, ("part", "part_for_browsers", "message"))


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
