"""From a picture to its frames: resized, and encoded once for each encoding that anybody watches."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import imutils

from twistedcam import codec
from twistedcam.codec import Image
from twistedcam.frame import LIVE, Frame, stamp

ENCODING_JPEG, ENCODING_PICKLE = "jpeg", "pickle"

# Smaller pictures for those who ask: shares of the full width, few enough that
# strangers who ask for ever other sizes do not make us encode ever more of them.
_DIVISORS = {ENCODING_JPEG: 1, "jpeg/2": 2, "jpeg/4": 4, "jpeg/8": 8}
ENCODINGS = (*_DIVISORS, ENCODING_PICKLE)
SMALLER = ("jpeg/2", "jpeg/4")  # what a link that cannot take the full pictures is sent


def encoding_for(width: int, full_width: int) -> str:
    """The JPEG encoding with the smallest pictures of at least C{width} pixels, where the full size is this wide."""
    large_enough = (name for name, divisor in reversed(_DIVISORS.items()) if full_width // divisor >= width)
    return next(large_enough, ENCODING_JPEG)


@dataclass(frozen=True)
class Settings:
    """How pictures become frames: C{width} in pixels (0: as captured), C{fps} at most (0: all), JPEG C{quality}."""

    width: int = 320
    fps: float = 0.0
    quality: int = 80


class Encoder:
    """Makes the frames of the camera called C{name}, numbered; used by the reactor's thread and the camera's."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name = name
        self._settings = settings
        self._sequence = itertools.count()  # which threads may share
        # The full picture's, of the last one: what a card takes on in its place.
        self.size = (settings.width or 640, (settings.width or 640) * 3 // 4)

    def encode(
        self,
        encodings: Sequence[str],
        picture: Image | bytes,
        captured: float,
        state: str = LIVE,
        reason: str = "",
        since: float | None = None,
    ) -> dict[str, Frame]:
        """
        The frame in each of C{encodings} of one picture: an (H, W, 3) uint8 BGR image, or a camera's own JPEG.

        A JPEG is sent as it is, whatever the settings say. Raises L{codec.CodecError} and L{frame.FrameError}.
        """
        known = PictureInfo(self._name, next(self._sequence), captured, state, reason, since)
        if isinstance(picture, bytes):
            own = known.stamp(picture)
            self.size = (own.width, own.height)
            frames = {ENCODING_JPEG: own} if ENCODING_JPEG in encodings else {}
            missing = [encoding for encoding in encodings if encoding != ENCODING_JPEG]
            return frames | (self._encode(missing, codec.decode(own), known) if missing else {})
        image = _shrink(picture, self._settings.width)
        self.size = (image.shape[1], image.shape[0])
        return self._encode(encodings, image, known)

    def _encode(self, encodings: Sequence[str], image: Image, known: PictureInfo) -> dict[str, Frame]:
        frames = {}
        height, width = image.shape[:2]
        for encoding in encodings:
            if encoding == ENCODING_PICKLE:
                payload = codec.encode_pickle(image)
                frames[encoding] = Frame(
                    payload, known.camera, known.sequence, known.captured, width=width, height=height
                )
            else:
                scale = _DIVISORS[encoding]
                jpeg = codec.encode_jpeg(_shrink(image, width // scale), self._settings.quality)
                frames[encoding] = known.stamp(jpeg, scale)
        return frames


@dataclass(frozen=True)
class PictureInfo:
    """What all frames of one picture have in common."""

    camera: str
    sequence: int
    captured: float
    state: str
    reason: str
    since: float | None

    def stamp(self, jpeg: bytes, scale: int = 1) -> Frame:
        return stamp(jpeg, self.camera, self.sequence, self.captured, self.state, self.reason, self.since, scale)


def _shrink(image: Image, width: int) -> Image:
    """C{image} at C{width} (0: its own) and its own proportions; it is never enlarged."""
    if not width or image.shape[1] <= width:
        return image
    return imutils.resize(image, width=width)  # type: ignore[no-any-return]
