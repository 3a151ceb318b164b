"""The work in a camera's thread: grab pictures, and encode those that are due."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twistedcam.capture.adjust import overlay_lines
from twistedcam.capture.encoder import EncodedPicture, Settings, encode
from twistedcam.capture.reasons import reason, shown
from twistedcam.codec import CodecError
from twistedcam.errors import BrokenPictureError, CameraError
from twistedcam.frame import FrameError
from twistedcam.interfaces import ICamera
from twistedcam.rates import RateLimit

_MAX_SECONDS = 1e10  # 300 years: viewers refuse far larger times, and calendars end


@dataclass(frozen=True)
class Sample:
    """
    The outcome of one poll of a camera.

    C{grabbed} counts the pictures taken; C{picture} is the last of them, captured at C{captured} (seconds since the
    epoch), or None if it was skipped or not due, or nobody watches; C{problem} is what was wrong with it if it was
    broken, or if it could not be encoded for some of its viewers.
    """

    grabbed: int
    captured: float = 0.0
    picture: EncodedPicture | None = None
    problem: str | None = None


class Sampler:
    """
    Samples a camera during one attempt at it.

    Nothing that it changes is shared with other attempts: a read that hangs and returns after its attempt was given up
    has no effect. C{wanted} gives the encodings that are watched; C{name} is that of the camera, for an overlay.
    """

    def __init__(
        self,
        wanted: Callable[[], Sequence[str]],
        settings: Settings,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        name: str = "",
    ) -> None:
        self._wanted = wanted
        self._settings = settings
        self._monotonic = monotonic
        self._wall = wall
        self._name = name
        self._limit = RateLimit(settings.fps)
        self._to_skip = settings.skip
        self._was_broken = False

    def sample(self, camera: ICamera, count: int) -> Sample:
        """Grab C{count} pictures and encode the last one if it is due. Blocks. Raises L{CameraError}."""
        grabbed = 0
        try:
            for _ in range(count):
                taken = camera.grab()
                grabbed += 1
            return self._sample(camera, _check_time(taken), grabbed)
        except (BrokenPictureError, CodecError, FrameError) as error:
            return Sample(grabbed, problem=reason(error))

    def _sample(self, camera: ICamera, taken: float, grabbed: int) -> Sample:
        encodings = self._wanted()
        if self._is_skipped(grabbed) or not encodings or not self._is_due(taken):
            return Sample(grabbed)
        captured = self._wall() - (self._monotonic() - taken)
        # Until a picture is good, each one is due: a camera that gives only broken ones is lost, however seldom they
        # are due.
        self._was_broken = True
        picture = encode(camera.retrieve(), encodings, self._settings, self._lines(captured))
        self._was_broken = False
        return Sample(grabbed, captured, picture, picture.problem or None)

    def _is_skipped(self, grabbed: int) -> bool:
        is_skipped = grabbed <= self._to_skip
        self._to_skip = max(0, self._to_skip - grabbed)
        return is_skipped

    def _is_due(self, taken: float) -> bool:
        return self._limit.due(taken) or self._was_broken

    def _lines(self, captured: float) -> Sequence[str]:
        parts = self._settings.overlay
        return overlay_lines(parts, self._name, captured) if parts else ()


def seconds_or_nan(value: object) -> float:
    """C{value} from a camera as a number of seconds, or nan if it is none; text is none."""
    try:
        return math.nan if isinstance(value, str | bytes | bytearray) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _check_time(taken: object) -> float:
    seconds = seconds_or_nan(taken)
    if not abs(seconds) <= _MAX_SECONDS:
        raise CameraError(f"its time of capture, {shown(taken)}, is not a number of seconds")
    return seconds
