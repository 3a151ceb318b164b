"""One newest frame, and for each who watches one place to wait for it."""

from __future__ import annotations

from collections.abc import Callable

from twistedcam.frame import Frame
from twistedcam.interfaces import ISink
from twistedcam.pace import RateLimit


class Outlet:
    """
    One viewer's place at a hub, where at most one frame waits.

    A frame that finds its sink busy waits; a newer one replaces it, so that what is sent next is always the newest.
    """

    def __init__(self, sink: ISink) -> None:
        self._sink = sink
        self._limit = RateLimit(0)
        self.waiting: Frame | None = None
        self.begun = 0
        self.dropped = 0

    def limit(self, fps: float) -> None:
        """From now on let at most C{fps} frames a second through; 0 is all."""
        self._limit = RateLimit(fps)

    def offer(self, frame: Frame) -> None:
        """Send C{frame} now, or let it wait in place of the one that waits."""
        if not self._limit.due(frame.captured or 0.0):
            return
        if self.waiting is not None:
            self.dropped += 1
            self.waiting = frame
        elif self._sink.may_begin():
            self._begin(frame)
        else:
            self.waiting = frame

    def resume(self) -> None:
        """The sink may be ready again: send the frame that waits, if it is."""
        if self.waiting is not None and self._sink.may_begin():
            frame, self.waiting = self.waiting, None
            self._begin(frame)

    def _begin(self, frame: Frame) -> None:
        self.begun += 1
        self._sink.begin(frame)


class Hub:
    """
    Hands each frame of one camera in one encoding to all outlets.

    C{on_demand} is called when the first outlet comes and when the last one goes.
    """

    def __init__(self, on_demand: Callable[[], None] = lambda: None) -> None:
        self.on_demand = on_demand
        self._outlets: dict[Outlet, None] = {}
        self._newest: Frame | None = None

    @property
    def is_watched(self) -> bool:
        """Whether anybody is there to see a frame."""
        return bool(self._outlets)

    def attach(self, sink: ISink) -> Outlet:
        """A place for C{sink}, which gets the newest frame at once."""
        outlet = Outlet(sink)
        self._outlets[outlet] = None
        if len(self._outlets) == 1:
            self.on_demand()
        if self._newest is not None:
            outlet.offer(self._newest)
        return outlet

    def detach(self, outlet: Outlet) -> None:
        """Take C{outlet}'s place away; it may have gone already."""
        if outlet not in self._outlets:
            return
        del self._outlets[outlet]
        if not self._outlets:
            self._newest = None  # the next one to come is not to see how things were
            self.on_demand()

    def publish(self, frame: Frame) -> None:
        """Offer C{frame} to everybody and keep it for who comes next."""
        self._newest = frame if self._outlets else None
        for outlet in tuple(self._outlets):
            outlet.offer(frame)
