"""Encoding pictures: sizes, encodings, and the metadata of the frames."""

from __future__ import annotations

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
