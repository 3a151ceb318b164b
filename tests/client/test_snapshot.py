"""Snapshots: whole, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import cv2
import numpy as np
from twisted.trial.unittest import TestCase

from twistedcam.client import snapshot
from twistedcam.client.snapshot import SnapshotError
from twistedcam.codec import encode_pickle
from twistedcam.frame import Frame

FRAME = Frame.from_jpeg((Path(__file__).parents[1] / "golden" / "frame.jpg").read_bytes())


class SnapshotTests(TestCase):
    """One frame into a file."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "picture.jpg")

    def test_written(self) -> None:
        """The file is the frame as it came, metadata and all, and readable for whom the umask lets."""
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
        """When writing fails half-way it is told, the old file is as it was, and no half one is left."""
        Path(self.path).write_bytes(b"old")

        def fail(*args: object) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "replace", fail)
        with self.assertRaisesRegex(SnapshotError, "No space left"):
            snapshot.write(FRAME, self.path)
        self.assertEqual(Path(self.path).read_bytes(), b"old")
        self.assertEqual(os.listdir(self.folder), ["picture.jpg"])

    def test_no_folder(self) -> None:
        """A folder that is gone is told."""
        self.assertRaises(SnapshotError, snapshot.write, FRAME, os.path.join(self.folder, "gone", "x.jpg"))

    def test_check_path(self) -> None:
        """What cannot be a snapshot is found out before there is a frame."""
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

    def test_names(self) -> None:
        """Names come from the camera and the time, harm no folder, and are never those of files that are there."""
        first = snapshot.name_for(Frame(b"", camera="../../etc/pass wd"), self.folder)
        self.assertEqual(os.path.dirname(first), self.folder)
        self.assertNotIn(" ", first)
        Path(first).write_bytes(b"")
        second = snapshot.name_for(Frame(b"", camera="../../etc/pass wd"), self.folder)
        self.assertNotEqual(first, second)
        self.assertIn("snapshot-", snapshot.name_for(Frame(b""), self.folder))
