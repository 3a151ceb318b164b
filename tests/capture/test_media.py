"""Files as FFmpeg reads them: formats, names, colours, directions and damage."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from tests.capture.videos import bright_corner, corners, encode_video, grey, turn, write_video
from twistedcam.capture.media import Media
from twistedcam.capture.mode import Mode
from twistedcam.capture.target import plain_target
from twistedcam.codec import Image, encode_jpeg
from twistedcam.errors import BrokenPictureError, CameraError

_EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0%c\0\0\0\0\0\0\0"


class MediaTestCase(SynchronousTestCase):
    """Files in a folder of their own."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)

    def path(self, name: str) -> str:
        """The path of a file in the folder."""
        return os.path.join(self.folder, name)

    def open(self, path: str) -> Media:
        """The file, open until the test ends."""
        media = Media(plain_target(path), Mode())
        self.addCleanup(media.close)
        return media

    def images(self, path: str) -> list[Image]:
        """All its pictures."""
        media = self.open(path)
        return [media.image(picture) for picture in iter(media.read, None)]

    def problem(self, path: str) -> str:
        """The one line that says why it cannot be opened."""
        with self.assertRaises(CameraError) as caught:
            self.open(path)
        return str(caught.exception)


class FormatTests(MediaTestCase):
    """What can be read."""

    def test_formats(self) -> None:
        """Each format gives all its pictures, with times that grow."""
        for name, codec in (
            ("a.mp4", "libx264"),
            ("a.mkv", "libx264"),
            ("a.ts", "libx264"),
            ("a.h264", "libx264"),
            ("a.mjpeg", "mjpeg"),
            ("a.apng", "apng"),
            ("a.gif", "gif"),
        ):
            path = self.path(name)
            encode_video(path, [grey(n * 20) for n in range(8)], range(0, 800, 100), codec)
            media = self.open(path)
            pictures = list(iter(media.read, None))
            self.assertEqual(len(pictures), 8, name)
            times = [picture.time for picture in pictures]
            self.assertEqual(times, sorted(set(times)), name)
            self.assertApproximates(float(media.image(pictures[4]).mean()), 80, 5, name)
            self.assertTrue(media.is_stored)

    def test_stills(self) -> None:
        """Pictures of any kind have one picture."""
        for suffix in (".jpg", ".png", ".webp", ".bmp"):
            cv2.imwrite(self.path("a" + suffix), grey(90))
            (image,) = self.images(self.path("a" + suffix))
            self.assertApproximates(float(image.mean()), 90, 2)

    def test_names(self) -> None:
        """A name is a name, even if it looks like a protocol or a pattern, or is not UTF-8."""
        for name in ("12:30:00.avi", "pipe:x.avi", "a%03d.avi", "concat:a|b.avi", "b\udcff.avi", "-i.avi"):
            write_video(self.path("v.avi"), 3)
            os.rename(self.path("v.avi"), self.path(name))
            self.assertEqual(len(self.images(self.path(name))), 3, name)

    def test_lists(self) -> None:
        """A file that names others is read with them."""
        write_video(self.path("a.avi"), 3)
        Path(self.path("list.ffconcat")).write_text("ffconcat version 1.0\nfile a.avi\nfile a.avi\n")
        self.assertEqual(len(self.images(self.path("list.ffconcat"))), 6)

    def test_interlaced(self) -> None:
        """Interlaced pictures are as light as they should be."""
        images = [grey(n) for n in (60, 80, 100)]
        encode_video(self.path("il.mp4"), images, (0, 40, 80), "libx264")
        self.assertApproximates(float(np.mean(self.images(self.path("il.mp4")))), 80, 5)


