"""Encodings by the width that is asked for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.encodings import ENCODING_JPEG, ENCODING_PICKLE, encoding_for


class EncodingTests(SynchronousTestCase):
    """Which encoding serves a width."""

    def test_encoding_for(self) -> None:
        """A request for a width gets the smallest pictures that are not narrower, or else the full ones."""
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
