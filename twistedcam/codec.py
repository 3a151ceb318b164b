"""Images to payloads and back: JPEG, and the one kind of pickle that cannot run code."""

from __future__ import annotations

import functools
import io
import pickle
import pickletools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twistedcam.frame import Frame, FrameError, segments
from twistedcam.wire.framing import JPEG, MAX_BYTES_FROM_SERVER, PICKLE

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
    if frame.payload[:1] == bytes((PICKLE,)):
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
    if frame.payload[:1] == bytes((JPEG,)):
        return frame.payload
    return encode_jpeg(decode(frame), _QUALITY_TO_KEEP)


def encode_pickle(image: Image) -> bytes:
    """An image as C{pickle.dumps} gives it: what the tutorial's client reads."""
    return pickle.dumps(image)


def decode_pickle(payload: bytes) -> Image:
    """
    The (H, W, 3) uint8 BGR image in a pickle of a numpy array, from numpy 1 or 2 and pickle protocols 2 to 5.

    Raises L{CodecError} for every other pickle, before anything in it is run or any memory taken for it.
    """
    if len(payload) > MAX_BYTES_FROM_SERVER:
        raise CodecError(f"a pickle of {len(payload)} bytes is more than we open")
    try:
        _check_opcodes(payload)
        found = _ArrayUnpickler(io.BytesIO(payload)).load()
        if not isinstance(found, _Array):
            raise CodecError("the pickle holds no array")
        return as_bgr(found.to_numpy())
    except CodecError:
        raise
    except Exception as error:  # a pickle can be wrong in any way at all
        raise CodecError(f"the pickle is damaged: {error!r:.100}") from None


# All that pickling one array needs. What is missing here is what makes pickles
# dangerous in itself: extension registries, persistent ids, huge memo indexes.
_OPCODES = frozenset(
    (
        *("PROTO", "FRAME", "STOP", "MARK", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "NONE", "NEWTRUE", "NEWFALSE"),
        *("BININT", "BININT1", "BININT2", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("BINPUT", "BINGET", "MEMOIZE"),
    )
)
_MOST_OPCODES = 200  # one array takes about 50


def _check_opcodes(payload: bytes) -> None:
    # The C unpickler takes the memory a pickle asks for before it looks whether
    # the bytes are there; genops does not.
    for count, (opcode, _, _) in enumerate(pickletools.genops(payload)):
        if opcode.name not in _OPCODES:
            raise CodecError(f"the pickle is not of an array alone: it uses {opcode.name}")
        if count > _MOST_OPCODES:
            raise CodecError("the pickle is not of an array alone: it is too long")


class _Dtype:
    """Stands for numpy's dtype while unpickling; only uint8 can be made."""

    __slots__ = ()

    def __init__(self, code: str, align: object = False, copy: object = True) -> None:
        if code not in ("u1", "B", "uint8", "|u1"):
            raise CodecError(f"the pickle's array is of {code!r:.20}, only uint8 is accepted")

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or state[1:5] != ("|", None, None, None):
            raise CodecError("the pickle's array is not of plain uint8")


class _Array:
    """Stands for an array while unpickling: holds its parts until they have been checked."""

    __slots__ = ("_content", "_order", "_shape")

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._content: bytes | bytearray = b""
        self._order: Any = "C"

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.fill(content, dtype, shape, "F" if fortran is True else "C")

    def fill(self, content: Any, dtype: object, shape: Any, order: object) -> None:
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray) or order not in ("C", "F"):
            raise CodecError("the pickle's array is not of uint8")
        if not isinstance(shape, tuple) or not 1 <= len(shape) <= 3 or not all(type(n) is int for n in shape):
            raise CodecError("the pickle's array has no image's shape")
        size = 1
        for n in shape:
            size *= n
        if min(shape) < 1 or size != len(content):
            raise CodecError(f"the pickle's array claims the shape {shape}, but brings {len(content)} bytes")
        self._content, self._shape, self._order = content, shape, order

    def to_numpy(self) -> Image:
        return np.frombuffer(self._content, np.uint8).reshape(self._shape, order=self._order)


class _Reconstruct:
    """C{numpy._core.multiarray._reconstruct}: an empty array, to be filled by its state."""

    __slots__ = ()

    def __call__(self, kind: object, shape: object, code: object) -> _Array:
        if not isinstance(kind, _NdarrayName):
            raise CodecError("the pickle's array is no plain ndarray")
        return _Array()


class _NdarrayName:
    """Stands for the class C{numpy.ndarray}, which is only ever named."""

    __slots__ = ()


class _FromBuffer:
    """C{numpy._core.numeric._frombuffer}: how protocol 5 makes an array."""

    __slots__ = ()

    def __call__(self, content: object, dtype: object, shape: object, order: object) -> _Array:
        array = _Array()
        array.fill(content, dtype, shape, order)
        return array


class _Encode:
    """C{_codecs.encode}: how protocol 2 writes bytes."""

    __slots__ = ()

    def __call__(self, text: object, encoding: object) -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise CodecError("the pickle encodes something other than bytes")
        return text.encode("latin1")


_STAND_INS = {
    ("numpy", "ndarray"): _NdarrayName(),
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer(),
    ("numpy._core.numeric", "_frombuffer"): _FromBuffer(),
    ("_codecs", "encode"): _Encode(),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise CodecError(f"the pickle asks for {module}.{name}, only arrays of uint8 are accepted") from None
