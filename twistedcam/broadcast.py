"""One newest frame, and for each who watches one place to wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twistedcam.frame import Frame
from twistedcam.interfaces import ISink
from twistedcam.pace import Meter, RateLimit


@dataclass(eq=False)
class Tally:
    """What became of the frames of one viewer, or of all."""

    begun: int = 0
    dropped: int = 0
    sent_bytes: int = 0

    def add(self, other: Tally) -> None:
        """Count what C{other} has counted, too."""
        self.begun += other.begun
        self.dropped += other.dropped
        self.sent_bytes += other.sent_bytes


class Outlet(Tally):
    """
    One viewer's place at a hub, where at most one frame waits.

    A frame that finds its sink busy waits; a newer one replaces it, so that what is sent next is always the newest.
    C{viewer} says who it is, for people.
    """

    def __init__(self, sink: ISink, viewer: str = "") -> None:
        super().__init__()
        self.viewer = viewer
        self.waiting: Frame | None = None
        self.newest: Frame | None = None  # of those that it was sent
        self._sink = sink
        self._limit: RateLimit | None = None
        self.meter = Meter()  # by the frames' times of capture

    def limit(self, fps: float) -> None:
        """From now on let at most C{fps} frames a second through; 0 is all."""
        self._limit = RateLimit(fps) if fps else None

    def offer(self, frame: Frame) -> None:
        """Send C{frame} now, or let it wait in place of the one that waits."""
        if self._limit is not None and not self._limit.due(frame.captured or 0.0):
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
        self.sent_bytes += len(frame.payload)
        self.newest = frame
        self.meter.add(frame.captured or 0.0)
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
        self._gone = Tally()

    def __iter__(self) -> Iterator[Outlet]:
        return iter(tuple(self._outlets))

    def __len__(self) -> int:
        return len(self._outlets)

    @property
    def is_watched(self) -> bool:
        """Whether anybody is there to see a frame."""
        return bool(self._outlets)

    def tally(self) -> Tally:
        """What became of the frames of all who watch or watched."""
        total = Tally()
        for one in (self._gone, *self._outlets):
            total.add(one)
        return total

    def attach(self, sink: ISink, viewer: str = "") -> Outlet:
        """A place for C{sink}, which gets the newest frame at once."""
        outlet = Outlet(sink, viewer)
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
        self._gone.add(outlet)
        if not self._outlets:
            self._newest = None  # the next one to come is not to see how things were
            self.on_demand()

    def publish(self, frame: Frame) -> None:
        """Offer C{frame} to everybody and keep it for who comes next."""
        self._newest = frame if self._outlets else None
        for outlet in tuple(self._outlets):
            outlet.offer(frame)