class DirectionTests(MediaTestCase):
    """The right way up, in the right shape and size."""

    def test_display_matrix(self) -> None:
        """The turns and flips with which telephones mark their clips are applied."""
        for matrix, corner, shape in (
            ((1, 0, 0, 1), "top left", (32, 64, 3)),
            ((0, 1, -1, 0), "top right", (64, 32, 3)),
            ((-1, 0, 0, -1), "bottom right", (32, 64, 3)),
            ((0, -1, 1, 0), "bottom left", (64, 32, 3)),
            ((-1, 0, 0, 1), "top right", (32, 64, 3)),
            ((1, 0, 0, -1), "bottom left", (32, 64, 3)),
        ):
            path = self.path("turned.mp4")
            encode_video(path, [corners()] * 2, (0, 40))
            turn(path, matrix)
            image = self.images(path)[0]
            self.assertEqual((bright_corner(image), image.shape), (corner, shape), matrix)

    def test_exif(self) -> None:
        """So is the direction of a photograph."""
        for value, corner in ((1, "top left"), (3, "bottom right"), (6, "top right"), (8, "bottom left")):
            jpeg, exif = encode_jpeg(corners()), _EXIF % value
            segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
            Path(self.path("a.jpg")).write_bytes(jpeg[:2] + segment + jpeg[2:])
            (image,) = self.images(self.path("a.jpg"))
            self.assertEqual(bright_corner(image), corner, value)

    def test_size_change(self) -> None:
        """Each picture has its own size, also in one stream."""
        jpegs = [encode_jpeg(grey(50, *size)) for size in ((64, 48), (64, 48), (32, 32), (96, 16))]
        Path(self.path("a.mjpeg")).write_bytes(b"".join(jpegs))
        shapes = [image.shape[:2] for image in self.images(self.path("a.mjpeg"))]
        self.assertEqual(shapes, [(48, 64), (48, 64), (32, 32), (16, 96)])

    def test_smaller(self) -> None:
        """A picture that is wider than it will be served is made smaller at once, with its proportions."""
        encode_video(self.path("a.mp4"), [corners()], (0,))
        media = Media(plain_target(self.path("a.mp4")), Mode(max_width=16))
        self.addCleanup(media.close)
        picture = media.read()
        assert picture is not None
        image = media.image(picture)
        self.assertEqual((image.shape, bright_corner(image)), ((8, 16, 3), "top left"))

    def test_channels(self) -> None:
        """Grey, 16 bit and transparent pictures become BGR."""
        for image in (
            np.full((8, 8), 90, np.uint8),
            np.full((8, 8, 3), 90 * 257, np.uint16),
            np.full((8, 8, 4), 90, np.uint8),
        ):
            cv2.imwrite(self.path("a.png"), image)
            (found,) = self.images(self.path("a.png"))
            self.assertEqual((found.shape, found.dtype, int(found.mean())), ((8, 8, 3), np.uint8, 90))


class ProblemTests(MediaTestCase):
    """What cannot be read, in words."""

    def test_no_video(self) -> None:
        """Text, an empty file, sound and a folder each have a reason of their own."""
        Path(self.path("text.mp4")).write_text("no video\n" * 100)
        Path(self.path("empty.mp4")).touch()
        os.mkdir(self.path("folder.mp4"))
        for name, message in (
            ("text.mp4", "text.mp4 is not a video, or damaged"),
            ("empty.mp4", "empty.mp4 is not a video, or damaged"),
            ("folder.mp4", "folder.mp4 cannot be read: Is a directory"),
            ("missing.mp4", "missing.mp4 cannot be read: No such file or directory"),
        ):
            self.assertIn(message, self.problem(self.path(name)))

    def test_sound_only(self) -> None:
        """A file without pictures says so."""
        header = struct.pack(
            "<4sI8sIHHIIHH4sI", b"RIFF", 36 + 8000, b"WAVEfmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", 8000
        )
        Path(self.path("a.wav")).write_bytes(header + bytes(8000))
        self.assertIn("has no pictures, only other data such as sound", self.problem(self.path("a.wav")))

    def test_damaged(self) -> None:
        """A damaged picture is said to be damaged, and those after it are read."""
        jpegs = [encode_jpeg(np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)) for _ in range(6)]
        jpegs[2] = jpegs[2][:-600] + b"\xff\xd9"
        Path(self.path("a.mjpeg")).write_bytes(b"".join(jpegs))
        media = self.open(self.path("a.mjpeg"))
        good = broken = 0
        while True:
            try:
                if media.read() is None:
                    break
                good += 1
            except BrokenPictureError as error:
                self.assertIn("has a damaged picture", str(error))
                broken += 1
        self.assertEqual((good, broken), (5, 1))
