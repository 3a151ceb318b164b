"""Several cameras over one connection."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from twistedcam.frame import Frame
from twistedcam.hub import Hub
from twistedcam.interfaces import ISink
from twistedcam.pacing.quality_ladder import QualityLadder


class SharedSink:
    """
    Sends the frames of several cameras into one C{sink}, that of a connection; when it is ready, L{resume} is to be
    called.

    Of each camera one frame may wait. When the link has room again these are sent in turn, so that each camera gets its
    share of the link, however many and large the frames of the others are.
    """

    def __init__(self, sink: ISink) -> None:
        self._sink = sink
        self._ladders: dict[_Share, QualityLadder] = {}  # the camera whose frame was sent last is at the end
        self._is_resuming = False

    def watch(self, hubs: Sequence[Hub], viewer: str, fps: float) -> None:
        """Send the frames of a further camera, at most C{fps} a second; for C{hubs} see L{QualityLadder}."""
        share = _Share(self)
        self._ladders[share] = QualityLadder(hubs, share, viewer, fps)

    def leave(self) -> None:
        """Take no more frames."""
        for ladder in self._ladders.values():
            ladder.leave()
        self._ladders.clear()

    def adjust(self) -> None:
        """Once a second: adjust the size of each camera's pictures to the link."""
        for ladder in tuple(self._ladders.values()):
            ladder.adjust()

    def resume(self) -> None:
        """Send what waits, in turn, as far as the link has room."""
        self._is_resuming = True
        try:
            for ladder in tuple(self._ladders.values()):
                ladder.outlet.resume()
        finally:
            self._is_resuming = False

    def may_begin(self) -> bool:
        """Whether a frame may begin: the link has room, and no other camera's frame has waited for that."""
        is_next = self._is_resuming or not any(ladder.outlet.waiting for ladder in self._ladders.values())
        return is_next and self._sink.may_begin()

    def begin(self, share: _Share, frame: Frame) -> None:
        """Send C{frame}; the next turn is that of another camera."""
        if share in self._ladders:  # it is not yet while its ladder is being made
            self._ladders[share] = self._ladders.pop(share)
        self._sink.begin(frame)


@implementer(ISink)
class _Share:
    """The sink of one camera."""

    def __init__(self, shared: SharedSink) -> None:
        self._shared = shared

    def may_begin(self) -> bool:
        """Whether a frame may begin."""
        return self._shared.may_begin()

    def begin(self, frame: Frame) -> None:
        """Send C{frame}."""
        self._shared.begin(self, frame)
