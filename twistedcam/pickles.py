"""A restricted unpickler, which reads arrays of uint8 and runs no code."""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twistedcam.wire.framing import MAX_BYTES_FROM_SERVER


class UnpicklingError(ValueError):
    """A pickle that is refused or damaged; the text says why."""


def load_array(payload: bytes) -> NDArray[np.uint8]:
    """
    The uint8 array in a pickle that numpy 1 or 2 has written with pickle protocols 2 to 5.

    Raises L{UnpicklingError} for every other pickle, before anything in it is run or memory is allocated for it.
    """
    if len(payload) > MAX_BYTES_FROM_SERVER:
        raise UnpicklingError(f"a pickle of {len(payload)} bytes is over the limit of {MAX_BYTES_FROM_SERVER}")
    try:
        _check_opcodes(payload)
        found = _ArrayUnpickler(io.BytesIO(payload)).load()
        if not isinstance(found, _Array):
            raise UnpicklingError("the pickle does not hold an array")
        return found.to_numpy()
    except UnpicklingError:
        raise
    except Exception as error:  # damage can raise nearly anything
        raise UnpicklingError(f"the pickle is damaged: {error!r:.100}") from None


# All that one pickled array needs. Left out are the opcodes that are dangerous in themselves: extension registries,
# persistent ids, huge memo indexes.
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
    # The C unpickler allocates what a pickle asks for before it checks that the bytes are there; genops does not.
    for count, (opcode, _, _) in enumerate(pickletools.genops(payload)):
        if opcode.name not in _OPCODES:
            raise UnpicklingError(f"the pickle is not of a single array: it uses {opcode.name}")
        if count > _MOST_OPCODES:
            raise UnpicklingError("the pickle is not of a single array: it is too long")


class _Dtype:
    """Stands for numpy's dtype while unpickling; it can only be uint8."""

    __slots__ = ()

    def __init__(self, code: str, align: object = False, copy: object = True) -> None:
        if code not in ("u1", "B", "uint8", "|u1"):
            raise UnpicklingError(f"the pickle's array is of {code!r:.20}, only uint8 is accepted")

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or state[1:5] != ("|", None, None, None):
            raise UnpicklingError("the pickle's array is not of plain uint8")


class _Array:
    """Stands for an array while unpickling, and checks its parts."""

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
            raise UnpicklingError("the pickle's array is not of uint8")
        if not isinstance(shape, tuple) or not 1 <= len(shape) <= 3 or not all(type(n) is int for n in shape):
            raise UnpicklingError("the shape of the pickle's array is not that of an image")
        size = 1
        for n in shape:
            size *= n
        if min(shape) < 1 or size != len(content):
            raise UnpicklingError(f"the pickle's array claims the shape {shape}, but brings {len(content)} bytes")
        self._content, self._shape, self._order = content, shape, order

    def to_numpy(self) -> NDArray[np.uint8]:
        return np.frombuffer(self._content, np.uint8).reshape(self._shape, order=self._order)


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


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise UnpicklingError(f"the pickle asks for {module}.{name}, only arrays of uint8 are accepted") from None
