"""Images to payloads and back: JPEG, and the one kind of pickle that cannot run code."""

from __future__ import annotations

import functools
import pickle

import cv2
import numpy as np
from numpy.typing import NDArray

from twistedcam import pickles
from twistedcam.frame import Frame, FrameError, segments
from twistedcam.wire.framing import JPEG_FIRST_BYTE, PICKLE_FIRST_BYTE

Image = NDArray[np.uint8]

# An image this large decodes to 192 MiB; a JPEG's header can claim twenty times as much in 100 bytes.
MAX_PIXELS = 64 * 1024 * 1024
_QUALITY_TO_KEEP = 95
_DHT = 0xC4


class CodecError(ValueError):
    """An image or a payload that cannot be used; the text says why."""


def as_bgr(image: object) -> Image:
    """C{image} as an (H, W, 3) uint8 BGR array; gray (H, W) and BGRA (H, W, 4) are converted. Raises L{CodecError}."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise CodecError("the picture is no array of uint8")
    if image.size == 0 or image.ndim not in (2, 3):
        raise CodecError(f"the picture has the shape {image.shape}, which is no image")
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 3:
        return image
    if channels == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    if channels == 4:
        return cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)  # type: ignore[return-value]
    raise CodecError(f"the picture has {channels} channels; 1, 3 or 4 were expected")


def encode_jpeg(image: Image, quality: int = 80) -> bytes:
    """An (H, W, 3) uint8 BGR image as a JPEG of quality 1 to 100. Raises L{CodecError}."""
    try:
        done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise CodecError(f"the picture cannot be encoded: {error.err}") from None
    if not done:
        raise CodecError("the picture cannot be encoded as JPEG")
    return encoded.tobytes()


@functools.cache
def _standard_tables() -> bytes:
    """The Huffman tables of the JPEG standard, as segments: what OpenCV writes, too."""
    jpeg = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    return b"".join(jpeg[start - 4 : end] for marker, start, end in segments(jpeg) if marker == _DHT)


def complete(jpeg: bytes) -> bytes:
    """
    A camera's own JPEG as a file is to be: with Huffman tables, which many leave out, and nothing after its end.

    Raises L{CodecError} where it is broken off.
    """
    end = jpeg.rfind(b"\xff\xd9")
    try:
        found = list(segments(jpeg))
    except FrameError as error:
        raise CodecError(str(error)) from None
    if end < 0 or not found:
        raise CodecError("the camera's JPEG is broken off")
    jpeg = jpeg[: end + 2]
    if any(marker == _DHT for marker, _, _ in found):
        return jpeg
    at = found[-1][2]
    return b"".join((jpeg[:at], _standard_tables(), jpeg[at:]))


def decode(frame: Frame) -> Image:
    """The (H, W, 3) uint8 BGR image of a JPEG or pickle frame. Raises L{CodecError}."""
    if frame.payload[:1] == bytes((PICKLE_FIRST_BYTE,)):
        return decode_pickle(frame.payload)
    if frame.width * frame.height > MAX_PIXELS:
        raise CodecError(f"the picture claims {frame.width} x {frame.height} pixels, more than we open")
    try:
        image = cv2.imdecode(np.frombuffer(frame.payload, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise CodecError(f"the JPEG cannot be decoded: {error.err}") from None
    if image is None:
        raise CodecError("the JPEG cannot be decoded")
    return image  # type: ignore[return-value]


def as_jpeg(frame: Frame) -> bytes:
    """C{frame} as a JPEG file: the frame itself, or what a pickle's image becomes. Raises L{CodecError}."""
    if frame.payload[:1] == bytes((JPEG_FIRST_BYTE,)):
        return frame.payload
    return encode_jpeg(decode(frame), _QUALITY_TO_KEEP)


def encode_pickle(image: Image) -> bytes:
    """An image as C{pickle.dumps} gives it: what the tutorial's client reads."""
    return pickle.dumps(image)


def decode_pickle(payload: bytes) -> Image:
    """The (H, W, 3) uint8 BGR image in a pickle that L{pickles.load_array} accepts. Raises L{CodecError}."""
    try:
        return as_bgr(pickles.load_array(payload))
    except pickles.UnpicklingError as error:
        raise CodecError(str(error)) from None
