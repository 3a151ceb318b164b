"""Images to payloads and back: JPEG, and pickles of plain arrays."""

from __future__ import annotations

import functools
import pickle

import cv2
import numpy as np
from numpy.typing import NDArray

from twistedcam import pickles
from twistedcam.errors import TwistedcamError
from twistedcam.frame import Frame, FrameError, segments
from twistedcam.wire.framing import JPEG_FIRST_BYTE, PICKLE_FIRST_BYTE

Image = NDArray[np.uint8]

# An image of this size takes 192 MiB; the header of a JPEG of 100 bytes can claim twenty times as much.
MAX_PIXELS = 64 * 1024 * 1024
# Decoding a progressive JPEG takes one pass over all pixels for each scan, and a scan may be only ten bytes long.
# Encoders write 10 to 18 scans.
MAX_SCANS = 100
MAX_SCANNED_PIXELS = 20 * MAX_PIXELS
_MAX_SIDE = 65500  # libjpeg's limit
_QUALITY_TO_KEEP = 95
_DHT = 0xC4
_OTHER_PROCESSES = frozenset(range(0xC3, 0xD0)) - {_DHT, 0xC8, 0xCC}  # arithmetic, lossless and hierarchical JPEG
_SCAN = b"\xff\xda"


class CodecError(TwistedcamError, ValueError):
    """An image cannot be encoded, or a payload cannot be decoded; the text says why."""


def as_bgr(image: object) -> Image:
    """C{image} as an (H, W, 3) uint8 BGR array; gray (H, W) and BGRA (H, W, 4) are converted. Raises L{CodecError}."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise CodecError("the picture is not a numpy array of uint8")
    image = np.asarray(image)  # of a subclass, such as a matrix, too
    if image.size == 0 or image.ndim not in (2, 3):
        raise CodecError(f"the picture has the shape {image.shape}, which is not that of an image")
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
    height, width = image.shape[:2]
    if max(height, width) > _MAX_SIDE:
        raise CodecError(f"the picture has {width} x {height} pixels, and a JPEG at most {_MAX_SIDE} in each direction")
    try:
        done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise CodecError(f"the picture cannot be encoded: {error.err}") from None
    if not done:
        raise CodecError("the picture cannot be encoded as JPEG")
    return encoded.tobytes()


@functools.cache
def _standard_tables() -> bytes:
    """The Huffman tables of the JPEG standard, as segments; OpenCV writes the same."""
    jpeg = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    return b"".join(jpeg[start - 4 : end] for marker, start, end in segments(jpeg) if marker == _DHT)


def complete(jpeg: bytes) -> bytes:
    """
    A camera's own JPEG as a valid file: with Huffman tables, which many cameras leave out, and without padding.

    Raises L{CodecError} if it is truncated.
    """
    end = jpeg.rfind(b"\xff\xd9")
    try:
        found = list(segments(jpeg))
    except FrameError as error:
        raise CodecError(str(error)) from None
    if end < 0 or not found:
        raise CodecError("the camera's JPEG is truncated")
    jpeg = jpeg[: end + 2]
    if any(marker == _DHT for marker, _, _ in found):
        return jpeg
    at = found[-1][2]
    return b"".join((jpeg[:at], _standard_tables(), jpeg[at:]))


def decode(frame: Frame) -> Image:
    """The (H, W, 3) uint8 BGR image of a JPEG or pickle frame. Raises L{CodecError}."""
    if frame.payload[:1] == bytes((PICKLE_FIRST_BYTE,)):
        return decode_pickle(frame.payload)
    _check_cost(frame)
    try:
        image = cv2.imdecode(np.frombuffer(frame.payload, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise CodecError(f"the JPEG cannot be decoded: {error.err}") from None
    if image is None:
        raise CodecError("the JPEG cannot be decoded")
    return image  # type: ignore[return-value]


def _check_cost(frame: Frame) -> None:
    """Raise L{CodecError} if decoding the JPEG of C{frame} would take too much memory or time."""
    pixels = frame.width * frame.height
    if pixels > MAX_PIXELS:
        raise CodecError(
            f"the picture claims {frame.width} x {frame.height} pixels, more than the limit of {MAX_PIXELS}"
        )
    try:
        found = list(segments(frame.payload))
    except FrameError as error:
        raise CodecError(str(error)) from None
    if any(marker in _OTHER_PROCESSES for marker, _, _ in found):
        raise CodecError("the JPEG is neither baseline nor progressive with Huffman coding")
    # In the data of a scan FF is followed by 00 or RST, so that no scan is missed.
    scans = frame.payload.count(_SCAN, found[-1][2] if found else 0)
    if scans > MAX_SCANS or scans * pixels > MAX_SCANNED_PIXELS:
        raise CodecError(f"the JPEG has {scans} scans of {frame.width} x {frame.height} pixels, which is too many")


def as_jpeg(frame: Frame) -> bytes:
    """The bytes of a JPEG file: the frame's own, or the encoded image of a pickle. Raises L{CodecError}."""
    if frame.payload[:1] == bytes((JPEG_FIRST_BYTE,)):
        return frame.payload
    return encode_jpeg(decode(frame), _QUALITY_TO_KEEP)


def encode_pickle(image: Image) -> bytes:
    """The pickle of an image, which the tutorial's client reads."""
    return pickle.dumps(image)


def decode_pickle(payload: bytes) -> Image:
    """The (H, W, 3) uint8 BGR image in a pickle that L{pickles.load_picture} accepts. Raises L{CodecError}."""
    found = load_pickle(payload)
    if not isinstance(found, bytes):
        return found
    try:
        return decode(Frame.from_jpeg(found))
    except FrameError as error:
        raise CodecError(f"the pickle's JPEG is damaged: {error}") from None


def load_pickle(payload: bytes) -> Image | bytes:
    """The picture in a pickle: an (H, W, 3) uint8 BGR image, or the bytes of a JPEG. Raises L{CodecError}."""
    try:
        found = pickles.load_picture(payload)
    except pickles.UnpicklingError as error:
        raise CodecError(str(error)) from None
    return found if isinstance(found, bytes) else as_bgr(found)
