"""Pictures as large as a viewer's link can take: smaller ones for who would miss too many, and back."""

from __future__ import annotations

from collections.abc import Sequence

from twistedcam.hub import Hub, Outlet
from twistedcam.interfaces import ISink

# Down, when of the frames of the last looks less than this share was taken ...
_TAKEN_SHARE = 0.7
_LOOKS_BEFORE_DOWN = 2
# ... and up again after so many looks in which all but a few were. Each time that
# proves to be too much, the next try waits twice as long.
_ALMOST_ALL_SHARE = 0.95
_LOOKS_BEFORE_UP = 10
_MOST_LOOKS_BEFORE_UP = 320
_LOOKS_ON_TRIAL = 5
_FEWEST_FRAMES = 4  # in a look, to say anything


class Ladder:
    """
    One viewer's place at a camera: at the first of its C{hubs}, or, where its link takes too few frames, a later one.

    C{hubs} are those of one camera, from full to smallest pictures; where there is only one, it stays there. It is to
    be looked at once a second.
    """

    def __init__(self, hubs: Sequence[Hub], sink: ISink, viewer: str, fps: float = 0.0) -> None:
        self.hubs = hubs
        self._sink = sink
        self._viewer = viewer
        self._fps = fps
        self._poor_looks = self._good_looks = 0
        self._looks_before_up = _LOOKS_BEFORE_UP
        self._on_trial = 0
        self._step = 0
        self._begun = self._dropped = 0  # by the outlet, at the last look
        self.outlet = self._attach()

    def limit(self, fps: float) -> None:
        """From now on at most C{fps} frames a second; 0 is all."""
        self._fps = fps
        self.outlet.limit(fps)

    def leave(self) -> None:
        """The viewer goes, or to another camera."""
        self.hubs[self._step].detach(self.outlet)

    def look(self) -> None:
        """See what became of the last second's frames, and go a step down or up if that says so."""
        begun, dropped = self.outlet.begun - self._begun, self.outlet.dropped - self._dropped
        self._begun, self._dropped = self.outlet.begun, self.outlet.dropped
        if begun + dropped < _FEWEST_FRAMES:
            return
        share = begun / (begun + dropped)
        self._poor_looks = self._poor_looks + 1 if share < _TAKEN_SHARE else 0
        self._good_looks = self._good_looks + 1 if share >= _ALMOST_ALL_SHARE else 0
        self._on_trial = max(0, self._on_trial - 1)
        if self._poor_looks >= _LOOKS_BEFORE_DOWN and self._step < len(self.hubs) - 1:
            self._wait_longer()
            self._go(self._step + 1)
        elif self._good_looks >= self._looks_before_up and self._step:
            self._on_trial = _LOOKS_ON_TRIAL
            self._go(self._step - 1)

    def _wait_longer(self) -> None:
        if self._on_trial:
            self._looks_before_up = min(2 * self._looks_before_up, _MOST_LOOKS_BEFORE_UP)
        else:
            self._looks_before_up = _LOOKS_BEFORE_UP
        self._on_trial = 0

    def _go(self, step: int) -> None:
        self.leave()
        self._step = step
        self._poor_looks = self._good_looks = 0
        self.outlet = self._attach()

    def _attach(self) -> Outlet:
        self._begun = self._dropped = 0
        outlet = self.hubs[self._step].attach(self._sink, self._viewer)
        outlet.limit(self._fps)
        return outlet
