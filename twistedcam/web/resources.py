"""The web face: a page, streams, single pictures and what is known of the service, over HTTP."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from twisted.web.static import Data

from twistedcam.capture.encoder import encoding_for
from twistedcam.hub import Hub
from twistedcam.interfaces import ICameraStatus
from twistedcam.rates import MAX_FPS
from twistedcam.web.responses import DynamicResource, TextResource
from twistedcam.web.stream import STREAM_TYPE, Snapshot, Stream

log = Logger()

_MAX_AGE_SECONDS = 1.0
_SWEEP_SECONDS = 1.0
_PAGE = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "style.css": ("style.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}

_FULL = TextResource(http.SERVICE_UNAVAILABLE, "as many watch as may, try again later", {"Retry-After": "5"})


class QueryError(ValueError):
    """A query's value is of no use; the text says what to write instead."""


def number(request: Request, name: str, least: float, most: float, default: float) -> float:
    """The number called C{name} in the query. Raises L{QueryError}."""
    texts = request.args.get(name.encode())
    if texts is None:
        return default
    try:
        value = float(texts[0])
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise QueryError(f"{name}={texts[0].decode(errors='replace'):.40} is not a number from {least:g} to {most:g}")
    return value


class Pictures(Resource):
    """C{/stream/NAME} or C{/snapshot/NAME}, and without a name the first camera's."""

    def __init__(self, answer: Callable[[Request, str], Any], names: list[str], name: str | None = None) -> None:
        super().__init__()
        self._answer = answer
        self._names = names
        self._name = name

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The camera called C{path}."""
        name = path.decode(errors="replace")
        if self._name is None and name in self._names:
            return Pictures(self._answer, self._names, name)
        if self._name is None and not name:
            return self
        return TextResource(http.NOT_FOUND, f"there is no camera {name!r:.60} here; there is: {', '.join(self._names)}")

    def render_GET(self, request: Request) -> Any:
        """A stream or a picture."""
        try:
            return self._answer(request, self._name or self._names[0])
        except QueryError as error:
            return TextResource(http.BAD_REQUEST, str(error)).render(request)


class Root(Resource):
    """C{/}: the page; and as mjpg-streamer has them, C{/?action=stream} and C{/?action=snapshot}."""

    def __init__(self, page: Resource, actions: Mapping[bytes, Resource]) -> None:
        super().__init__()
        self._page = page
        self._actions = actions

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The page, at the root itself."""
        if path or request.postpath:
            return TextResource(
                http.NOT_FOUND, "there is nothing here; there is: /, /stream, /snapshot, /state, /metrics"
            )
        return self

    def render_GET(self, request: Request) -> Any:
        """The page, or what an action asks for."""
        action = request.args.get(b"action", [b""])[0]
        if not action:
            return self._page.render(request)
        if action not in self._actions:
            return TextResource(http.BAD_REQUEST, "action is to be stream or snapshot").render(request)
        return self._actions[action].render(request)


class WebFace(Service):
    """
    All who watch over HTTP, and what they may ask for; C{root} is the resource to serve.

    C{cameras} maps names to cameras, the first being the default; C{has_room} says whether one more may watch;
    C{state} gives what C{/state} says, and C{metrics} the type and text of C{/metrics} for an Accept header.
    """

    def __init__(
        self,
        clock: IReactorTime,
        cameras: Mapping[str, ICameraStatus],
        has_room: Callable[[], bool],
        state: Callable[[], dict[str, Any]],
        metrics: Callable[[str], tuple[str, bytes]],
    ) -> None:
        self._clock = clock
        self._cameras = cameras
        self._has_room = has_room
        self.streams: set[Stream] = set()
        self._sweep = LoopingCall(self._end_stalled)
        self._sweep.clock = clock
        self.root = self._make_root(state, metrics)

    def _make_root(self, state: Callable[[], dict[str, Any]], metrics: Callable[[str], tuple[str, bytes]]) -> Resource:
        names = list(self._cameras)
        stream, snapshot = Pictures(self._stream, names), Pictures(self._snapshot, names)
        files = {path: _page_file(name, kind) for path, (name, kind) in _PAGE.items()}
        root = Root(files.pop(""), {b"stream": stream, b"snapshot": snapshot})
        leaves = {
            "stream": stream,
            "snapshot": snapshot,
            "state": DynamicResource(lambda request: ("application/json", json.dumps(state()).encode())),
            "metrics": DynamicResource(lambda request: metrics(request.getHeader("accept") or "")),
            "healthz": TextResource(http.OK, "ok"),
        }
        for path, resource in {**files, **leaves}.items():
            root.putChild(path.encode(), resource)
        return root

    def startService(self) -> None:
        """From here on streams that are stuck are ended."""
        super().startService()
        self._sweep.start(_SWEEP_SECONDS, now=False)

    def stopService(self) -> None:
        """End all streams."""
        super().stopService()
        self._sweep.stop()
        for stream in tuple(self.streams):
            stream.end()

    def _hub(self, request: Request, name: str) -> Hub:
        camera = self._cameras[name]
        width = int(number(request, "width", 1, 100_000, camera.width))
        return camera.hubs[encoding_for(width, camera.width)]

    def _stream(self, request: Request, name: str) -> Any:
        hub, fps = self._hub(request, name), number(request, "fps", 0, MAX_FPS, 0)
        if not self._has_room():
            return _FULL.render(request)
        if request.method == b"HEAD":
            request.setHeader("Content-Type", STREAM_TYPE)
            return b""
        stream = Stream(request, hub, fps, self._clock)
        self.streams.add(stream)
        log.info("viewer {peer} came to {camera}", peer=stream.peer, camera=name)
        request.notifyFinish().addErrback(self._gone, stream)
        return NOT_DONE_YET

    def _gone(self, failure: Failure, stream: Stream) -> None:
        self.streams.discard(stream)
        stream.gone()
        log.info("viewer {peer} gone", peer=stream.peer)

    def _snapshot(self, request: Request, name: str) -> Any:
        hub, max_age = self._hub(request, name), number(request, "max_age", 0, 3600, _MAX_AGE_SECONDS)
        if not self._has_room():
            return _FULL.render(request)
        Snapshot(request, hub, max_age, self._clock)
        return NOT_DONE_YET

    def _end_stalled(self) -> None:
        now = self._clock.seconds()
        for stream in tuple(self.streams):
            stream.end_if_stalled(now)


def _page_file(name: str, kind: str) -> Data:
    return Data(resources.files("twistedcam.web").joinpath("page", name).read_bytes(), kind)
