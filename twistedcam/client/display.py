"""A window on the screen, and text on an image."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
from zope.interface import implementer

from twistedcam.codec import Image
from twistedcam.errors import TwistedcamError
from twistedcam.interfaces import IDisplay
from twistedcam.text import printable

_SMALLEST_OVERLAY_WIDTH = 640
_LARGEST_WINDOW = (1280, 720)
_SMALLEST_WINDOW_SIDE = 16
_LARGEST_SIDE = 4096  # pixels of what is shown: more than screens have
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_ESCAPE = 27
_ANSWER_SECONDS = 5.0
# An X server for tests starts anew when its last client has left, and lets nobody in meanwhile.
_ATTEMPTS, _RESET_SECONDS = 3, 0.1


class DisplayError(TwistedcamError):
    """No window can open; the text says why."""


def check_display() -> None:
    """Raise L{DisplayError} if no window could open, where Qt would end the whole process."""
    if "GUI:                           NONE" in cv2.getBuildInformation():
        raise DisplayError("this OpenCV is the headless one, which has no windows: install opencv-python")
    if sys.platform != "linux":
        return
    plugins = _qt_plugins()
    if plugins:
        _check_platform(plugins)
    elif os.environ.get("WAYLAND_DISPLAY"):  # an OpenCV of a distribution, which may have windows there
        return
    name = os.environ.get("DISPLAY", "")
    if not name:
        advice = "Wayland has to provide it by Xwayland" if os.environ.get("WAYLAND_DISPLAY") else "it names the screen"
        raise DisplayError(f"no window can open, DISPLAY is not set: {advice}")
    if not _answers(name):
        raise DisplayError(f"no window can open, nothing answers at DISPLAY {name}")
    problem = _find_refusal()
    if problem:
        raise DisplayError(f"no window can open, the X server at DISPLAY {name} {problem}")


def _qt_plugins() -> dict[str, Path]:
    """The plugins with which Qt opens windows, by name, if OpenCV has brought Qt along: those of PyPI have xcb only."""
    folder = Path(cv2.__file__).parent / "qt" / "plugins" / "platforms"
    return {path.stem.removeprefix("libq"): path for path in folder.glob("libq*.so")}


def _check_platform(plugins: Mapping[str, Path]) -> None:
    """Raise L{DisplayError} if Qt has no plugin that it is to use, or cannot load it."""
    asked = os.environ.get("QT_QPA_PLATFORM", "")
    names = [name.partition(":")[0] for name in asked.split(";")] if asked else list(plugins)
    found = next((plugins[name] for name in names if name in plugins), None)
    if found is None:
        known = " or ".join(sorted(plugins))
        raise DisplayError(f"no window can open, QT_QPA_PLATFORM is {asked}, but OpenCV has {known} only: unset it")
    try:
        ctypes.CDLL(str(found))
    except OSError as error:
        raise DisplayError(f"no window can open, a library of the system is missing: {printable(str(error))}") from None


def _find_refusal() -> str:
    """Why the X server does not accept what Qt will show it, or an empty string."""
    error: int | None = 1
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt * _RESET_SECONDS)
        error = _connect()
        if error is None:
            return "does not answer: is it the right one?"
        if not error:
            return ""
    return "does not let us in: set XAUTHORITY to the file .Xauthority of the user who is logged in"


def _connect() -> int | None:
    """Connect to the X server as Qt does: 0, an error of libxcb, or None if it takes longer than people wait."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:  # then Qt's plugin cannot be loaded either, and this is another kind of OpenCV
        return 0
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connection_has_error.argtypes = xcb.xcb_disconnect.argtypes = (ctypes.c_void_p,)
    errors: list[int] = []

    def connect() -> None:
        connection = xcb.xcb_connect(None, None)
        errors.append(xcb.xcb_connection_has_error(connection))
        xcb.xcb_disconnect(connection)

    thread = threading.Thread(target=connect, daemon=True)  # a server that does not answer would hold it for ever
    thread.start()
    thread.join(_ANSWER_SECONDS)
    return errors[0] if errors else None


def _answers(name: str) -> bool:
    """Whether an X server accepts connections at C{name}, [HOST]:NUMBER[.SCREEN]."""
    host, _, number = name.rpartition(":")
    number = number.partition(".")[0]
    try:
        if host not in ("", "unix"):
            socket.create_connection((host, 6000 + int(number)), timeout=_ANSWER_SECONDS).close()
            return True
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"/tmp/.X11-unix/X{number}")
            return True
    except (OSError, ValueError):
        return False


