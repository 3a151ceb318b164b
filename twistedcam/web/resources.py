"""The resources of the web server: the page, streams, single pictures, the state and the metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from importlib import resources
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from twisted.web.static import Data

from twistedcam.access.admission import Admission, UnknownCameraError, find_camera
from twistedcam.access.places import Places
from twistedcam.camera_status import ICameraStatus
from twistedcam.encodings import ladder_from
from twistedcam.errors import NoRoomError
from twistedcam.net import network_of
from twistedcam.pacing.transport_sink import PROGRESS_SECONDS
from twistedcam.rates import MAX_FPS
from twistedcam.web import status
from twistedcam.web.document import is_document, shows_images, stream_document
from twistedcam.web.headers import header
from twistedcam.web.query import QueryError, encodings_for, hub_for, is_on, number, numbers
from twistedcam.web.responses import DynamicResource, TextResource, busy
from twistedcam.web.stream import (
    MESSAGE_STREAM_TYPE,
    PART_STREAM_TYPE,
    MessageStream,
    PartStream,
    Snapshot,
    Stream,
)
from twistedcam.wire.framing import pack

_MAX_AGE_SECONDS = 1.0
_SWEEP_SECONDS = 1.0
_PATHS = "/, /stream, /snapshot, /messages, /state, /metrics"
_NUMBER = re.compile("[0-9]{1,9}")
_EXTENSIONS = ("jpg", "jpeg", "mjpg", "mjpeg")
_STOPPING = "the server is stopping"
_PAGE = {
    "": ("index.html", "text/html; charset=utf-8"),
    "messages.js": ("messages.js", "text/javascript; charset=utf-8"),
    "pace.js": ("pace.js", "text/javascript; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "style.css": ("style.css", "text/css; charset=utf-8"),
    "stream.css": ("stream.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}


class Pictures(Resource):
    """C{/stream/NAME} or C{/snapshot/NAME}; without a name, the first camera's."""

    def __init__(
        self,
        answer: Callable[[Request, ICameraStatus], Any],
        cameras: Mapping[str, ICameraStatus],
        camera: ICameraStatus | None = None,
    ) -> None:
        super().__init__()
        self._answer = answer
        self._cameras = cameras
        self._camera = camera

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The camera called C{path}, which may have an extension; a slash at the end means nothing."""
        name = path.decode(errors="replace")
        if not name:
            return self
        try:
            if self._camera is not None:
                raise UnknownCameraError(name, self._cameras)
            camera = find_camera(self._cameras, _without_extension(name, self._cameras))
            return Pictures(self._answer, self._cameras, camera)
        except UnknownCameraError as error:
            return TextResource(http.NOT_FOUND, str(error))

    def numbered(self, number: int) -> IResource:
        """The camera with this number, the first one's being 0."""
        names = list(self._cameras)
        if number >= len(names):
            text = f"no camera {number} here; there are {len(names)}, numbered from 0"
            return TextResource(http.NOT_FOUND, text)
        return Pictures(self._answer, self._cameras, self._cameras[names[number]])

    def render_GET(self, request: Request) -> Any:
        """A stream or a picture."""
        camera = self._camera if self._camera is not None else find_camera(self._cameras, None)
        return _answer_or_explain(request, lambda: self._answer(request, camera))


def _without_extension(name: str, names: Collection[str]) -> str:
    """C{name} without an extension that means a picture or a stream, unless it is one of C{names} as it is."""
    stem, _, extension = name.rpartition(".")
    return stem if extension.lower() in _EXTENSIONS and name not in names else name


