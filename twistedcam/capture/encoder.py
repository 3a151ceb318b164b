"""Encode pictures: resized, and once in each encoding that is watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import imutils

from twistedcam import codec
from twistedcam.codec import Image
from twistedcam.encodings import DIVISORS, ENCODING_JPEG, ENCODING_PICKLE
from twistedcam.frame import LIVE, Frame, stamp


@dataclass(frozen=True)
class Settings:
    """
    How pictures become frames: C{width} in pixels (0: as captured), at most C{fps} (0: all), JPEG C{quality}.

    They are turned by C{rotate} degrees clockwise, then flipped (C{"h"}, C{"v"} or empty); C{overlay} names what is
    drawn into them (C{"time"}, C{"name"}). The first C{skip} pictures of a camera that was just opened are not used.
    A camera that gives no picture for C{stall_seconds} is lost (0: by its own interval).
    """

    width: int = 320
    fps: float = 0.0
    quality: int = 80
    rotate: int = 0
    flip: str = ""
    overlay: tuple[str, ...] = ()
    skip: int = 0
    stall_seconds: float = 0.0


@dataclass(frozen=True)
class EncodedPicture:
    """
    One picture in one or more encodings, not yet stamped with its metadata.

    C{width} and C{height} are those of the full picture, in pixels; C{payloads} maps each encoding to its bytes.
    """

    width: int
    height: int
    payloads: Mapping[str, bytes]

    def frames(
        self,
        camera: str,
        sequence: int,
        captured: float,
        state: str = LIVE,
        reason: str = "",
        since: float | None = None,
    ) -> dict[str, Frame]:
        """
        The frame in each encoding, stamped with this metadata.

        Nothing is decoded or encoded here: that costs tens of microseconds, and the reactor's thread may call it.
        """
        about = (camera, sequence, captured, state, reason, since)
        return {encoding: self._frame(encoding, payload, about) for encoding, payload in self.payloads.items()}

    def _frame(self, encoding: str, payload: bytes, about: tuple[str, int, float, str, str, float | None]) -> Frame:
        if encoding == ENCODING_PICKLE:
            return Frame(payload, *about, width=self.width, height=self.height)
        return stamp(payload, *about, scale=DIVISORS[encoding])


def encode(picture: Image | bytes, encodings: Sequence[str], settings: Settings) -> EncodedPicture:
    """
    Encode what a camera gave, an (H, W, 3) uint8 BGR image or its own JPEG, in each of C{encodings}.

    A JPEG is kept as it is, whatever the settings say. Raises L{codec.CodecError} and L{twistedcam.frame.FrameError}.
    """
    if isinstance(picture, bytes):
        return _keep_jpeg(codec.complete(picture), encodings, settings)
    image = _shrink(codec.as_bgr(picture), settings.width)
    payloads = {encoding: _encode_as(encoding, image, settings) for encoding in encodings}
    return EncodedPicture(image.shape[1], image.shape[0], payloads)


def _keep_jpeg(jpeg: bytes, encodings: Sequence[str], settings: Settings) -> EncodedPicture:
    own = Frame.from_jpeg(jpeg)
    payloads = {ENCODING_JPEG: jpeg} if ENCODING_JPEG in encodings else {}
    missing = [encoding for encoding in encodings if encoding != ENCODING_JPEG]
    if missing:
        image = codec.decode(own)
        payloads |= {encoding: _encode_as(encoding, image, settings) for encoding in missing}
    return EncodedPicture(own.width, own.height, payloads)


def _encode_as(encoding: str, image: Image, settings: Settings) -> bytes:
    if encoding == ENCODING_PICKLE:
        return codec.encode_pickle(image)
    return codec.encode_jpeg(_shrink(image, image.shape[1] // DIVISORS[encoding]), settings.quality)


def _shrink(image: Image, width: int) -> Image:
    """C{image} resized to C{width} (0: unchanged), with its proportions kept; it is never enlarged."""
    if not width or image.shape[1] <= width:
        return image
    return imutils.resize(image, width=width)  # type: ignore[no-any-return]
