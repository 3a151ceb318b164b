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
            self.assertEqual((source.name, source.kind, source.target), (name, kind, target))

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
