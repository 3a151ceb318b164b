"""The size of the pictures for one viewer: as large as its link can take."""

from __future__ import annotations

from collections.abc import Sequence

from twistedcam.hub import Hub, Outlet
from twistedcam.interfaces import ISink

# A step down after this many seconds in which less than this share of the frames was taken ...
_TAKEN_SHARE = 0.7
_SECONDS_BEFORE_DOWN = 2
# ... and up again after this many in which almost all were. Each time that proves to be too much, the next try waits
# twice as long.
_ALMOST_ALL_SHARE = 0.95
_SECONDS_BEFORE_UP = 10
_MAX_SECONDS_BEFORE_UP = 320
_SECONDS_ON_TRIAL = 5
_MIN_FRAMES = 4  # in a second, to draw a conclusion


class QualityLadder:
    """
    One viewer's outlet at one of C{hubs}: at the first, or at a later one if its link takes too few of the frames.

    C{hubs} are those of one camera, from full to smallest pictures. L{adjust} is to be called once a second.
    """

    def __init__(self, hubs: Sequence[Hub], sink: ISink, viewer: str, fps: float = 0.0) -> None:
        self.hubs = hubs
        self._sink = sink
        self._viewer = viewer
        self._fps = fps
        self._poor_seconds = self._good_seconds = 0
        self._seconds_before_up = _SECONDS_BEFORE_UP
        self._on_trial = 0
        self._has_failed = False  # on this trial
        self._step = 0
        self._begun = self._dropped = 0  # by the outlet, until the last adjustment
        self.outlet = self._attach()

    def limit(self, fps: float) -> None:
        """From now on pass at most C{fps} frames a second; 0 is no limit."""
        self._fps = fps
        self.outlet.limit(fps)

    def leave(self) -> None:
        """Detach the outlet: the viewer is gone, or goes to another camera."""
        self.hubs[self._step].detach(self.outlet)

    def adjust(self) -> None:
        """Go a step down or up, depending on the share of the last second's frames that was taken."""
        begun, dropped = self.outlet.begun - self._begun, self.outlet.dropped - self._dropped
        self._begun, self._dropped = self.outlet.begun, self.outlet.dropped
        if begun + dropped < _MIN_FRAMES:
            return
        share = begun / (begun + dropped)
        self._poor_seconds = self._poor_seconds + 1 if share < _TAKEN_SHARE else 0
        self._good_seconds = self._good_seconds + 1 if share >= _ALMOST_ALL_SHARE else 0
        self._on_trial = max(0, self._on_trial - 1)
        if self._poor_seconds >= _SECONDS_BEFORE_DOWN and self._step < len(self.hubs) - 1:
            self._wait_longer()
            self._go(self._step + 1)
        elif self._good_seconds >= self._seconds_before_up and self._step:
            self._on_trial, self._has_failed = _SECONDS_ON_TRIAL, False
            self._go(self._step - 1)

    def _wait_longer(self) -> None:
        """Put off the next try if the last one has just failed; the further steps down after it change nothing."""
        if not self._on_trial:
            self._seconds_before_up = _SECONDS_BEFORE_UP
        elif not self._has_failed:
            self._seconds_before_up = min(2 * self._seconds_before_up, _MAX_SECONDS_BEFORE_UP)
            self._has_failed = True

    def _go(self, step: int) -> None:
        self.leave()
        self._step = step
        self._poor_seconds = self._good_seconds = 0
        self.outlet = self._attach()

    def _attach(self) -> Outlet:
        self._begun = self._dropped = 0
        outlet = self.hubs[self._step].attach(self._sink, self._viewer)
        outlet.limit(self._fps)
        return outlet
