"""The factory of the viewers' connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twistedcam.access.admission import LoginThrottle
from twistedcam.hub import Hub
from twistedcam.interfaces import IGuard
from twistedcam.net import describe
from twistedcam.server.connection import ViewerConnection

log = Logger()

MAX_VIEWERS = 500
_SWEEP_SECONDS = 1.0


class ViewerServerFactory(ServerFactory):
    """
    Everybody who watches over the wire.

    C{hubs} maps each camera's name to the hub of its JPEG frames, the first
    being the default; C{silent_hub} feeds those who have not said hello;
    C{make_guard} makes the guard of each connection, None for an open door;
    C{count_viewers} counts towards C{max_viewers} those who watch in other ways, too. C{smaller} maps a camera's name
    to hubs of ever smaller pictures, for viewers whose links cannot take the full ones. C{turns} are for all attempts
    to get in, in other ways as well.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        hubs: Mapping[str, Hub],
        silent_hub: Hub,
        make_guard: Callable[[], IGuard | None] = lambda: None,
        max_viewers: int = MAX_VIEWERS,
        count_viewers: Callable[[], int] | None = None,
        smaller: Mapping[str, Sequence[Hub]] = MappingProxyType({}),
    ) -> None:
        self.clock = clock
        self.max_viewers = max_viewers
        self.turns = LoginThrottle(clock)
        self._make_guard = make_guard
        self._count_viewers = count_viewers or self._count_own_viewers
        self.hubs = hubs
        self.smaller = smaller
        self.silent_hub = silent_hub
        self.viewers: set[ViewerConnection] = set()
        self._sweep = LoopingCall(self._sweep_viewers)
        self._sweep.clock = clock

    @property
    def sends_pickles(self) -> bool:
        """Whether who says nothing gets something other than JPEGs."""
        return self.silent_hub not in self.hubs.values()

    def has_room(self) -> bool:
        """Whether one more may watch."""
        return self._count_viewers() < self.max_viewers

    def _count_own_viewers(self) -> int:
        return sum(viewer.is_watching for viewer in self.viewers)

    def is_crowded(self) -> bool:
        """Whether more wait to be let in than could all watch: strangers are not to take the place of viewers."""
        return sum(not viewer.is_watching for viewer in self.viewers) > self.max_viewers

    def startFactory(self) -> None:
        self._sweep.start(_SWEEP_SECONDS, now=False)

    def stopFactory(self) -> None:
        self._sweep.stop()
        for viewer in tuple(self.viewers):
            viewer.refuse("the server stops")

    def buildProtocol(self, addr: IAddress | None) -> ViewerConnection:  # type: ignore[override]
        viewer = ViewerConnection(describe(addr), getattr(addr, "host", ""), self._make_guard())
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

    def _sweep_viewers(self) -> None:
        now = self.clock.seconds()
        for viewer in tuple(self.viewers):
            viewer.sweep(now)
