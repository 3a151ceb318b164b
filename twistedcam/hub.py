"""One newest frame, and for each who watches one place to wait for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twistedcam.frame import Frame
from twistedcam.interfaces import ISink
from twistedcam.rates import RateLimit


@dataclass
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


class Outlet:
    """
    One viewer's place at a hub, where at most one frame waits.

    A frame that finds its sink busy waits; a newer one replaces it, so that what is sent next is always the newest.
    C{viewer} says who it is, for people.
    """

    # Only what is missed is counted here: what was sent follows from what the hub published. To write a few numbers
    # for every frame of every viewer would cost a tenth of what sending it does.
    __slots__ = (
        "_bytes_before",
        "_frames_before",
        "_hub",
        "_last",
        "_limit",
        "_looks",
        "_missed",
        "_missed_bytes",
        "dropped",
        "sink",
        "viewer",
        "waiting",
    )

    def __init__(self, hub: Hub, sink: ISink, viewer: str = "") -> None:
        self.viewer = viewer
        self.sink = sink
        self.waiting: Frame | None = None
        self.dropped = 0
        self._hub = hub
        newest = hub.newest  # which it is offered, too
        self._frames_before = hub.published - (newest is not None)
        self._bytes_before = hub.published_bytes - (len(newest.payload) if newest is not None else 0)
        self._missed = self._missed_bytes = 0
        self._last: Frame | None = None  # that was sent; kept while frames are missed
        self._limit: RateLimit | None = None
        self._looks: deque[tuple[float, int]] = deque(maxlen=3)

    def limit(self, fps: float) -> None:
        """From now on let at most C{fps} frames a second through; 0 is all."""
        self._last = self.newest
        self._limit = RateLimit(fps) if fps else None

    def offer(self, frame: Frame) -> None:
        """Send C{frame} now, or let it wait in place of the one that waits."""
        if self.takes(frame):
            self.sink.begin(frame)

    def takes(self, frame: Frame) -> bool:
        """Whether the hub's newest, C{frame}, is to be begun now; if not, it waits, or is passed over by the limit."""
        if self._limit is not None and not self._limit.due(frame.captured or 0.0):
            self._miss(frame)
        elif self.waiting is not None:
            self._miss(self.waiting)
            self.dropped += 1
            self.waiting = frame
        elif self.sink.may_begin():
            if self._limit is not None:
                self._last = frame
            return True
        else:
            if self._limit is None:
                self._last = self._hub.before
            self.waiting = frame
        return False

    def resume(self) -> None:
        """The sink may be ready again: send the frame that waits, if it is."""
        if self.waiting is not None and self.sink.may_begin():
            frame, self.waiting = self.waiting, None
            self._last = frame
            self.sink.begin(frame)

    def _miss(self, frame: Frame) -> None:
        self._missed += 1
        self._missed_bytes += len(frame.payload)

    @property
    def newest(self) -> Frame | None:
        """The newest of the frames that it was sent."""
        if not self.begun:
            return None
        return self._last if self._limit is not None or self.waiting is not None else self._hub.newest

    @property
    def begun(self) -> int:
        """How many frames it was sent."""
        return self._hub.published - self._frames_before - self._missed - (self.waiting is not None)

    def tally(self) -> Tally:
        """What became of its frames until now."""
        waiting_bytes = len(self.waiting.payload) if self.waiting is not None else 0
        sent_bytes = self._hub.published_bytes - self._bytes_before - self._missed_bytes - waiting_bytes
        return Tally(self.begun, self.dropped, sent_bytes)

    def look(self, now: float) -> None:
        """Note how far it is, once a second, for L{fps}."""
        self._looks.append((now, self.begun))

    @property
    def fps(self) -> float:
        """Frames a second that it was sent between the last looks."""
        if len(self._looks) < 2:
            return 0.0
        (began, first), (ended, last) = self._looks[0], self._looks[-1]
        return (last - first) / (ended - began)


class Hub:
    """
    Hands each frame of one camera in one encoding to all outlets.

    C{on_demand} is called when the first outlet comes and when the last one goes. C{published} counts the frames that
    there was somebody for; C{newest} is the last of them and C{before} the one before it, while somebody watches.
    """

    def __init__(self, on_demand: Callable[[], None] = lambda: None) -> None:
        self.on_demand = on_demand
        self.published = self.published_bytes = 0
        self.newest: Frame | None = None
        self.before: Frame | None = None
        self._outlets: dict[Outlet, None] = {}
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
        for one in (self._gone, *(outlet.tally() for outlet in self._outlets)):
            total.add(one)
        return total

    def attach(self, sink: ISink, viewer: str = "") -> Outlet:
        """A place for C{sink}, which gets the newest frame at once."""
        outlet = Outlet(self, sink, viewer)
        self._outlets[outlet] = None
        if len(self._outlets) == 1:
            self.on_demand()
        elif self.newest is not None:
            outlet.offer(self.newest)
        return outlet

    def detach(self, outlet: Outlet) -> None:
        """Take C{outlet}'s place away; it may have gone already."""
        if outlet not in self._outlets:
            return
        del self._outlets[outlet]
        self._gone.add(outlet.tally())
        if not self._outlets:
            self.newest = self.before = None  # the next one to come is not to see how things were
            self.on_demand()

    def publish(self, frame: Frame) -> None:
        """Offer C{frame} to everybody and keep it for who comes next."""
        if not self._outlets:
            return
        self.newest, self.before = frame, self.newest
        self.published += 1
        self.published_bytes += len(frame.payload)
        # First who takes it, then nothing but sending: that leaves more in the processor's caches for each.
        for sink in [outlet.sink for outlet in self._outlets if outlet.takes(frame)]:
            sink.begin(frame)
