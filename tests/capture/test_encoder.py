"""Encoding pictures: sizes, encodings, and the metadata of the frames."""

from __future__ import annotations

import cv2
import imutils
import numpy as np
from twisted.trial.unittest import TestCase

from twistedcam import codec
from twistedcam.capture.encoder import Settings, encode
from twistedcam.codec import CodecError
from twistedcam.encodings import ENCODING_JPEG, ENCODING_PICKLE, ENCODINGS
from twistedcam.frame import NO_SIGNAL, FrameError

IMAGE = np.zeros((48, 64, 3), np.uint8)


class EncodeTests(TestCase):
    """What one picture becomes."""

    def test_sizes(self) -> None:
        """Pictures are made narrower, never wider, and 0 leaves them as they are."""
        for width, expected in ((32, 32), (64, 64), (320, 64), (0, 64)):
            picture = encode(IMAGE, [ENCODING_JPEG], Settings(width=width))
            frame = picture.frames("desk", 0, 1.0)[ENCODING_JPEG]
            self.assertEqual((frame.width, frame.height), (expected, expected * 3 // 4))
            self.assertEqual((picture.width, picture.height), (expected, expected * 3 // 4))

    def test_all_encodings(self) -> None:
        """All frames of one picture have its number, its time and their own size."""
        frames = encode(IMAGE, ENCODINGS, Settings(width=64)).frames("desk", 7, 1.5)
        self.assertEqual([frames[encoding].width for encoding in ENCODINGS], [64, 32, 16, 8, 64])
        self.assertEqual(
            {(frame.camera, frame.sequence, frame.captured) for frame in frames.values()}, {("desk", 7, 1.5)}
        )
        for frame in frames.values():
            self.assertEqual(codec.decode(frame).shape, (frame.height, frame.width, 3))

    def test_stamped_anew(self) -> None:
        """An encoded picture can be published again, under another number; its JPEG is the same."""
        picture = encode(IMAGE, [ENCODING_JPEG], Settings())
        first, second = (picture.frames("desk", number, float(number))[ENCODING_JPEG] for number in (1, 2))
        self.assertEqual((first.sequence, second.sequence, second.captured), (1, 2, 2.0))
        self.assertEqual(first.payload[-400:], second.payload[-400:])

    def test_state(self) -> None:
        """The state is in the metadata of the frame."""
        frames = encode(IMAGE, [ENCODING_JPEG], Settings()).frames("desk", 0, 2.0, NO_SIGNAL, "gone", 1.0)
        frame = frames[ENCODING_JPEG]
        self.assertEqual((frame.state, frame.reason, frame.since), (NO_SIGNAL, "gone", 1.0))

    def test_own_jpeg(self) -> None:
        """A camera's own JPEG is kept as it is, except for its metadata; other encodings are made from it."""
        own = codec.encode_jpeg(IMAGE, 33)
        picture = encode(own, [ENCODING_JPEG, "jpeg/2", ENCODING_PICKLE], Settings(width=0))
        frames = picture.frames("desk", 0, 1.5)
        frame = frames[ENCODING_JPEG]
        self.assertTrue(frame.payload.startswith(own[:20]) and frame.payload.endswith(own[20:]))
        self.assertEqual((frame.camera, frame.captured, frame.width, frame.height), ("desk", 1.5, 64, 48))
        self.assertEqual(frames["jpeg/2"].width, 32)
        self.assertEqual(codec.decode(frames[ENCODING_PICKLE]).shape, (48, 64, 3))
        self.assertEqual((picture.width, picture.height), (64, 48))

    def test_turned(self) -> None:
        """A picture is turned before it is made smaller: the width is that of the picture which is served."""
        image = np.zeros((48, 64, 3), np.uint8)
        image[:24, :32] = 255  # the top left quarter
        for rotate, flip, size, bright in (
            (90, "", (24, 32), (0, -1)),
            (180, "", (32, 24), (-1, -1)),
            (270, "", (24, 32), (-1, 0)),
            (0, "h", (32, 24), (0, -1)),
            (0, "v", (32, 24), (-1, 0)),
            (90, "h", (24, 32), (0, 0)),
        ):
            picture = encode(image, [ENCODING_JPEG, "jpeg/2"], Settings(size[0], rotate=rotate, flip=flip))
            self.assertEqual((picture.width, picture.height), size)
            for frame in picture.frames("desk", 0, 1.5).values():
                decoded = codec.decode(frame)
                self.assertGreater(decoded[bright].min(), 200)
                self.assertLess(decoded.mean(), 90)

    def test_own_jpeg_turned(self) -> None:
        """A camera's own JPEG is decoded to be turned or written into, for all encodings alike."""
        own = codec.encode_jpeg(np.zeros((48, 640, 3), np.uint8))
        for settings, lines, size in (
            (Settings(0, rotate=90), (), (48, 640)),
            (Settings(0, flip="h"), (), (640, 48)),
            (Settings(0), ("door",), (640, 48)),
        ):
            picture = encode(own, ENCODINGS, settings, lines)
            self.assertEqual((picture.width, picture.height), size)
            for encoding, frame in picture.frames("desk", 0, 1.5).items():
                divisor = {"jpeg/2": 2, "jpeg/4": 4, "jpeg/8": 8}.get(encoding, 1)
                self.assertEqual((frame.width, frame.height), (size[0] // divisor, size[1] // divisor))
                self.assertEqual(bool(codec.decode(frame).max() > 40), bool(lines))

    def test_untouched(self) -> None:
        """Without such settings no picture is copied, and the camera's own is never written into."""
        seen: list[codec.Image] = []

        def keep(image: codec.Image) -> bytes:
            seen.append(image)
            return b""

        self.patch(codec, "encode_pickle", keep)
        encode(IMAGE, [ENCODING_PICKLE], Settings())
        encode(IMAGE, [ENCODING_PICKLE], Settings(), ("door",))
        self.assertIs(seen[0], IMAGE)
        self.assertTrue(seen[1].any() and not IMAGE.any())

    def test_any_shape(self) -> None:
        """Pictures of all shapes and layouts are served in all encodings, and none is less than a pixel high."""
        for height, width in ((1, 1), (1, 5000), (5000, 1), (4, 640), (640, 4), (2, 65536), (7, 9)):
            image = np.full((height, width, 3), 7, np.uint8)
            locked = image.view()
            locked.flags.writeable = False
            for picture in (
                image,
                image[:, :, 0],
                np.dstack([image, image[:, :, :1]]),
                image[::-1, ::-1, ::-1],
                np.asfortranarray(image),
                np.ma.masked_array(image),
                locked,
            ):
                for settings in (Settings(), Settings(40, rotate=270), Settings(1)):
                    encoded = encode(picture, ENCODINGS, settings, ("door",))
                    self.assertEqual(set(encoded.payloads) | {ENCODING_JPEG}, set(ENCODINGS))
                    for frame in encoded.frames("desk", 0, 1.5).values():
                        self.assertEqual(codec.decode(frame).shape, (frame.height, frame.width, 3))

    def test_no_shape(self) -> None:
        """What is no picture is refused in words."""
        for picture in (
            np.zeros((0, 5, 3), np.uint8),
            np.zeros((5, 5, 3)),
            np.zeros((5, 5, 3), object),
            np.zeros((5, 5, 3, 1), np.uint8),
            [[1]],
            "picture",
            None,
            memoryview(b"abc"),
        ):
            self.assertRaisesRegex(CodecError, "the picture", encode, picture, ENCODINGS, Settings())

    def test_encoding_that_cannot_be_had(self) -> None:
        """An encoding that a picture is too large for is left out; if there is no other, the picture is refused."""
        image = np.zeros((2, 65536, 3), np.uint8)
        picture = encode(image, [ENCODING_JPEG, "jpeg/2"], Settings(0))
        self.assertEqual((list(picture.payloads), picture.width), (["jpeg/2"], 65536))
        self.assertIn("65536 x 2", picture.problem)
        self.assertRaisesRegex(CodecError, "65536 x 2", encode, image, [ENCODING_JPEG], Settings(0))

    def test_encoding_that_fails(self) -> None:
        """Whatever is raised while a smaller picture is made, the others are served."""
        resized = imutils.resize

        def fail(image: codec.Image, width: int) -> codec.Image:
            if width == 16:
                raise cv2.error("no memory")
            return resized(image, width=width)  # type: ignore[no-any-return]

        self.patch(imutils, "resize", fail)
        picture = encode(IMAGE, ENCODINGS, Settings())
        self.assertEqual(set(ENCODINGS) - set(picture.payloads), {"jpeg/4"})
        self.assertEqual(picture.problem, "error: no memory")

    def test_own_jpeg_that_cannot_be_decoded(self) -> None:
        """A viewer of small pictures does not keep the others from a camera's own JPEG."""
        self.patch(codec, "decode", lambda frame: codec.as_bgr(None))
        own = codec.encode_jpeg(IMAGE)
        picture = encode(own, [ENCODING_JPEG, "jpeg/2"], Settings(0))
        self.assertEqual(picture.payloads, {ENCODING_JPEG: own})
        self.assertIn("uint8", picture.problem)

    def test_own_jpeg_is_not_encoded_again(self) -> None:
        """If nothing else is watched, a camera's own JPEG is neither decoded nor encoded."""
        own = codec.encode_jpeg(IMAGE)
        self.patch(codec, "decode", None)
        self.patch(codec, "encode_jpeg", None)
        self.assertEqual(encode(own, [ENCODING_JPEG], Settings()).payloads, {ENCODING_JPEG: own})

    def test_broken(self) -> None:
        """A picture that cannot be used is refused when it is encoded, not when it is stamped."""
        jpeg = codec.encode_jpeg(IMAGE)
        without_size = jpeg[:2] + jpeg[jpeg.index(b"\xff\xda") :]
        for picture in (np.zeros((0, 5, 3), np.uint8), np.zeros((4, 4, 7), np.uint8), jpeg[:100], without_size, b""):
            self.assertRaises((CodecError, FrameError), encode, picture, [ENCODING_JPEG], Settings())

    def test_scale(self) -> None:
        """A smaller frame says by which factor it is smaller."""
        frames = encode(IMAGE, [ENCODING_JPEG, "jpeg/4"], Settings()).frames("desk", 0, 1.5)
        self.assertEqual([frame.scale for frame in frames.values()], [1, 4])
