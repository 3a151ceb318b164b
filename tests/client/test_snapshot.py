"""Snapshots: written whole, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import cv2
import numpy as np
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from twistedcam.client import snapshot
from twistedcam.client.snapshot import Snapshot, SnapshotError
from twistedcam.codec import encode_pickle
from twistedcam.frame import Frame
from twistedcam.interfaces import IOutput

FRAME = Frame.from_jpeg((Path(__file__).parents[1] / "golden" / "frame.jpg").read_bytes())


class SnapshotTests(TestCase):
    """One frame into a file."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "picture.jpg")

    def test_written(self) -> None:
        """The file is the frame as it came, metadata and all, with the permissions of the umask."""
        snapshot.write(FRAME, self.path)
        self.assertEqual(Path(self.path).read_bytes(), FRAME.payload)
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o666 & ~mask)
        self.assertEqual(os.listdir(self.folder), ["picture.jpg"])

    def test_pickle(self) -> None:
        """A pickle frame is written as a JPEG."""
        snapshot.write(Frame(encode_pickle(np.zeros((24, 32, 3), np.uint8))), self.path)
        image = cv2.imread(self.path)
        assert image is not None
        self.assertEqual(image.shape, (24, 32, 3))

    def test_disk_full(self) -> None:
        """When writing fails half-way that is reported, the old file is unchanged, and no partial file is left."""
        Path(self.path).write_bytes(b"old")

        def fail(*args: object) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "replace", fail)
        with self.assertRaisesRegex(SnapshotError, "No space left"):
            snapshot.write(FRAME, self.path)
        self.assertEqual(Path(self.path).read_bytes(), b"old")
        self.assertEqual(os.listdir(self.folder), ["picture.jpg"])

    def test_no_folder(self) -> None:
        """A missing folder is reported."""
        self.assertRaises(SnapshotError, snapshot.write, FRAME, os.path.join(self.folder, "gone", "x.jpg"))

    def test_check_path(self) -> None:
        """What cannot be a snapshot is refused before there is a frame."""
        snapshot.check_path(self.path)
        snapshot.check_path("x.JPEG")
        folder = os.path.join(self.folder, "folder.jpg")
        os.mkdir(folder)
        for path, why in (
            (os.path.join(self.folder, "gone", "x.jpg"), "no folder"),
            (os.path.join(self.folder, "x.png"), "end with .jpg"),
            (folder, "is a folder"),
        ):
            with self.assertRaisesRegex(SnapshotError, why):
                snapshot.check_path(path)

    def test_broken(self) -> None:
        """A frame that cannot be made a JPEG is reported, and leaves no file."""
        self.assertRaises(SnapshotError, snapshot.write, Frame(b"\x80\x04."), self.path)
        self.assertEqual(os.listdir(self.folder), [])


class OutputTests(TestCase):
    """One snapshot as an output."""

    def setUp(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        self.path = os.path.join(folder, "picture.jpg")
        self.written = 0
        self.failures: list[str] = []
        self.output = Snapshot(self.path, self.count, self.failures.append)

    def count(self) -> None:
        """Count."""
        self.written += 1

    def test_first_frame(self) -> None:
        """The first frame is written, and no other."""
        self.assertTrue(verifyObject(IOutput, self.output))
        self.output.frame(FRAME)
        self.output.frame(Frame(b"\xff another"))
        self.assertEqual((Path(self.path).read_bytes(), self.written, self.failures), (FRAME.payload, 1, []))

    def test_failure(self) -> None:
        """A picture that cannot be written is a failure with its reason."""
        os.rmdir(os.path.dirname(self.path))
        self.output.frame(FRAME)
        (reason,) = self.failures
        self.assertRegex(reason, "^no snapshot: .*No such file")
        self.assertEqual(self.written, 0)

    def test_stopped(self) -> None:
        """After the stop nothing is written."""
        self.output.stop()
        self.output.frame(FRAME)
        self.assertFalse(os.path.exists(self.path))
