"""What --camera means."""

from __future__ import annotations

import builtins
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.capture.videos import write_video
from twistedcam.capture import sources
from twistedcam.capture.mode import Mode
from twistedcam.capture.sources import parse_source
from twistedcam.capture.target import Target
from twistedcam.errors import CameraError

_OPTIONS = ("width", "rotate", "overlay")


class SourceTestCase(SynchronousTestCase):
    """Sources, and a folder with a video."""

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "video.avi")
        write_video(self.path)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def link(self, name: str) -> str:
        """Give the video another name, and return it."""
        os.link(self.path, name)
        return name

    def refused(self, text: str) -> str:
        """The one line of the error for C{text}."""
        message = str(self.assertRaises(CameraError, parse_source, text, _OPTIONS))
        self.assertNotIn("\n", message)
        return message


class ParseTests(SourceTestCase):
    """Cameras can be named."""

    def test_kinds(self) -> None:
        """Numbers and /dev are devices, test is the test card; files, pictures, screens and URLs are recognized."""
        for text, name, kind, target in (
            ("0", "camera-0", "device", "0"),
            ("/dev/video99", "video99", "device", "/dev/video99"),
            ("test", "test", "test", "test"),
            ("screen", "screen", "screen", "screen"),
            ("screen::1.0", "screen", "screen", "screen::1.0"),
            ("rtsp://me:secret@door.example/live", "door.example", "url", "rtsp://me:secret@door.example/live"),
            (self.path, "video.avi", "file", self.path),
            ("video.avi", "video.avi", "file", self.path),
            ("desk=0", "desk", "device", "0"),
            ("cat=video.avi", "cat", "file", self.path),
            ("door=http://door.example/?a=b,c", "door", "url", "http://door.example/?a=b,c"),
            (f"file://{self.path}", "video.avi", "file", self.path),
            (f"FILE://localhost{self.folder}/vide%6F.avi", "video.avi", "file", self.path),
            (".", os.path.basename(self.folder), "pictures", self.folder),
            ("img%03d.png", os.path.basename(self.folder), "pictures", os.path.join(self.folder, "img%03d.png")),
            (f"{self.folder}/*.jpg", os.path.basename(self.folder), "pictures", f"{self.folder}/*.jpg"),
        ):
            source = parse_source(text)
            self.assertEqual((source.name, source.kind, source.target.reveal()), (name, kind, target))

    def test_what_is_there(self) -> None:
        """Whether a path is a device is decided by what is there, through links too, not by its name."""
        os.symlink("/dev/null", "usb-046d_C920_0123-video-index0")
        os.symlink("/dev/null", "usb-046d_C920_0123-video-index1")
        for text, name, kind in (
            ("/dev/null", "null", "device"),
            ("usb-046d_C920_0123-video-index0", "046d_C920_0123", "device"),
            ("usb-046d_C920_0123-video-index1", "046d_C920_0123-video-index1", "device"),
            ("/dev/v4l/by-id/usb-Cam-video-index0", "Cam", "device"),
        ):
            source = parse_source(text)
            self.assertEqual((source.name, source.kind, source.target.reveal()), (name, kind, text))
        shared = f"/dev/shm/{os.path.basename(self.mktemp())}.avi"
        self.addCleanup(os.remove, shared)
        write_video(shared)
        self.assertEqual(parse_source(shared).kind, "file")
        self.assertIn("there is no video file", self.refused("/dev/shm/missing.avi"))

    def test_names_of_files(self) -> None:
        """A name that is made of a file's prints, and is not too long."""
        for name, expected in (("a\x1b[2J", r"a\x1b[2J.avi"), ("c" * 240, "c" * 197 + "...")):
            self.assertEqual(parse_source(self.link(f"{name}.avi")).name, expected)

    def test_names_like_others(self) -> None:
        """A file whose name looks like a protocol, a name or an option is that file; it is opened by its whole path."""
        for name in ("12:30:00.avi", "pipe:x.avi", "rtsp:x.avi", "a,width=3.avi", "b=x.avi", "c,d.avi", "plugin:x.avi"):
            source = parse_source(self.link(name), _OPTIONS)
            self.assertEqual((source.name, source.kind, source.options), (name, "file", {}))
            self.assertEqual((str(source.target), source.target.reveal()), (name, os.path.join(self.folder, name)))
            source.open().close()
        source = parse_source("e=a,width=3.avi,width=3,rotate=90", _OPTIONS)
        self.assertEqual((source.name, source.options), ("e", {"width": ["3"], "rotate": ["90"]}))

    def test_no_text(self) -> None:
        """A file whose name is not UTF-8 text has a name that prints; a URL that is not is refused."""
        name = parse_source(self.link("b\udcff.avi")).name
        self.assertEqual(name, r"b\udcff.avi")
        self.assertTrue(name.isprintable())
        self.assertIn("is not UTF-8 text", self.refused("rtsp://door.example/\udcff"))

    def test_openers(self) -> None:
        """Screens, files, URLs and pictures are opened with their target and mode."""
        for text, kind in (("screen::1", "screen"), ("*.jpg", "pictures"), ("http://door.example", "url")):
            calls: list[tuple[Target, Mode]] = []
            self.patch(sources, "_OPENERS", {kind: lambda *given, calls=calls: calls.append(given)})
            source = parse_source(text)
            source.open(Mode(fps=3))
            ((target, mode),) = calls
            self.assertEqual((target, mode.fps), (source.target, 3))


