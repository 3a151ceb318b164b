"""Folders and patterns of picture files."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2")
_COUNTER = re.compile(r"%0?\d*d")
# Brackets alone may be part of a name, or of a URL that is wrong.
_PATTERN = re.compile(rf"[*?]|{_COUNTER.pattern}|\[.+\].*\.\w+\Z")


def is_pattern(text: str) -> bool:
    """Whether C{text} is a pattern of file names, such as C{shots/*.jpg} or C{img%03d.png}."""
    return _PATTERN.search(text) is not None


def find(text: str) -> list[str]:
    """The pictures in the folder C{text}, or the files of the pattern C{text}, in the order of their numbers."""
    if os.path.isdir(text):
        found: Iterator[str] = (
            entry.path for entry in os.scandir(text) if entry.name.lower().endswith(SUFFIXES) and entry.is_file()
        )
    else:
        found = filter(os.path.isfile, _matching(text))
    return sorted(found, key=_natural)


def _matching(pattern: str) -> Iterator[str]:
    folder, name = os.path.split(pattern)
    if not _COUNTER.search(name):
        return iter(glob.glob(pattern))
    parts = map(re.escape, _COUNTER.split(name))
    numbered = re.compile(r"\d+".join(parts))
    return (os.path.join(folder, entry.name) for entry in os.scandir(folder or ".") if numbered.fullmatch(entry.name))


def _natural(path: str) -> list[tuple[int, int, str]]:
    """A key by which img9 comes before img10."""
    parts = re.split(r"([0-9]+)", os.path.basename(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
