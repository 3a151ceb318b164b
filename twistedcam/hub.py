"""Fan-out: the newest frame, and one slot per viewer in which it can wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twistedcam.frame import Frame
from twistedcam.interfaces import ISink
from twistedcam.rates import RateLimit


@dataclass
class Tally:
    """How many frames were sent and dropped, for one viewer or for all."""

    begun: int = 0
    dropped: int = 0
    sent_bytes: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of C{other}."""
        self.begun += other.begun
        self.dropped += other.dropped
        self.sent_bytes += other.sent_bytes


class Outlet:
    """
    One viewer's slot at a hub, in which at most one frame waits.

    A frame waits if the sink is busy, and a newer one replaces it, so that the next frame sent is always the newest.
    C{viewer} names the viewer in logs and reports.
    """

    # Only missed frames are counted here: the number sent follows from what the hub published. Writing a few numbers
    # for each frame of each viewer would cost a tenth of what sending it does.
    __slots__ = (
        "_bytes_before",
        "_frames_before",
        "_hub",
        "_last",
        "_limit",
        "_missed",
        "_missed_bytes",
        "_samples",
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
        newest = hub.newest  # which is offered to a new outlet, too
        self._frames_before = hub.published - (newest is not None)
        self._bytes_before = hub.published_bytes - (len(newest.payload) if newest is not None else 0)
        self._missed = self._missed_bytes = 0
        self._last: Frame | None = None  # the last frame sent; kept up to date only while frames are missed
        self._limit: RateLimit | None = None
        self._samples: deque[tuple[float, int]] = deque(maxlen=3)

    def limit(self, fps: float) -> None:
        """From now on pass at most C{fps} frames a second; 0 is no limit."""
        self._last = self.newest
        self._limit = RateLimit(fps) if fps else None

    def offer(self, frame: Frame) -> None:
        """Send C{frame} now, or let it wait in place of an older one."""
        if self.offer_or_hold(frame):
            self.sink.begin(frame)

    def offer_or_hold(self, frame: Frame) -> bool:
        """
        Offer the sink C{frame}, the hub's newest: True if the caller is to begin it now.

        Otherwise it is held in the slot, or skipped because of the rate limit.
        """
        if self.waiting is not None:
            self._replace(self.waiting, frame)
        elif self._limit is not None and not self._limit.due(frame.captured or 0.0):
            self._miss(frame)
        elif self.sink.may_begin():
            if self._limit is not None:
                self._last = frame
            return True
        else:
            if self._limit is None:
                self._last = self._hub.before
            self.waiting = frame
        return False

    def _replace(self, waiting: Frame, frame: Frame) -> None:
        self._miss(waiting)
        self.waiting = frame  # also if it is not due: the slot is that of one that was
        if self._limit is None or self._limit.due(frame.captured or 0.0):
            self.dropped += 1

    def resume(self) -> None:
        """Send the waiting frame, if the sink is ready again."""
        if self.waiting is not None and self.sink.may_begin():
            frame, self.waiting = self.waiting, None
            self._last = frame
            self.sink.begin(frame)

    def _miss(self, frame: Frame) -> None:
        self._missed += 1
        self._missed_bytes += len(frame.payload)

    @property
    def newest(self) -> Frame | None:
        """The newest frame that was sent."""
        if not self.begun:
            return None
        return self._last if self._limit is not None or self.waiting is not None else self._hub.newest

    @property
    def begun(self) -> int:
        """How many frames were sent."""
        return self._hub.published - self._frames_before - self._missed - (self.waiting is not None)

    def tally(self) -> Tally:
        """The counts until now."""
        waiting_bytes = len(self.waiting.payload) if self.waiting is not None else 0
        sent_bytes = self._hub.published_bytes - self._bytes_before - self._missed_bytes - waiting_bytes
        return Tally(self.begun, self.dropped, sent_bytes)

    def sample(self, now: float) -> None:
        """Record the number of frames sent, for L{fps}; to be called once a second."""
        self._samples.append((now, self.begun))

    @property
    def fps(self) -> float:
        """Frames sent a second, between the last samples."""
        if len(self._samples) < 2:
            return 0.0
        (began, first), (ended, last) = self._samples[0], self._samples[-1]
        return (last - first) / (ended - began)


class Hub:
    """
    Hands each frame of one camera, in one encoding, to all outlets.

    C{on_demand} is called when the first outlet is attached and when the last one is detached. C{published} counts the
    frames published while there was an outlet. While there is one, C{newest} is the last of these and C{before} the
    one before it.
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
        """Whether there is any outlet."""
        return bool(self._outlets)

    def tally(self) -> Tally:
        """The counts of all outlets, present and past."""
        total = Tally()
        for one in (self._gone, *(outlet.tally() for outlet in self._outlets)):
            total.add(one)
        return total

    def attach(self, sink: ISink, viewer: str = "") -> Outlet:
        """A new outlet for C{sink}, which is offered the newest frame at once."""
        outlet = Outlet(self, sink, viewer)
        self._outlets[outlet] = None
        if len(self._outlets) == 1:
            self.on_demand()
        elif self.newest is not None:
            outlet.offer(self.newest)
        return outlet

    def detach(self, outlet: Outlet) -> None:
        """Remove C{outlet}; it may have been removed before."""
        if outlet not in self._outlets:
            return
        del self._outlets[outlet]
        self._gone.add(outlet.tally())
        if not self._outlets:
            self.newest = self.before = None  # the next viewer must not see an old picture
            self.on_demand()

    def publish(self, frame: Frame) -> None:
        """Offer C{frame} to all outlets, and keep it for the next one that is attached."""
        if not self._outlets:
            return
        self.newest, self.before = frame, self.newest
        self.published += 1
        self.published_bytes += len(frame.payload)
        # First ask all, then do nothing but send: that makes better use of the processor's caches.
        for sink in [outlet.sink for outlet in self._outlets if outlet.offer_or_hold(frame)]:
            sink.begin(frame)