class RefusedTests(SourceTestCase):
    """What is no source."""

    def test_refused(self) -> None:
        """The error says what to write instead."""
        os.mkfifo("pipe")
        for text, message in (
            ("missing.mp4", "no video file 'missing.mp4': name a file that exists, a number (0), a /dev/videoN"),
            ("a=missing.mp4", "no video file 'missing.mp4'"),
            ("no/folder/*.jpg", "no video file"),
            ("front door=0", "no camera can be called so: a name has letters, digits, dots, _ and -"),
            ("pipe", "'pipe' is neither a regular file nor a folder"),
            (__file__, "is not a video, or damaged"),
            ("", "there is no source: write 0"),
            ("door=", "there is no source: write NAME=SOURCE, such as door=0"),
            ("door=,rotate=90", "there is no source"),
            ("123456789012345678901234567890", "there is no camera"),
            ("v4l2:///dev/video0", "a device is not written as a URL: write its path alone, such as /dev/video0"),
            ("file:video.avi", "a file: URL has three slashes: write file:///PATH, or the path alone"),
            ("file://server/video.avi", "a file: URL has three slashes"),
            ("file:///missing.avi", "no video file '/missing.avi'"),
            ("rtsp://me:secret@[::1/", "the URL rtsp://*** has no valid host: write an IPv6 address like [::1]"),
            ("http:/door.example", "needs two slashes"),
            ("plugin:nothing", "there is no camera plugin 'nothing'"),
        ):
            self.assertIn(message, self.refused(text))

    def test_passwords(self) -> None:
        """What may be a URL without its scheme is not shown."""
        for text in ("me:secret@10.0.0.9/live", "//me:secret@door/", "a=10.0.0.9/?pwd=secret", "rtsp//me:secret@door"):
            self.assertNotIn("secret", self.refused(text))

    def test_options(self) -> None:
        """An option that is not known, or has no value, is named with those that there are; a URL may have commas."""
        for text, message in (
            ("0,rotat=180", "'rotat' is not an option of a camera: there are width, rotate, overlay"),
            ("video.avi,rotat=180", "'rotat' is not an option"),
            ("door=0,colour=red", "'colour' is not an option"),
            ("0,width=3,colour=red", "'colour' is not an option"),
            ("http://door.example/,width=3,colour=red", "'colour' is not an option"),
            ("0,rotate=", "the option rotate has no value: write rotate=VALUE"),
            ("0,rotate", "the option rotate has no value"),
            ("0,width=3,rotate", "the option rotate has no value"),
            ("0,", "an option is missing after the comma: there are"),
            ("0,=3", "an option is missing after the comma"),
        ):
            self.assertIn(message, self.refused(text))
        for url in ("http://door.example/a,colour=red", "http://door.example/?a=1,2,rotate"):
            self.assertEqual(parse_source(url, _OPTIONS).target.reveal(), url)
            source = parse_source(f"door={url},overlay=time,name,width=5,width=6", _OPTIONS)
            self.assertEqual((source.name, source.target.reveal()), ("door", url))
            self.assertEqual(source.options, {"overlay": ["time,name"], "width": ["5", "6"]})


