"""A restricted unpickler, which finds a picture among plain values and runs no code."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twistedcam.wire.framing import MAX_BYTES_FROM_SERVER


class UnpicklingError(ValueError):
    """A pickle that is refused or damaged, or holds no picture; the text says why."""


def load_picture(payload: bytes) -> NDArray[np.uint8] | bytes:
    """
    The first picture in a pickle: an array of uint8, or the bytes of a JPEG.

    It may be in lists, tuples and dicts, among numbers and text. numpy 1 or 2 has written its arrays, with pickle
    protocols 2 to 5. An array of one column or row is the bytes of a file, as cv2.imencode returns it.

    Raises L{UnpicklingError} for every other pickle, before anything in it is run or memory is allocated for it.
    """
    if len(payload) > MAX_BYTES_FROM_SERVER:
        raise UnpicklingError(f"a pickle of {len(payload)} bytes is over the limit of {MAX_BYTES_FROM_SERVER}")
    try:
        _check_opcodes(payload)
        # Python 2 has written the bytes of arrays as text.
        values = list(_values(_PictureUnpickler(io.BytesIO(payload), encoding="latin1").load()))
    except UnpicklingError:
        raise
    except Exception as error:  # damage can raise nearly anything
        raise UnpicklingError(f"the pickle is damaged: {error!r:.100}") from None
    for value in values:
        picture = _as_picture(value)
        if picture is not None:
            return picture
    names = sorted({_describe(value) for value in values})
    raise UnpicklingError(f"the pickle holds no picture, but {', '.join(names[:_MOST_NAMES]) or 'nothing'}")


_MOST_NAMES = 5
_MOST_AXES = 32
_JPEG = b"\xff\xd8\xff"
_FILES = {b"\x89PNG": "a PNG file", b"RIFF": "a WebP file", b"BM": "a BMP file", b"GIF8": "a GIF file"}


def _values(root: Any) -> Iterator[Any]:
    """C{root}, or the plain values in it: those of the outer lists, tuples and dicts first."""
    waiting, seen = deque([root]), set()
    while waiting:
        value = waiting.popleft()
        if not isinstance(value, list | tuple | dict):
            yield value
        elif id(value) not in seen:  # it may contain itself, or others many times
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)


def _as_picture(value: Any) -> NDArray[np.uint8] | bytes | None:
    if isinstance(value, _Array):
        return value.content if value.is_file and value.content[:3] == _JPEG else value.to_numpy()
    return bytes(value) if isinstance(value, bytes | bytearray) and value[:3] == _JPEG else None


def _describe(value: Any) -> str:
    if isinstance(value, _Array):
        kind = _name_file(value.content) if value.is_file and value.is_uint8 else ""
        return kind or f"an array of {value.dtype} with the shape {value.shape}"
    if isinstance(value, bytes | bytearray):
        return _name_file(value) or "bytes"
    return type(value).__name__


def _name_file(content: bytes | bytearray) -> str:
    return next((name for start, name in _FILES.items() if content.startswith(start)), "")


# All that arrays and plain values need. Left out are the opcodes that are dangerous in themselves: extension
# registries, persistent ids, huge memo indexes, and the making of instances.
_OPCODES = frozenset(
    (
        *("PROTO", "FRAME", "STOP", "MARK", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "NONE", "NEWTRUE", "NEWFALSE"),
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("BINSTRING", "SHORT_BINSTRING", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
        *("BINPUT", "BINGET", "MEMOIZE"),
    )
)
_TUPLES = frozenset(("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"))


_MOST_OPCODES = 2000  # one array takes about 50


def _check_opcodes(payload: bytes) -> None:
    # The C unpickler allocates what a pickle asks for before it checks that the bytes are there; genops does not.
    before, memoized, tuples = "", 0, set()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(payload)):
        if opcode.name not in _OPCODES:
            raise UnpicklingError(f"the pickle holds more than plain values and arrays: it uses {opcode.name}")
        if count > _MOST_OPCODES:
            raise UnpicklingError("the pickle is not of a picture: it holds too many values")
        if opcode.name in ("BINPUT", "MEMOIZE"):
            if before in _TUPLES:
                tuples.add(argument if opcode.name == "BINPUT" else memoized)
            memoized += 1
        if opcode.name == "BINGET" and argument in tuples:
            # The hash of a tuple takes twice as long for each pair of the same tuple in another one.
            raise UnpicklingError("the pickle is not of a picture: it refers to a tuple twice")
        before = opcode.name


class _Dtype:
    """Stands for numpy's dtype while unpickling."""

    __slots__ = ("name",)

    def __init__(self, code: str, align: object = False, copy: object = True) -> None:
        if not isinstance(code, str):
            raise UnpicklingError("the type of the pickle's array is damaged")
        self.name = "uint8" if code in ("u1", "B", "uint8", "|u1") else code[:20]

    def __setstate__(self, state: object) -> None:
        if self.name == "uint8" and (not isinstance(state, tuple) or state[1:5] != ("|", None, None, None)):
            raise UnpicklingError("the pickle's array is not of plain uint8")


class _Array:
    """Stands for an array while unpickling, and checks its parts."""

    __slots__ = ("_order", "content", "dtype", "shape")

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.content = b""
        self.dtype = ""
        self._order: Any = "C"

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.fill(content, dtype, shape, "F" if fortran is True else "C")

    def fill(self, content: Any, dtype: object, shape: Any, order: object) -> None:
        if isinstance(content, str):
            content = content.encode("latin1")
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray) or order not in ("C", "F"):
            raise UnpicklingError("the pickle's array is damaged, or one of objects")
        if not isinstance(shape, tuple) or len(shape) > _MOST_AXES or not all(type(n) is int for n in shape):
            raise UnpicklingError("the shape of the pickle's array is damaged")
        if dtype.name == "uint8" and (min(shape, default=1) < 1 or math.prod(shape) != len(content)):
            raise UnpicklingError(f"the pickle's array claims the shape {shape}, but brings {len(content)} bytes")
        self.content, self.shape, self.dtype, self._order = bytes(content), shape, dtype.name, order

    @property
    def is_uint8(self) -> bool:
        return self.dtype == "uint8"

    @property
    def is_file(self) -> bool:
        """Whether it can only be the bytes of a file: it has a single column or row."""
        return self.is_uint8 and len(self.shape) in (1, 2) and (len(self.shape) == 1 or 1 in self.shape)

    def to_numpy(self) -> NDArray[np.uint8] | None:
        """The array, or None if it cannot be a picture."""
        if not self.is_uint8 or self.is_file or len(self.shape) not in (2, 3):
            return None
        return np.frombuffer(self.content, np.uint8).reshape(self.shape, order=self._order)


class _Reconstruct:
    """C{numpy._core.multiarray._reconstruct}: an empty array, to be filled by its state."""

    __slots__ = ()

    def __call__(self, kind: object, shape: object, code: object) -> _Array:
        if not isinstance(kind, _NdarrayName):
            raise UnpicklingError("the pickle's array is not a plain ndarray")
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
            raise UnpicklingError("the pickle encodes something other than bytes")
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


class _PictureUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise UnpicklingError(
                f"the pickle asks for {module}.{name}, only plain values and arrays are accepted"
            ) from None
