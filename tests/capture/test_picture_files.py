"""Folders and patterns of pictures."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.capture.picture_files import find, is_pattern


class PictureFileTests(SynchronousTestCase):
    """Which files, and in which order."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        for name in ("img10.png", "img9.PNG", "img009.jpg", "a.txt", "[x].jpg"):
            (self.folder / name).touch()
        (self.folder / "folder.jpg").mkdir()

    def names(self, pattern: str = "") -> list[str]:
        """The names that are found."""
        return [
            os.path.basename(path) for path in find(os.path.join(self.folder, pattern) if pattern else str(self.folder))
        ]

    def test_folder(self) -> None:
        """All pictures of a folder, by their numbers, and nothing else."""
        self.assertEqual(self.names(), ["[x].jpg", "img9.PNG", "img009.jpg", "img10.png"])

    def test_patterns(self) -> None:
        """Patterns of a shell, and those with a counter."""
        self.assertEqual(self.names("img*.png"), ["img10.png"])
        self.assertEqual(self.names("img%d.png"), ["img10.png"])
        self.assertEqual(self.names("img%03d.jpg"), ["img009.jpg"])
        self.assertEqual(self.names("none*.png"), [])

    def test_is_pattern(self) -> None:
        """What is a pattern."""
        for text, expected in (("a*.jpg", True), ("img%03d.png", True), ("img%d.png", True), ("50%.png", False)):
            self.assertEqual(is_pattern(text), expected, text)