class FileTests(SourceTestCase):
    """Sources in files."""

    def write(self, content: bytes) -> None:
        """Write the file."""
        with open("sour,ce", "wb") as file:
            file.write(content)

    def test_source(self) -> None:
        """The source is the first line; a name and options are written outside of it, and commas stay in it."""
        url = "rtsp://me:secret@door.example/live,width=3"
        for content in (url.encode(), f"\n{url}\r\n".encode(), b"\xef\xbb\xbf" + url.encode()):
            self.write(content)
            for text, name, options in (
                ("@sour,ce", "door.example", {}),
                ("door=@sour,ce", "door", {}),
                (f"door=@{self.folder}/sour,ce,rotate=180", "door", {"rotate": ["180"]}),
            ):
                source = parse_source(text, _OPTIONS)
                self.assertEqual((source.name, source.target.reveal(), source.options), (name, url, options))
                self.assertFalse(source.target.has_password)
                self.assertNotIn("secret", repr(source))
        self.write(self.path.encode())
        self.assertEqual(parse_source("@sour,ce").kind, "file")

    def test_wrong_file(self) -> None:
        """The error names the file, and shows nothing of what is in it."""
        for content, message in (
            (b"", "is empty: write a source into its first line"),
            (b" \n", "is empty"),
            (b"rtsp://secret/\nrtsp://secret/\n", "has more than one line"),
            (b"rtsp://me:secret\xff@door/", "is not UTF-8 text"),
            (b"secret" * 1000, "is longer than 4096 bytes"),
            (b"secret\0", "has characters that do not print"),
            (b"secret.mp4", "is not a source: name a file that exists"),
            (b"@secret", "is not a source"),
            (b"door=secret", "is not a source"),
            (b"rtsp://me:secret#@door/", "in the file 'sour,ce': the URL rtsp://*** has characters that have to be"),
        ):
            self.write(content)
            refused = self.refused("@sour,ce,width=3")
            self.assertIn(message, refused)
            self.assertIn("'sour,ce'", refused)
            self.assertNotIn("secret", refused)
        os.mkfifo("pipe")
        for path, message in (
            ("missing", "the file 'missing' cannot be read: No such file or directory"),
            ("", "there is no file after @: write @FILE"),
            (".", "'.' is not a regular file: write @FILE"),
            ("pipe", "'pipe' is not a regular file"),
            ("/dev/zero", "'/dev/zero' is not a regular file"),
        ):
            self.assertIn(message, self.refused(f"door=@{path}"))

    def test_unreadable(self) -> None:
        """A file that may not be read is refused with the reason."""
        self.write(b"0")

        def deny(*args: Any, **keywords: Any) -> None:
            raise PermissionError(13, "Permission denied")

        self.patch(builtins, "open", deny)
        self.assertIn("'sour,ce' cannot be read: Permission denied", self.refused("@sour,ce"))


class SecretTests(SynchronousTestCase):
    """Viewers are shown the errors of a camera."""

    def test_passwords_stay_here(self) -> None:
        """The error of a URL does not contain the password."""
        with self.assertRaises(CameraError) as caught:
            parse_source("http://me:secret@127.0.0.1:1/x").open()
        self.assertNotIn("secret", str(caught.exception))

    def test_passwords_are_not_shown(self) -> None:
        """The representation of a source contains no password."""
        self.assertNotIn("secret", repr(parse_source("rtsp://me:secret@door.example/live")))
