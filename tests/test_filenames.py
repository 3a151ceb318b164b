"""Names of snapshots and recordings."""

from __future__ import annotations

import os
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.filenames import FileNames
from twistedcam.frame import Frame


class FileNamesTests(SynchronousTestCase):
    """Paths at which no file exists yet."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.now = 1_000_000_000.0
        self.names = FileNames(self.folder, lambda: self.now)

    def name(self, camera: str = "desk", suffix: str = ".jpg") -> str:
        """The name for a frame; the file is made, too."""
        path = self.names.new_path(Frame(b"", camera=camera), suffix)
        Path(path).write_bytes(b"")
        self.assertEqual(os.path.dirname(path), self.folder)
        return os.path.basename(path)

    def test_camera_and_time(self) -> None:
        """A name has the camera and the local time."""
        at = time.strftime("%Y%m%d-%H%M%S", time.localtime(self.now))
        self.assertEqual(self.name(), f"desk-{at}.jpg")
        self.assertEqual(self.name(suffix=".mkv"), f"desk-{at}.mkv")
        self.assertEqual(self.name(""), f"snapshot-{at}.jpg")

    def test_never_twice(self) -> None:
        """In the same second names are numbered; in the next they are not."""
        first, second, third = self.name(), self.name(), self.name()
        self.assertEqual([second, third], [first.replace(".jpg", "-2.jpg"), first.replace(".jpg", "-3.jpg")])
        self.now += 1
        self.assertEqual(len(self.name()), len(first))

    def test_hostile_cameras(self) -> None:
        """A camera's name cannot lead out of the folder, and hides no file."""
        for camera in ("../../etc/pass wd", "/etc/passwd", "..", ".hidden", "a\0b\n", "-rf", "\U00020000" * 200):
            name = self.name(camera)
            self.assertNotRegex(name, r"[/\s\0]|^[-.]")

    def test_devices_of_windows(self) -> None:
        """No name is that of a device on Windows, which the part before the first dot decides."""
        for camera in ("con", "nul.x", "COM1.", "aux...", "com\u00b9.a", "prn:", "desk. "):
            stem, _, rest = self.name(camera).partition(".")
            self.assertRegex(stem, r"-\d{8}-\d{6}$")
            self.assertEqual(rest, "jpg")
