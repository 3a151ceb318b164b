"""Turning pictures, and writing into them."""

from __future__ import annotations

import time

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.capture.adjust import AsciiFont, Font, ScalableFont, overlay_lines, turn, write_lines

NUMBERED = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
FONTS: tuple[type[Font], ...] = (ScalableFont, AsciiFont)
try:
    ScalableFont().width("x", 14)
except AttributeError:  # OpenCV 4
    FONTS = (AsciiFont,)


class TurnTests(SynchronousTestCase):
    """Pictures the right way up."""

    def test_rotate(self) -> None:
        """Pictures are rotated clockwise."""
        for degrees, quarters in ((90, -1), (180, 2), (270, 1)):
            np.testing.assert_array_equal(turn(NUMBERED, degrees, ""), np.rot90(NUMBERED, quarters))

    def test_flip(self) -> None:
        """C{h} exchanges left and right, C{v} top and bottom."""
        np.testing.assert_array_equal(turn(NUMBERED, 0, "h"), NUMBERED[:, ::-1])
        np.testing.assert_array_equal(turn(NUMBERED, 0, "v"), NUMBERED[::-1])

    def test_both(self) -> None:
        """A picture is rotated first, and then flipped."""
        np.testing.assert_array_equal(turn(NUMBERED, 90, "h"), np.rot90(NUMBERED, -1)[:, ::-1])

    def test_neither(self) -> None:
        """A picture that is to stay as it is is not copied."""
        self.assertIs(turn(NUMBERED, 0, ""), NUMBERED)


class OverlayTests(SynchronousTestCase):
    """Text in pictures."""

    def test_lines(self) -> None:
        """The local time to the second, and the name, in the order that was asked for, and each once."""
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1_795_487_331))
        self.assertEqual(overlay_lines(("time", "name"), "Tür", 1_795_487_331.9), [clock, "Tür"])
        self.assertEqual(overlay_lines(("name", "name"), "Tür", 0.0), ["Tür"])

    def test_readable(self) -> None:
        """On white, black and grey the text differs from what is around it by half of all brightness."""
        for font in FONTS:
            for brightness in (0, 128, 255):
                for height, width in ((1080, 1920), (240, 320), (120, 160)):
                    image = np.full((height, width, 3), brightness, np.uint8)
                    written = write_lines(image, ["2026-11-27 11:05:09", "door"], font())
                    strip = written[: max(14, height // 24), : width // 3]
                    self.assertLess(int(strip[0, 0, 0]), 70)
                    self.assertGreater(int(strip.max()), 200)

    def test_not_into_the_camera_s_own(self) -> None:
        """Text is written into a copy, also of a picture that is read-only or not contiguous."""
        image = np.zeros((40, 200, 3), np.uint8)
        image.flags.writeable = False
        for view in (image, image[::-1, ::-1, ::-1], np.asfortranarray(image)):
            self.assertTrue(write_lines(view, ["door"]).any())
            self.assertFalse(view.any())

    def test_fits(self) -> None:
        """A line that is too long is written smaller, and no picture is too small."""
        for font in FONTS:
            for height, width in ((240, 320), (60, 80), (1, 1), (1, 5000), (5000, 1), (4, 640), (640, 4)):
                image = np.full((height, width, 3), 255, np.uint8)
                written = write_lines(image, ["x" * 100, "", "door"], font())
                self.assertEqual(written.shape, image.shape)
        wide = write_lines(np.zeros((240, 320, 3), np.uint8), ["W" * 100])
        self.assertTrue(wide[:, :300].any())
        self.assertFalse(wide[:, -1].any())

    def test_other_scripts(self) -> None:
        """Without a font for them accents are left out, and other characters are question marks."""
        blank = np.zeros((20, 200, 3), np.uint8)
        first, second = (write_lines(blank, [text], AsciiFont()) for text in ("Türдx", "Tur?x"))
        np.testing.assert_array_equal(first, second)

    def test_scripts(self) -> None:
        """OpenCV 5 writes Cyrillic and Chinese names as they are."""
        if ScalableFont not in FONTS:
            return
        blank = np.zeros((20, 200, 3), np.uint8)
        found = {write_lines(blank, [text]).tobytes() for text in ("дверь", "?????", "门口", "??")}
        self.assertEqual(len(found), 4)
