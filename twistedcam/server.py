"""The server's half of the wire: one factory, and one protocol for each viewer."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twistedcam.broadcast import Hub, Outlet
from twistedcam.framing import MAX_BYTES_FROM_VIEWER, MessageReceiver, pack_json
from twistedcam.sink import TransportSink

log = Logger()

PROGRESS_SECONDS = 30.0
_SWEEP_SECONDS = 1.0
_MOST_FPS = 1000.0


class ViewerConnection(MessageReceiver):
    """
    One viewer on the server's side: it is sent frames from the start, and may say hello and ping.

    A hello chooses a camera and bounds the rate; each ping is answered with a pong that tells our clock.
    """

    MAX_LENGTH = MAX_BYTES_FROM_VIEWER

    factory: CameraFactory

    def __init__(self, peer: str) -> None:
        super().__init__()
        self.peer = peer
        self.reason = "it left"
        self._hub: Hub | None = None
        self._outlet: Outlet | None = None
        self._ping: dict[str, Any] | None = None

    def connectionMade(self) -> None:
        self._sink = TransportSink(self.transport, self.factory.clock, self._ready)
        self.factory.joined(self)
        self._watch(self.factory.silent_hub)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._sink.stopProducing()
        self._unwatch()
        self.factory.left(self)

    def refuse(self, reason: str) -> None:
        self.reason = f"ended: {reason}"
        super().refuse(reason)

    def jsonReceived(self, message: dict[str, Any]) -> None:
        """Do what a hello or a ping asks; other types are for versions to come."""
        if message.get("type") == "hello":
            self._hello(message)
        elif message.get("type") == "ping":
            self._ping = message
            self._pong()

    def end_if_stalled(self, now: float) -> None:
        """End the connection if a frame has waited for it for L{PROGRESS_SECONDS}."""
        since = self._sink.waiting_since
        if since is not None and now - since > PROGRESS_SECONDS:
            self.refuse(f"it took nothing for {PROGRESS_SECONDS:.0f} s")

    def _hello(self, message: dict[str, Any]) -> None:
        camera, fps = message.get("camera"), message.get("fps", 0)
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 <= fps <= _MOST_FPS:
            self._dismiss(f"fps is to be a number from 0 to {_MOST_FPS:.0f}, 0 for all")
            return
        hubs = self.factory.hubs
        name = next(iter(hubs)) if camera is None else str(camera)
        if name not in hubs:
            self._dismiss(f"there is no camera {name!r:.60} here; there is: {', '.join(hubs)}")
            return
        self._watch(hubs[name], fps)

    def _dismiss(self, reason: str) -> None:
        """Tell the viewer why, and end its connection."""
        self.reason = f"refused: {reason}"
        self._unwatch()
        self._sink.close()
        self.sendJSON({"type": "refused", "reason": reason})
        self.transport.loseConnection()

    def _watch(self, hub: Hub, fps: float = 0.0) -> None:
        if self._hub is not hub or self._outlet is None:
            self._unwatch()
            self._hub = hub
            self._outlet = hub.attach(self._sink)
        self._outlet.limit(fps)

    def _unwatch(self) -> None:
        if self._hub is not None and self._outlet is not None:
            self._hub.detach(self._outlet)
        self._hub = self._outlet = None

    def _ready(self) -> None:
        self._pong()
        if self._outlet is not None:
            self._outlet.resume()

    def _pong(self) -> None:
        """Answer the newest ping, between frames: at most one pong ever waits."""
        if self._ping is None:
            return
        pong = {"type": "pong", "sent": self._ping.get("sent"), "clock": time.time()}
        if self._sink.send(pack_json(pong)):
            self._ping = None


class CameraFactory(ServerFactory):
    """
    Everybody who watches over the wire.

    C{hubs} maps each camera's name to the hub of its JPEG frames, the first
    being the default; C{silent_hub} feeds those who have not said hello.
    """

    noisy = False

    def __init__(self, clock: IReactorTime, hubs: Mapping[str, Hub], silent_hub: Hub) -> None:
        self.clock = clock
        self.hubs = hubs
        self.silent_hub = silent_hub
        self.viewers: set[ViewerConnection] = set()
        self._sweep = LoopingCall(self._end_stalled)
        self._sweep.clock = clock

    def startFactory(self) -> None:
        self._sweep.start(_SWEEP_SECONDS, now=False)

    def stopFactory(self) -> None:
        self._sweep.stop()
        for viewer in tuple(self.viewers):
            viewer.refuse("the server stops")

    def buildProtocol(self, addr: IAddress | None) -> ViewerConnection:  # type: ignore[override]
        viewer = ViewerConnection(describe(addr))
        viewer.factory = self
        return viewer

    def joined(self, viewer: ViewerConnection) -> None:
        """A viewer's connection is there."""
        self.viewers.add(viewer)
        log.info("viewer {peer} came, {count} watching", peer=viewer.peer, count=len(self.viewers))

    def left(self, viewer: ViewerConnection) -> None:
        """A viewer's connection is gone."""
        self.viewers.discard(viewer)
        count = len(self.viewers)
        log.info("viewer {peer} gone ({reason}), {count} watching", peer=viewer.peer, reason=viewer.reason, count=count)

    def _end_stalled(self) -> None:
        now = self.clock.seconds()
        for viewer in tuple(self.viewers):
            viewer.end_if_stalled(now)


def describe(address: Any) -> str:
    """An address as people write it."""
    host = getattr(address, "host", None)
    if host is None:
        return os.fsdecode(getattr(address, "name", None) or b"a local socket")
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
