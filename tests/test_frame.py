"""Frames: metadata that travels inside the JPEG."""

from __future__ import annotations

import contextlib
from pathlib import Path

from twisted.trial.unittest import TestCase

from twistedcam.frame import LIVE, NO_SIGNAL, Frame, FrameError, stamp
from twistedcam.wire.framing import PREFIX

GOLDEN = Path(__file__).parent / "golden"
FRAME = (GOLDEN / "frame.jpg").read_bytes()
PLAIN = (GOLDEN / "plain.jpg").read_bytes()


def with_comment(comment: bytes) -> bytes:
    """A JPEG with this comment segment."""
    return PLAIN[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + PLAIN[2:]


class FromJPEGTests(TestCase):
    """Frame.from_jpeg."""

    def test_live(self) -> None:
        """The golden frame says when and where it was taken, to the microsecond."""
        frame = Frame.from_jpeg(FRAME)
        self.assertEqual((frame.camera, frame.sequence, frame.captured), ("desk", 7, 1795487331.413123))
        self.assertEqual((frame.state, frame.reason, frame.since), (LIVE, "", None))
        self.assertEqual((frame.width, frame.height, frame.payload), (32, 24, FRAME))

    def test_no_signal(self) -> None:
        """A card says why there is no picture, and since when."""
        frame = Frame.from_jpeg((GOLDEN / "no-signal.jpg").read_bytes())
        self.assertEqual((frame.state, frame.reason, frame.since), (NO_SIGNAL, "unplugged", 1795487330.25))

    def test_plain(self) -> None:
        """A JPEG of another program is a frame of unknown age."""
        frame = Frame.from_jpeg(PLAIN)
        self.assertEqual((frame.camera, frame.captured, frame.width, frame.height), ("", None, 32, 24))

    def test_comments_of_others(self) -> None:
        """Comments of other programs are ignored."""
        for comment in (b"made with love", b'{"software":"x"}', b"[1]"):
            self.assertEqual(Frame.from_jpeg(with_comment(comment)).camera, "")

    def test_damaged_metadata(self) -> None:
        """Metadata of the wrong type, or out of bounds, is a FrameError."""
        for comment in (
            b'{"sequence":1}',
            b'{"camera":1,"sequence":1,"captured":1,"state":"live"}',
            b'{"camera":"x","sequence":-1,"captured":1,"state":"live"}',
            b'{"camera":"x","sequence":true,"captured":1,"state":"live"}',
            b'{"camera":"x","sequence":1,"captured":"now","state":"live"}',
            b'{"camera":"x","sequence":1,"captured":NaN,"state":"live"}',
            b'{"camera":"x","sequence":1,"captured":1e400,"state":"live"}',
            b'{"camera":"x","sequence":1,"captured":1' + b"0" * 400 + b',"state":"live"}',
            b"{" * 5000,
            b'{"sequence":\xff}',
        ):
            with self.assertRaises(FrameError, msg=repr(comment[:60])):
                Frame.from_jpeg(with_comment(comment))

    def test_damaged_jpeg(self) -> None:
        """A JPEG whose header is cut off anywhere is a FrameError."""
        end = FRAME.index(b"\xff\xda")
        for length in range(end + 1):
            with self.assertRaises(FrameError):
                Frame.from_jpeg(FRAME[:length])

    def test_endless_header(self) -> None:
        """A header of very many segments, or of very many bytes, is refused after the first of them."""
        for filling in (b"\xff\xfe\0\x02" * 101, b"\xff" * 300_000, (b"\xff\xfe\xff\xff" + bytes(65533)) * 5):
            with self.assertRaises(FrameError):
                Frame.from_jpeg(PLAIN[:2] + filling + PLAIN[2:])

    def test_markers_without_a_length(self) -> None:
        """Markers that decoders pass over are refused: a size behind one of them would be hidden from us."""
        for marker in (b"\xff\xd0", b"\xff\xd7", b"\xff\x01"):
            with self.assertRaises(FrameError):
                Frame.from_jpeg(with_comment(b"made with love").replace(b"\xff\xfe", marker, 1))

    def test_every_byte_of_the_header_changed(self) -> None:
        """A flipped byte gives a frame or a FrameError, nothing else."""
        for at in range(len(FRAME)):
            for flip in (0x01, 0x80, 0xFF):
                damaged = bytearray(FRAME)
                damaged[at] ^= flip
                with contextlib.suppress(FrameError):
                    Frame.from_jpeg(bytes(damaged))


class StampTests(TestCase):
    """Metadata written into a JPEG."""

    def test_valid_for_others(self) -> None:
        """JFIF's own segment stays the first, as its standard requires."""
        frame = stamp(PLAIN, "desk", 7, 1795487331.4131234)
        self.assertEqual(frame.payload[:4], PLAIN[:4])
        self.assertEqual(frame.payload, FRAME)

    def test_without_app0(self) -> None:
        """A JPEG without a JFIF segment is stamped right at its start."""
        end = 4 + int.from_bytes(PLAIN[4:6], "big")
        frame = stamp(PLAIN[:2] + PLAIN[end:], "desk", 1, 2.0)
        self.assertEqual(frame.payload[2:4], b"\xff\xfe")
        self.assertEqual((frame.camera, frame.width), ("desk", 32))

    def test_long_texts(self) -> None:
        """A name and a reason of any length fit."""
        frame = stamp(PLAIN, "\N{CAMERA}" * 10000, 1, 2.0, NO_SIGNAL, "\N{SNOWMAN}" * 100000, 1.0)
        self.assertEqual((len(frame.camera), len(frame.reason)), (200, 200))

    def test_not_a_jpeg(self) -> None:
        """What is not a JPEG cannot be stamped."""
        self.assertRaises(FrameError, stamp, b"GIF89a", "desk", 1, 2.0)

    def test_message(self) -> None:
        """The message for the wire is made once, and consists of prefix and payload."""
        frame = Frame.from_jpeg(FRAME)
        self.assertEqual(frame.message, PREFIX.pack(len(FRAME)) + FRAME)
        self.assertIs(frame.message, frame.message)