class Messages(Resource):
    """C{/messages}: several cameras over one connection, those that C{?camera=NAME&camera=NAME} names, or all."""

    isLeaf = True

    def __init__(
        self, answer: Callable[[Request, list[ICameraStatus]], Any], cameras: Mapping[str, ICameraStatus]
    ) -> None:
        super().__init__()
        self._answer = answer
        self._cameras = cameras

    def render_GET(self, request: Request) -> Any:
        """The messages."""
        names = dict.fromkeys(name.decode(errors="replace") for name in request.args.get(b"camera", []))
        try:
            cameras = [find_camera(self._cameras, name) for name in names or self._cameras]
        except UnknownCameraError as error:
            return TextResource(http.NOT_FOUND, str(error)).render(request)
        return _answer_or_explain(request, lambda: self._answer(request, cameras))


def _answer_or_explain(request: Request, answer: Callable[[], Any]) -> Any:
    try:
        return answer()
    except QueryError as error:
        return TextResource(http.BAD_REQUEST, str(error)).render(request)
    except NoRoomError as error:
        return busy(error).render(request)


class Root(Resource):
    """
    C{/}: the page. C{pictures} are found under the names and addresses of other programs too: C{/?action=stream_1} for
    the second camera, as mjpg-streamer has it, and C{/snapshot.jpg}.
    """

    def __init__(self, page: Resource, pictures: Mapping[str, Pictures]) -> None:
        super().__init__()
        self._page = page
        self._pictures = pictures

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The page for the root itself, and pictures by a name with an extension."""
        if not path and not request.postpath:
            return self
        name = _without_extension(path.decode(errors="replace"), ())
        return self._pictures.get(name) or TextResource(http.NOT_FOUND, f"not found; there are: {_PATHS}")

    def render_GET(self, request: Request) -> Any:
        """The page, or what an action asks for."""
        action = request.args.get(b"action", [b""])[0].decode(errors="replace")
        if not action:
            return self._page.render(request)
        kind, _, number = action.partition("_")
        if kind not in self._pictures or not _NUMBER.fullmatch(number or "0"):
            text = "action has to be stream or snapshot, or one of them with the number of a camera: stream_0"
            return TextResource(http.BAD_REQUEST, text).render(request)
        return self._pictures[kind].numbered(int(number or 0)).render(request)


class WebService(Service):
    """
    The viewers over HTTP. C{root} is the resource to serve, C{streams} are the streams that are being sent, and
    C{snapshots} the requests that wait for a picture.

    C{cameras} maps names to cameras, the first being the default; C{now} is the time of day, in seconds since the
    epoch; C{metrics} gives the type and content of C{/metrics} for an Accept header.
    """

    def __init__(
        self,
        clock: IReactorTime,
        cameras: Mapping[str, ICameraStatus],
        admission: Admission,
        now: Callable[[], float],
        metrics: Callable[[str], tuple[str, bytes]],
    ) -> None:
        self._clock = clock
        self._cameras = cameras
        self._admission = admission
        self._now = now
        self.streams: set[Stream] = set()
        self.snapshots: set[Snapshot] = set()
        self._sweep = LoopingCall(self._sweep_streams)
        self._sweep.clock = clock
        self.root = self._make_root(metrics)

    def _make_root(self, metrics: Callable[[str], tuple[str, bytes]]) -> Resource:
        stream, snapshot = Pictures(self._stream, self._cameras), Pictures(self._snapshot, self._cameras)
        files = {path: _page_file(name, kind) for path, (name, kind) in _PAGE.items()}
        root = Root(files.pop(""), {"stream": stream, "snapshot": snapshot})
        leaves = {
            "stream": stream,
            "snapshot": snapshot,
            "messages": Messages(self._messages, self._cameras),
            "state": DynamicResource(lambda request: ("application/json", self._state())),
            "metrics": DynamicResource(lambda request: metrics(header(request, b"Accept") or "")),
            "healthz": TextResource(http.OK, "ok"),
        }
        for path, resource in {**files, **leaves}.items():
            root.putChild(path.encode(), resource)
        return root

    def startService(self) -> None:
        """Begin to look after the streams, once a second."""
        super().startService()
        self._sweep.start(_SWEEP_SECONDS, now=False)

    def stopService(self) -> None:
        """End all streams, and answer the requests that wait for a picture."""
        super().stopService()
        self._sweep.stop()
        for stream in tuple(self.streams):
            stream.end()
        for snapshot in tuple(self.snapshots):
            snapshot.give_up(_STOPPING)

    def _take(self, places: Places, request: Request) -> None:
        """Take one of C{places} until the answer to C{request} has left. Raises L{NoRoomError}."""
        if not self.running:  # a login may have taken until now
            raise NoRoomError(_STOPPING)
        host = getattr(request.getClientAddress(), "host", "")
        channel: Any = request.channel  # a WebChannel
        channel.hold(places.take(network_of(host)))

    def _state(self) -> bytes:
        return json.dumps(status.state(self._cameras, self._now())).encode()

    def _summary(self) -> bytes:
        return pack(json.dumps(status.summary(self._cameras, self._now())).encode())

    def _stream(self, request: Request, camera: ICameraStatus) -> Any:
        (encoding,), fps = encodings_for(request, [camera]), number(request, "fps", 0, MAX_FPS, 0)
        hubs = [camera.hubs[name] for name in (ladder_from(encoding) if is_on(request, "adapt") else [encoding])]
        for_browser = is_on(request, "advance_headers") or shows_images(request)
        if is_document(request):
            return stream_document(request, camera.name)
        make = partial(PartStream, request, hubs, fps, self._clock, for_browser)
        return self._begin(request, PART_STREAM_TYPE, make, camera.name)

    def _messages(self, request: Request, cameras: list[ICameraStatus]) -> Any:
        encodings, rates = encodings_for(request, cameras), numbers(request, "fps", 0, MAX_FPS, [0] * len(cameras))
        ladders = [
            [camera.hubs[name] for name in ladder_from(encoding)]
            for camera, encoding in zip(cameras, encodings, strict=True)
        ]
        make = partial(MessageStream, request, self._summary(), list(zip(ladders, rates, strict=True)), self._clock)
        return self._begin(request, MESSAGE_STREAM_TYPE, make, ", ".join(camera.name for camera in cameras))

    def _begin(self, request: Request, kind: str, make: Callable[[], Stream], names: str) -> Any:
        self._take(self._admission.viewers, request)
        if request.method == b"HEAD":
            request.setHeader("Content-Type", kind)
            return b""
        stream = make()
        self.streams.add(stream)
        self._log("viewer {peer} came to {names}, {count} watching", stream, names=names)
        request.notifyFinish().addErrback(self._gone, stream)
        return NOT_DONE_YET

    def _gone(self, failure: Failure, stream: Stream) -> None:
        self.streams.discard(stream)
        stream.gone()
        self._log("viewer {peer} gone, {count} watching", stream)

    def _snapshot(self, request: Request, camera: ICameraStatus) -> Any:
        hub, max_age = hub_for(request, camera), number(request, "max_age", 0, 3600, _MAX_AGE_SECONDS)
        self._take(self._admission.snapshots, request)
        snapshot = Snapshot(request, hub, max_age, self._clock, self.snapshots.discard)
        if snapshot.is_waiting:
            self.snapshots.add(snapshot)
        return NOT_DONE_YET

    def _log(self, line: str, stream: Stream, **values: object) -> None:
        self._admission.log.info(line, peer=stream.peer, count=self._admission.viewers.taken, **values)

    def _sweep_streams(self) -> None:
        now, state = self._clock.seconds(), cache(self._summary)  # made once, for those who want it
        for stream in tuple(self.streams):
            stream.sweep(state)
            if stream.has_stalled(now):
                self._log(f"viewer {{peer}} ended: it took nothing for {PROGRESS_SECONDS:.0f} s", stream)
                stream.end()


def _page_file(name: str, kind: str) -> Data:
    return Data(resources.files("twistedcam.web").joinpath("page", name).read_bytes(), kind)
