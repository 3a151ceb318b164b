"""The work in a camera's thread: grab pictures, and encode those that are due."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twistedcam.capture.encoder import EncodedPicture, Settings, encode
from twistedcam.capture.reasons import reason
from twistedcam.codec import CodecError
from twistedcam.errors import BrokenPictureError, CameraError
from twistedcam.frame import FrameError
from twistedcam.interfaces import ICamera
from twistedcam.rates import RateLimit


@dataclass(frozen=True)
class Sample:
    """
    The outcome of one poll of a camera.

    C{grabbed} counts the pictures taken; C{picture} is the last of them, captured at C{captured} (seconds since the
    epoch), or None if it was not due or nobody watches; C{problem} is what was wrong with it if it was broken.
    """

    grabbed: int
    captured: float = 0.0
    picture: EncodedPicture | None = None
    problem: str | None = None


class Sampler:
    """
    Samples a camera during one attempt at it.

    Nothing that it changes is shared with other attempts: a read that hangs and returns after its attempt was given up
    has no effect. C{wanted} gives the encodings that are watched.
    """

    def __init__(
        self,
        wanted: Callable[[], Sequence[str]],
        settings: Settings,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._wanted = wanted
        self._settings = settings
        self._monotonic = monotonic
        self._wall = wall
        self._limit = RateLimit(settings.fps)

    def sample(self, camera: ICamera, count: int) -> Sample:
        """Grab C{count} pictures and encode the last one if it is due. Blocks. Raises L{CameraError}."""
        grabbed = 0
        try:
            for _ in range(count):
                taken = camera.grab()
                grabbed += 1
            if not math.isfinite(taken):
                raise CameraError(f"its time of capture, {taken}, is not a number of seconds")
            encodings = self._wanted()
            if not encodings or not self._limit.due(taken):
                return Sample(grabbed)
            captured = self._wall() - (self._monotonic() - taken)
            return Sample(grabbed, captured, encode(camera.retrieve(), encodings, self._settings))
        except (BrokenPictureError, CodecError, FrameError) as error:
            return Sample(grabbed, problem=reason(error))
