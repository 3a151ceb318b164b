"""The layers of docs/architecture.md, checked over all imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twistedcam

_ROOT = Path(twistedcam.__file__).parent
_LAYERS = (
    {"__init__", "tap", "client_tap", "app"},
    {"server", "web", "client", "capture"},
    {"access", "pacing", "camera_status", "plugin", "recording", "serial_recording", "testing"},
    {
        "hub",
        "codec",
        "pickles",
        "frame",
        "filenames",
        "encodings",
        "rates",
        "net",
        "interfaces",
        "errors",
        "journal",
        "libav",
        "secret",
        "text",
        "threads",
        "wire",
    },
)


def layer(part: str) -> int:
    """The layer of a module or package directly in twistedcam; 0 is the top."""
    return next(number for number, parts in enumerate(_LAYERS) if part in parts)


def imported(path: Path) -> Iterator[str]:
    """The full names that a module imports, also in functions and for the type checker only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def arrows() -> dict[str, set[str]]:
    """For each part of twistedcam, the other parts that it imports."""
    found: dict[str, set[str]] = {}
    for path in _ROOT.rglob("*.py"):
        part = path.relative_to(_ROOT).with_suffix("").parts[0]
        names = (name.split(".") for name in imported(path) if name.startswith("twistedcam."))
        parts = {words[1] for words in names if (_ROOT / words[1]).is_dir() or (_ROOT / f"{words[1]}.py").is_file()}
        found.setdefault(part, set()).update(parts - {part})
    return found


class LayerTests(SynchronousTestCase):
    """Imports go down."""

    def test_down(self) -> None:
        """No part imports one of a higher layer, and the parts of the second layer do not import one another."""
        for part, others in arrows().items():
            for other in others:
                self.assertLessEqual(layer(part), layer(other), f"{part} imports {other}")
                if layer(part) == layer(other) == 1:
                    self.fail(f"{part} imports {other}")

    def test_no_circles(self) -> None:
        """There is an order in which every part comes after all that it imports."""
        left = arrows()
        while left:
            ready = {part for part, others in left.items() if not others & set(left)}
            self.assertTrue(ready, f"a circle among {sorted(left)}")
            left = {part: others for part, others in left.items() if part not in ready}

    def test_opencv(self) -> None:
        """OpenCV is imported in six modules only."""
        users = {str(path.relative_to(_ROOT)) for path in _ROOT.rglob("*.py") if "cv2" in imported(path)}
        capture = {"capture/adjust.py", "capture/cards.py", "capture/opencv.py"}
        self.assertEqual(users, {"codec.py", "libav.py", "client/display.py"} | capture)

    def test_pyav(self) -> None:
        """PyAV is imported in one module, which imports OpenCV before; and in the process that captures the screen."""
        users = {str(path.relative_to(_ROOT)) for path in _ROOT.rglob("*.py") if "av" in imported(path)}
        self.assertEqual(users, {"libav.py", "capture/screen_grabber.py"})
        names = [
            node.names[0].name
            for node in ast.parse((_ROOT / "libav.py").read_text()).body
            if isinstance(node, ast.Import)
        ]
        self.assertEqual(names, ["cv2", "av"])
