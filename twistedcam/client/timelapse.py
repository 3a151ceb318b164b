"""A time-lapse: pictures at an interval, each in a file of its own."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from twistedcam.client import snapshot
from twistedcam.client.snapshot import SnapshotError
from twistedcam.filenames import FileNames
from twistedcam.frame import LIVE, Frame
from twistedcam.interfaces import IOutput
from twistedcam.rates import RateLimit

log = Logger()


@implementer(IOutput)
class TimeLapse:
    """Writes a live frame every C{seconds}; one that cannot be written is logged, and the next is tried."""

    def __init__(self, monotonic: Callable[[], float], seconds: float, names: FileNames) -> None:
        self._monotonic = monotonic
        self._limit = RateLimit(1 / seconds)
        self._names = names

    def frame(self, frame: Frame) -> None:
        """Write C{frame} if it is due."""
        if frame.state != LIVE or not self._limit.due(self._monotonic()):
            return
        try:
            snapshot.write(frame, self._names.new_path(frame, snapshot.SUFFIX))
        except SnapshotError as problem:
            log.error("no snapshot: {problem}", problem=problem)

    def stop(self) -> None:
        """Do nothing: nothing is held between frames."""
