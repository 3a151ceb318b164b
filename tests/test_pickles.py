"""Pickles from others: arrays are read, and hostile ones run nothing."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
from twisted.trial.unittest import TestCase

from twistedcam.codec import encode_jpeg, encode_pickle
from twistedcam.pickles import UnpicklingError, load_picture

GOLDEN = Path(__file__).parent / "golden"
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


class Hostile:
    """Is pickled as a call of C{function}."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


class PickleTests(TestCase):
    """Pickles that may contain nothing but a picture."""

    def test_golden(self) -> None:
        """Arrays of numpy 1 and 2, in pickle protocols 2 to 5, are read."""
        paths = sorted(GOLDEN.glob("*.pickle"))
        self.assertEqual(len(paths), 8)
        for path in paths:
            np.testing.assert_array_equal(load_picture(path.read_bytes()), PICTURE, path.name)

    def test_round_trip(self) -> None:
        """Arrays of any layout in memory are read back, in every protocol."""
        large = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
        for image in (large, np.asfortranarray(large), large[::2, ::2], large[:, :, ::-1]):
            for protocol in range(2, 6):
                np.testing.assert_array_equal(load_picture(pickle.dumps(image, protocol)), image)
        np.testing.assert_array_equal(load_picture(encode_pickle(large)), large)

    def test_hostile_calls_run_nothing(self) -> None:
        """No call in a pickle is made, however it is wrapped."""
        marker = self.mktemp()
        calls = [
            Hostile(os.system, f"touch {marker}"),
            Hostile(exec, f"open({marker!r}, 'w')"),
            Hostile(open, marker, "w"),
            Hostile(np.zeros, (100000, 100000)),
            Hostile(bytearray, 10**10),
            Hostile(getattr, os, "system"),
            Hostile(np.load, marker),
            Hostile(pickle.loads, pickle.dumps(Hostile(os.system, f"touch {marker}"))),
        ]
        for call in calls:
            for wrapped in (call, [call], {"a": call}, (PICTURE, call)):
                for protocol in range(2, 6):
                    with self.assertRaises(UnpicklingError):
                        load_picture(pickle.dumps(wrapped, protocol))
        self.assertFalse(os.path.exists(marker))

    def test_files(self) -> None:
        """The JPEG that cv2.imencode made is found, in the shapes of all its versions, and as bytes."""
        file = np.frombuffer(encode_jpeg(PICTURE), np.uint8)
        for held in (file, file.reshape(-1, 1), file.reshape(1, -1), file.tobytes()):
            for value in (held, (True, held), [1, held], {"jpg": held}):
                for protocol in range(2, 6):
                    self.assertEqual(load_picture(pickle.dumps(value, protocol)), file.tobytes())

    def test_among_others(self) -> None:
        """A picture is found in lists, tuples and dicts, among numbers, text and other arrays."""
        boxes = np.zeros((5, 4), np.float32)
        endless: list[Any] = [PICTURE]
        endless.append(endless)
        for value in (
            [PICTURE],
            (True, PICTURE),
            {"frame": PICTURE, "time": 12.5, "id": "desk", "size": (6, 4), "boxes": boxes},
            {"meta": {"fps": 30, "big": 2**60, "none": None}, "data": [[boxes, PICTURE]]},
            ["desk", 3, False, [b"bytes", [PICTURE]]],
            endless,
        ):
            for protocol in range(2, 6):
                np.testing.assert_array_equal(load_picture(pickle.dumps(value, protocol)), PICTURE)

    def test_python_2(self) -> None:
        """The text in which Python 2 has written bytes is read."""
        content = bytes((0, 127, 128, 255))
        payload = (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x04"
            b"(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x05U\x02u1K\x00K\x01\x87Rq\x06(K\x03U\x01|NNNJ\xff\xff\xff\xff"
            b"J\xff\xff\xff\xffK\x00tb\x89U\x04" + content + b"tb."
        )
        np.testing.assert_array_equal(load_picture(payload), np.frombuffer(content, np.uint8).reshape(2, 2))

    def test_no_picture(self) -> None:
        """What a pickle holds instead of a picture is named."""
        for value, names in (
            ({"time": 1.5, "id": "desk"}, "float, str"),
            ([], "nothing"),
            (None, "NoneType"),
            (b"\x89PNG\r\n", "a PNG file"),
            (np.frombuffer(b"\x89PNG\r\n", np.uint8).reshape(-1, 1), "a PNG file"),
            (np.zeros((4, 6, 3)), r"an array of f8 with the shape (4, 6, 3)"),
            (np.zeros((7, 1), np.uint8), "an array of uint8 with the shape (7, 1)"),
            ([b"x", 1, True, "text", 2.5, None], "NoneType, bool, bytes, float, int"),
        ):
            for protocol in range(2, 6):
                with self.assertRaises(UnpicklingError) as caught:
                    load_picture(pickle.dumps(value, protocol))
                self.assertEqual(str(caught.exception), f"the pickle holds no picture, but {names}")

    def test_slow_to_hash(self) -> None:
        """A key whose hash takes years, made of pairs of the same pair, is refused before it is hashed."""
        pairs = b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(100))
        memoized = b"".join(b"h%ch%c\x86\x94" % (n, n) for n in range(100))
        for payload in (b"\x80\x02})q\x00" + pairs + b"Ns.", b"\x80\x04})\x94" + memoized + b"Ns."):
            self.assertRaisesRegex(UnpicklingError, "", load_picture, payload)
        payload = b"\x80\x02}K\x01\x85q\x00" + pairs + b"Ns."
        self.assertRaisesRegex(UnpicklingError, "refers to a tuple twice", load_picture, payload)

    def test_other_arrays(self) -> None:
        """Arrays of anything but uint8, and of impossible shapes, are refused."""
        wrong: list[Any] = [
            np.zeros((4, 6, 3)),
            np.zeros((4, 6, 3), np.int8),
            np.zeros((4, 6, 3), object),
            np.zeros((4, 6), [("a", np.uint8)]),
            np.zeros((4, 6, 3, 1), np.uint8),
            np.zeros((0, 6, 3), np.uint8),
            np.matrix(np.zeros((4, 6), np.uint8)),
            np.uint8(4),
            np.dtype(np.uint8),
            np.ndarray,
        ]
        for value in wrong:
            for protocol in range(2, 6):
                with self.assertRaises(UnpicklingError, msg=repr(value)):
                    load_picture(pickle.dumps(value, protocol))

    def test_sizes_are_checked_before_memory_is_taken(self) -> None:
        """A pickle that asks for gigabytes in a few bytes gets none of them."""
        golden = (GOLDEN / "array-numpy2-protocol3.pickle").read_bytes()
        huge_shape = golden.replace(b"K\x04K\x06K\x03\x87", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7fK\x03\x87")
        self.assertNotEqual(huge_shape, golden)
        bombs = [
            huge_shape,
            b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",  # BINBYTES8
            b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",  # BYTEARRAY8
            b"\x80\x04N" + b"r\xff\xff\xff\x7f.",  # LONG_BINPUT: the memo would grow to 2**32 places
            b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b".",  # FRAME
            b"\x80\x04\x8b\xff\xff\xff\x7f.",  # LONG4
            b"\x80\x04" + b"(" * 100000 + b".",
            b"\x80\x04" + b"N0" * 100000 + b"N.",
        ]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for bomb in bombs:
            with self.assertRaises(UnpicklingError):
                load_picture(bomb)
        self.assertLess(tracemalloc.get_traced_memory()[1], 5_000_000)

    def test_every_byte_changed(self) -> None:
        """A flipped byte gives a picture or an UnpicklingError, nothing else."""
        for path in GOLDEN.glob("*.pickle"):
            payload = path.read_bytes()
            for at in range(len(payload)):
                for flip in (0x01, 0x80, 0xFF):
                    damaged = bytearray(payload)
                    damaged[at] ^= flip
                    with contextlib.suppress(UnpicklingError):
                        load_picture(bytes(damaged))

    def test_truncated(self) -> None:
        """A pickle that is cut off anywhere is an UnpicklingError."""
        payload = (GOLDEN / "array-numpy2-protocol4.pickle").read_bytes()
        for length in range(len(payload)):
            self.assertRaises(UnpicklingError, load_picture, payload[:length])
