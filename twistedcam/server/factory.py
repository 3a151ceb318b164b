"""The viewers of a server, over the wire protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import LoopingCall

from twistedcam.access.admission import Admission
from twistedcam.hub import Hub
from twistedcam.interfaces import IGuard
from twistedcam.server.connection import ViewerConnection
from twistedcam.server.stages import ServerContext

_SWEEP_SECONDS = 1.0


class ViewerServerFactory(ServerFactory):
    """
    Makes a L{ViewerConnection} for each connection, and sweeps all of them once a second.

    C{make_guard} makes the guard of one connection, or None where everybody may watch; C{admission} is shared with
    the web server. The rest is as in L{ServerContext}. C{viewers} are the connections, let in or not.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        hubs: Mapping[str, Hub],
        silent_hub: Hub,
        make_guard: Callable[[], IGuard | None] = lambda: None,
        admission: Admission | None = None,
        smaller: Mapping[str, Sequence[Hub]] = MappingProxyType({}),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.viewers: set[ViewerConnection] = set()
        self.admission = admission if admission is not None else Admission(clock)
        self._context = ServerContext(clock, now, self.admission, hubs, silent_hub, smaller)
        self._make_guard = make_guard
        self._clock = clock
        self._sweep = LoopingCall(self._sweep_viewers)
        self._sweep.clock = clock

    def startFactory(self) -> None:
        self._sweep.start(_SWEEP_SECONDS, now=False)

    def stopFactory(self) -> None:
        self._sweep.stop()
        for viewer in tuple(self.viewers):
            viewer.refuse("the server is stopping")

    def buildProtocol(self, addr: IAddress | None) -> ViewerConnection:
        viewer = ViewerConnection(self._context, addr, self._make_guard(), self.viewers)
        viewer.factory = self
        return viewer

    def _sweep_viewers(self) -> None:
        now = self._clock.seconds()
        for viewer in tuple(self.viewers):
            viewer.sweep(now)
