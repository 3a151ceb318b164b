"""Encode pictures: resized, and once in each encoding that is watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import imutils

from twistedcam import codec
from twistedcam.capture.adjust import turn, write_lines
from twistedcam.capture.reasons import reason
from twistedcam.codec import CodecError, Image
from twistedcam.encodings import DIVISORS, ENCODING_JPEG, ENCODING_PICKLE
from twistedcam.frame import LIVE, Frame, stamp


@dataclass(frozen=True)
class Settings:
    """
    How pictures become frames: C{width} in pixels (0: as captured), at most C{fps} (0: all), JPEG C{quality}.

    They are turned by C{rotate} degrees clockwise, then flipped (C{"h"}, C{"v"} or empty), and then made smaller;
    C{overlay} names what is written into them (C{"time"}, C{"name"}). The first C{skip} pictures of a camera that was
    just opened are not used. A camera that gives no picture for C{stall_seconds} is lost (0: by its own interval).
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
    C{problem} says why it could not be encoded in others, or is empty.
    """

    width: int
    height: int
    payloads: Mapping[str, bytes]
    problem: str = ""

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


def encode(
    picture: Image | bytes, encodings: Sequence[str], settings: Settings, lines: Sequence[str] = ()
) -> EncodedPicture:
    """
    Encode what a camera gave, an (H, W, 3) uint8 BGR image or its own JPEG, in each of C{encodings}.

    C{lines} are written into it. A JPEG that is neither turned nor written into is kept as it is, whatever the settings
    say. An encoding that the picture cannot be had in is left out; if that is so for all of them, L{codec.CodecError}
    is raised. Raises L{twistedcam.frame.FrameError} for a JPEG without a size.
    """
    if isinstance(picture, bytes):
        jpeg = codec.complete(picture)
        if not (settings.rotate or settings.flip or lines):
            return _keep_jpeg(jpeg, encodings, settings)
        # Not turned without loss: no maintained package with wheels has libjpeg's transform. Not by EXIF: some viewers
        # ignore it.
        picture = codec.decode(Frame.from_jpeg(jpeg))
    image = _shrink(turn(codec.as_bgr(picture), settings.rotate, settings.flip), settings.width)
    if lines:  # after it was made smaller, so that they are readable
        image = write_lines(image, lines)
    payloads, problem = _encode_each(encodings, image, settings)
    if not payloads:
        raise CodecError(problem)
    return EncodedPicture(image.shape[1], image.shape[0], payloads, problem)


def _keep_jpeg(jpeg: bytes, encodings: Sequence[str], settings: Settings) -> EncodedPicture:
    own = Frame.from_jpeg(jpeg)
    payloads = {ENCODING_JPEG: jpeg} if ENCODING_JPEG in encodings else {}
    missing = [encoding for encoding in encodings if encoding != ENCODING_JPEG]
    problem = ""
    if missing:
        try:
            made, problem = _encode_each(missing, codec.decode(own), settings)
        except CodecError as error:
            made, problem = {}, str(error)
        payloads |= made
        if not payloads:
            raise CodecError(problem)
    return EncodedPicture(own.width, own.height, payloads, problem)


def _encode_each(encodings: Sequence[str], image: Image, settings: Settings) -> tuple[dict[str, bytes], str]:
    """The payload in each encoding that succeeds, and why another one did not, or an empty string."""
    payloads, problem = {}, ""
    for encoding in encodings:
        try:
            payloads[encoding] = _encode_as(encoding, image, settings)
        except Exception as error:  # OpenCV raises errors of its own, and the other encodings can still be had
            problem = reason(error)
    return payloads, problem


def _encode_as(encoding: str, image: Image, settings: Settings) -> bytes:
    if encoding == ENCODING_PICKLE:
        return codec.encode_pickle(image)
    return codec.encode_jpeg(_shrink(image, max(1, image.shape[1] // DIVISORS[encoding])), settings.quality)


def _shrink(image: Image, width: int) -> Image:
    """
    C{image} resized to C{width} (0: unchanged), with its proportions kept; it is never enlarged.

    One that would be less than a pixel high is made only as narrow as leaves it one.
    """
    if not width or image.shape[1] <= width:
        return image
    width = max(width, image.shape[1] // image.shape[0] + 1)
    return imutils.resize(image, width=width) if width < image.shape[1] else image
