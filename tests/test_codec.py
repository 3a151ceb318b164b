"""Images to payloads and back; hostile payloads do no harm."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import cv2
import numpy as np
from twisted.trial.unittest import TestCase

from twistedcam.codec import CodecError, as_bgr, complete, decode, decode_pickle, encode_jpeg, encode_pickle
from twistedcam.frame import Frame, segments

GOLDEN = Path(__file__).parent / "golden"
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


class ImageTests(TestCase):
    """What is accepted as an image."""

    def test_converted(self) -> None:
        """Gray and BGRA pictures become BGR."""
        self.assertEqual(as_bgr(np.zeros((4, 6), np.uint8)).shape, (4, 6, 3))
        self.assertEqual(as_bgr(np.zeros((4, 6, 1), np.uint8)).shape, (4, 6, 3))
        self.assertEqual(as_bgr(np.zeros((4, 6, 4), np.uint8)).shape, (4, 6, 3))

    def test_no_images(self) -> None:
        """What is not an image is refused, and the error says what it is."""
        for wrong in (None, b"", np.zeros((4, 6, 3)), np.zeros((0, 6, 3), np.uint8), np.zeros((4, 6, 2), np.uint8)):
            self.assertRaises(CodecError, as_bgr, wrong)
        self.assertRaises(CodecError, as_bgr, np.zeros(5, np.uint8))


class JPEGTests(TestCase):
    """JPEG both ways."""

    def test_round_trip(self) -> None:
        """A picture looks as it did."""
        image = np.full((48, 64, 3), (200, 100, 50), np.uint8)
        back = decode(Frame.from_jpeg(encode_jpeg(image, 90)))
        self.assertEqual(back.shape, image.shape)
        self.assertLess(np.abs(back.astype(int) - image).max(), 5)

    def test_quality(self) -> None:
        """A lower quality is a smaller payload."""
        noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        self.assertLess(len(encode_jpeg(noise, 20)), len(encode_jpeg(noise, 90)))

    def test_bomb(self) -> None:
        """A header that claims 65535 x 65535 pixels is refused before a pixel is allocated."""
        jpeg = bytearray((GOLDEN / "plain.jpg").read_bytes())
        at = jpeg.index(b"\xff\xc0") + 5
        jpeg[at : at + 4] = b"\xff\xff\xff\xff"
        with self.assertRaisesRegex(CodecError, "65535 x 65535"):
            decode(Frame.from_jpeg(bytes(jpeg)))

    def test_many_scans(self) -> None:
        """A progressive JPEG with more or larger scans than encoders write is refused before it is decoded."""
        scan = b"\xff\xda\0\x08\x01\x01\0\x01\x3f\0"
        size = b"\xff\xc2\0\x0b\x08%b%b\x01\x01\x11\0"
        for side, scans in ((16, 101), (8192, 21)):
            sides = side.to_bytes(2, "big")
            jpeg = b"\xff\xd8" + size % (sides, sides) + scan * scans + b"\xff\xd9"
            with self.assertRaisesRegex(CodecError, f"{scans} scans of {side} x {side} pixels"):
                decode(Frame.from_jpeg(jpeg))

    def test_progressive(self) -> None:
        """An ordinary progressive JPEG is decoded."""
        jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
        self.assertEqual(decode(Frame.from_jpeg(jpeg)).shape, (48, 64, 3))

    def test_other_processes(self) -> None:
        """Arithmetic and lossless JPEG are refused: they cost more, and cameras do not send them."""
        for process in (0xC3, 0xC9, 0xCA):
            jpeg = encode_jpeg(PICTURE).replace(b"\xff\xc0", bytes((0xFF, process)))
            with self.assertRaisesRegex(CodecError, "neither baseline nor progressive"):
                decode(Frame.from_jpeg(jpeg))

    def test_not_decodable(self) -> None:
        """A payload that has only a JPEG's header is an error of ours, not one of OpenCV's."""
        payload = (GOLDEN / "plain.jpg").read_bytes()
        with self.assertRaises(CodecError):
            decode(Frame(payload[:40], width=1, height=1))
        with self.assertRaises(CodecError):
            decode(Frame(b"\xff", width=1, height=1))


class PickleTests(TestCase):
    """Pickles as payloads; what they may contain is tested in tests.test_pickles."""

    def test_gray(self) -> None:
        """A gray picture is made a BGR one."""
        self.assertEqual(decode_pickle(pickle.dumps(PICTURE[:, :, 0])).shape, (4, 6, 3))

    def test_a_frame(self) -> None:
        """A pickle frame is decoded like any other."""
        np.testing.assert_array_equal(decode(Frame(encode_pickle(PICTURE))), PICTURE)

    def test_a_file(self) -> None:
        """A pickle of a JPEG is decoded as the JPEG is; one of a damaged JPEG is a CodecError."""
        jpeg = encode_jpeg(PICTURE)
        payload = pickle.dumps(np.frombuffer(jpeg, np.uint8).reshape(-1, 1))
        np.testing.assert_array_equal(decode_pickle(payload), decode(Frame.from_jpeg(jpeg)))
        self.assertRaises(CodecError, decode_pickle, pickle.dumps(jpeg[:20]))

    def test_hostile(self) -> None:
        """A pickle that is refused is a CodecError, as a damaged JPEG is."""
        for payload in (pickle.dumps(os.system), pickle.dumps([1.5]), b"\x80"):
            self.assertRaises(CodecError, decode_pickle, payload)


class CompleteTests(TestCase):
    """A camera's own JPEGs."""

    def without_tables(self, jpeg: bytes) -> bytes:
        """C{jpeg} without Huffman tables, as many webcams deliver it."""
        rest = jpeg
        for marker, start, end in reversed(list(segments(jpeg))):
            if marker == 0xC4:
                rest = rest[: start - 4] + rest[end:]
        return rest

    def test_tables(self) -> None:
        """Missing Huffman tables are added, and the picture is the same."""
        image = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
        jpeg = encode_jpeg(image)
        bare = self.without_tables(jpeg)
        self.assertNotIn(b"\xff\xc4", bare[:400])
        made = complete(bare)
        self.assertTrue((decode(Frame.from_jpeg(made)) == decode(Frame.from_jpeg(jpeg))).all())
        self.assertEqual(complete(jpeg), jpeg)

    def test_padding(self) -> None:
        """What a driver leaves after the end of the picture is cut off."""
        jpeg = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
        self.assertEqual(complete(jpeg + bytes(1000)), jpeg)

    def test_broken(self) -> None:
        """Half a JPEG, or none, is an error."""
        jpeg = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
        for broken in (jpeg[:-2], jpeg[:100], b"", b"\xff\xd8\xff\xd9", b"nothing\xff\xd9"):
            self.assertRaises(CodecError, complete, broken)