@implementer(IDisplay)
class OpenCVDisplay:
    """A window of OpenCV's highgui, for the main thread only."""

    def __init__(self, title: str) -> None:
        check_display()
        # Without this, Qt looks for fonts beside OpenCV and warns that it finds none; we need none.
        os.environ.setdefault("QT_QPA_FONTDIR", os.path.dirname(__file__))
        self._title = title
        self._shown = False
        self._proportion = 0.0

    def show(self, image: Image) -> None:
        """Show an image; the first one opens the window, and one of other proportions resizes it."""
        if not self._shown:
            # WINDOW_NORMAL can be resized and fill the screen.
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            self._shown = True
        cv2.imshow(self._title, image)
        height, width = image.shape[:2]
        if abs(self._proportion - width / height) > 0.01 and not self._is_full_screen():
            # Qt keeps a window's proportions, and stretches an image that has others.
            self._proportion = width / height
            cv2.resizeWindow(self._title, *_window_size(width, height))

    def key(self) -> str:
        """The key pressed, or an empty string; handles the window's events."""
        code = cv2.pollKey() & 0xFF if self._shown else 0xFF
        if code == _ESCAPE:
            return "esc"
        return chr(code) if 0x20 <= code < 0x7F else ""

    def is_open(self) -> bool:
        """Whether the window is open: False once the user has closed it."""
        try:
            return not self._shown or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # Qt has forgotten the window
            return False

    def _is_full_screen(self) -> bool:
        return cv2.getWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN) == cv2.WINDOW_FULLSCREEN

    def toggle_full_screen(self) -> None:
        """Fill the screen, or go back to a window."""
        mode = cv2.WINDOW_NORMAL if self._is_full_screen() else cv2.WINDOW_FULLSCREEN
        cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, mode)

    def close(self) -> None:
        """Close the window."""
        if self._shown and self.is_open():
            cv2.destroyWindow(self._title)
            cv2.pollKey()
        self._shown = False


def _window_size(width: int, height: int) -> tuple[int, int]:
    """A window for a picture of C{width} x C{height} pixels that is neither tiny nor larger than most screens."""
    times = max(1, _SMALLEST_OVERLAY_WIDTH // width)
    share = min(1.0, _LARGEST_WINDOW[0] / (width * times), _LARGEST_WINDOW[1] / (height * times))
    sides = (max(_SMALLEST_WINDOW_SIDE, int(side * times * share)) for side in (width, height))
    return next(sides), next(sides)


def reduced(image: Image) -> Image:
    """C{image}, made smaller if a side is longer than those of screens: a server may send rows of 65,535 pixels."""
    share = _LARGEST_SIDE / max(image.shape[:2])
    if share >= 1:
        return image
    height, width = (max(1, round(side * share)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def enlarged(image: Image) -> Image:
    """A copy of C{image}, made large enough to write on, unless a side would get too long."""
    height, width = image.shape[:2]
    times = min(-(-_SMALLEST_OVERLAY_WIDTH // width), _LARGEST_SIDE // height)
    if times <= 1:
        return image.copy()
    return cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def with_lines(image: Image, lines: list[str]) -> Image:
    """Write lines of text into the upper left corner of C{image}, and return it."""
    for row, line in enumerate(lines):
        _write(image, line, (12, 28 + 24 * row), 0.6)
    return image


def with_notice(image: Image, notice: str) -> Image:
    """Write C{notice} across the middle of C{image}, in as many rows as it takes, and return it."""
    height, width = image.shape[:2]
    words, rows = notice.split(), [""]
    for word in words:
        if rows[-1] and _width_of(f"{rows[-1]} {word}") > width - 24:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    for row, text in enumerate(rows):
        at = ((width - _width_of(text)) // 2, height // 2 + 30 * row - 15 * (len(rows) - 1))
        _write(image, text, at, 0.8)
    return image


def _width_of(text: str) -> int:
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 2)[0][0])


def _write(image: Image, text: str, at: tuple[int, int], scale: float) -> None:
    """Write white text with a black edge, which is readable on any picture."""
    x, y = at
    # A heavier black text below would be wider, too, in some versions of OpenCV.
    for dx, dy, colour in ((-1, -1, _BLACK), (1, -1, _BLACK), (-1, 1, _BLACK), (1, 1, _BLACK), (0, 0, _WHITE)):
        cv2.putText(image, text, (x + dx, y + dy), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2, cv2.LINE_AA)
