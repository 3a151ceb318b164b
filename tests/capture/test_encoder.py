"""From a picture to its frames: sizes, and what is encoded."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import TestCase

from twistedcam import codec
from twistedcam.capture.encoder import ENCODING_JPEG, ENCODING_PICKLE, ENCODINGS, Encoder, Settings, encoding_for
from twistedcam.frame import NO_SIGNAL

IMAGE = np.zeros((48, 64, 3), np.uint8)


class EncoderTests(TestCase):
    """What one picture becomes."""

    def test_sizes(self) -> None:
        """Pictures are made narrower, never wider, and 0 leaves them."""
        for width, expected in ((32, 32), (64, 64), (320, 64), (0, 64)):
            encoder = Encoder("desk", Settings(width=width))
            frame = encoder.encode([ENCODING_JPEG], IMAGE, 1.0)[ENCODING_JPEG]
            self.assertEqual((frame.width, frame.height), (expected, expected * 3 // 4))
            self.assertEqual(encoder.size, (expected, expected * 3 // 4))

    def test_all_encodings(self) -> None:
        """All frames of one picture have its number, its time and their own size."""
        frames = Encoder("desk", Settings(width=64)).encode(ENCODINGS, IMAGE, 1.5)
        self.assertEqual([frames[encoding].width for encoding in ENCODINGS], [64, 32, 16, 8, 64])
        self.assertEqual(
            {(frame.camera, frame.sequence, frame.captured) for frame in frames.values()}, {("desk", 0, 1.5)}
        )
        for frame in frames.values():
            self.assertEqual(codec.decode(frame).shape, (frame.height, frame.width, 3))

    def test_state(self) -> None:
        """A card says in its metadata what it is."""
        frame = Encoder("desk", Settings()).encode([ENCODING_JPEG], IMAGE, 2.0, NO_SIGNAL, "gone", 1.0)[ENCODING_JPEG]
        self.assertEqual((frame.state, frame.reason, frame.since), (NO_SIGNAL, "gone", 1.0))

    def test_own_jpeg(self) -> None:
        """A camera's own JPEG goes out as it is, but for its metadata; other encodings are made of it."""
        own = codec.encode_jpeg(IMAGE, 33)
        encoder = Encoder("desk", Settings(width=0))
        frames = encoder.encode([ENCODING_JPEG, "jpeg/2", ENCODING_PICKLE], own, 1.5)
        frame = frames[ENCODING_JPEG]
        self.assertTrue(frame.payload.startswith(own[:20]) and frame.payload.endswith(own[20:]))
        self.assertEqual((frame.camera, frame.captured, frame.width, frame.height), ("desk", 1.5, 64, 48))
        self.assertEqual(frames["jpeg/2"].width, 32)
        self.assertEqual(codec.decode(frames[ENCODING_PICKLE]).shape, (48, 64, 3))
        self.assertEqual(encoder.size, (64, 48))

    def test_scale(self) -> None:
        """A smaller frame says by how much."""
        frames = Encoder("desk", Settings()).encode([ENCODING_JPEG, "jpeg/4"], IMAGE, 1.5)
        self.assertEqual([frame.scale for frame in frames.values()], [1, 4])

    def test_encoding_for(self) -> None:
        """Who asks for a width gets the smallest pictures that are not narrower, or the full ones."""
        for width, encoding in (
            (1, "jpeg/8"),
            (40, "jpeg/8"),
            (41, "jpeg/4"),
            (80, "jpeg/4"),
            (160, "jpeg/2"),
            (161, ENCODING_JPEG),
            (9999, ENCODING_JPEG),
        ):
            self.assertEqual(encoding_for(width, 320), encoding)
        self.assertNotIn(ENCODING_PICKLE, [encoding_for(width, 320) for width in range(1, 700)])
