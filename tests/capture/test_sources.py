"""The sources that --camera accepts."""

from __future__ import annotations

import os

from twisted.trial.unittest import TestCase

from tests.capture.videos import write_video
from twistedcam.capture.sources import parse_source
from twistedcam.errors import CameraError


class ParseTests(TestCase):
    """The sources that can be named."""

    def setUp(self) -> None:
        self.path = self.mktemp() + ".avi"
        write_video(self.path)

    def test_kinds(self) -> None:
        """Numbers and /dev are devices, test is the test card; files and URLs are recognized."""
        for text, name, kind, target in (
            ("0", "camera-0", "device", "0"),
            ("/dev/video2", "video2", "device", "/dev/video2"),
            ("test", "test", "test", "test"),
            ("rtsp://me:secret@door.example/live", "door.example", "url", "rtsp://me:secret@door.example/live"),
            (self.path, os.path.basename(self.path), "file", self.path),
            ("desk=0", "desk", "device", "0"),
            (f"cat={self.path}", "cat", "file", self.path),
            ("door=http://door.example/?a=b", "door", "url", "http://door.example/?a=b"),
        ):
            source = parse_source(text)
            self.assertEqual((source.name, source.kind, source.target.reveal()), (name, kind, target))

    def link(self, name: str) -> str:
        """The path of the video under another name."""
        path = os.path.join(os.path.dirname(self.path), f"{name}.avi")
        os.link(self.path, path)
        return path

    def test_names_of_files(self) -> None:
        """A name that is made of a file's prints, and is not too long."""
        for name, expected in (("a\x1b[2J", r"a\x1b[2J.avi"), ("c" * 240, "c" * 197 + "...")):
            self.assertEqual(parse_source(self.link(name)).name, expected)

    def test_no_text(self) -> None:
        """A file or URL whose name is not UTF-8 text, at which OpenCV crashes, is refused."""
        for target in (self.link("b\udcff"), "rtsp://me:secret@door.example/\udcff"):
            with self.assertRaisesRegex(CameraError, r"udcff.* is not UTF-8 text.*: rename it") as caught:
                parse_source(target).open()
            self.assertNotIn("secret", str(caught.exception))

    def test_no_url(self) -> None:
        """What is no URL after all is refused, without its password."""
        with self.assertRaisesRegex(CameraError, r"'rtsp://\*\*\*@\[::1/' is not a URL"):
            parse_source("rtsp://me:secret@[::1/")

    def test_no_such_file(self) -> None:
        """The error of a missing file names it, and says what to write instead."""
        with self.assertRaisesRegex(CameraError, "no video file 'missing.mp4'.*/dev/videoN"):
            parse_source("missing.mp4")

    def test_no_video(self) -> None:
        """A file that is not a video is refused at once."""
        with self.assertRaisesRegex(CameraError, "cannot be opened as video"):
            parse_source(__file__)

    def test_passwords_stay_here(self) -> None:
        """Viewers are shown the error of a URL: it does not contain the password."""
        with self.assertRaises(CameraError) as caught:
            parse_source("http://me:secret@127.0.0.1:1/x").open()
        self.assertNotIn("secret", str(caught.exception))

    def test_passwords_are_not_shown(self) -> None:
        """The representation of a source contains no password."""
        self.assertNotIn("secret", repr(parse_source("rtsp://me:secret@door.example/live")))
