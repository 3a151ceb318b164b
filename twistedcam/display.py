"""The window: shows the newest frame, says how old it is, and listens to keys."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable

import cv2
import numpy as np
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from twistedcam import codec, snapshot
from twistedcam.codec import CodecError, Image
from twistedcam.frame import Frame
from twistedcam.interfaces import IDisplay
from twistedcam.snapshot import SnapshotError

log = Logger()

KEYS_SECONDS = 0.02
NOTICE_SECONDS = 2.0
OVERLAY_SECONDS = 0.5
_SMALLEST_OVERLAY_WIDTH = 640
_LARGEST_WINDOW = (1280, 720)
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_ESCAPE = 27


class DisplayError(Exception):
    """There can be no window here; the text says what to do."""


def check_display() -> None:
    """Raise L{DisplayError} where no window could open; Qt would end the whole process."""
    if "GUI:                           NONE" in cv2.getBuildInformation():
        raise DisplayError("this OpenCV has no windows, it is the headless one: install opencv-python")
    if sys.platform != "linux" or os.environ.get("WAYLAND_DISPLAY"):
        return
    name = os.environ.get("DISPLAY", "")
    if not name:
        raise DisplayError("no window can open, DISPLAY is not set")
    if not _answers(name):
        raise DisplayError(f"no window can open, nothing answers at DISPLAY {name}")


def _answers(name: str) -> bool:
    """Whether an X server takes connections at C{name}, [HOST]:NUMBER[.SCREEN]."""
    host, _, number = name.rpartition(":")
    number = number.partition(".")[0]
    try:
        if host not in ("", "unix"):
            socket.create_connection((host, 6000 + int(number)), timeout=5).close()
            return True
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"/tmp/.X11-unix/X{number}")
            return True
    except (OSError, ValueError):
        return False


@implementer(IDisplay)
class OpenCVDisplay:
    """A window of OpenCV's highgui; to be used in the main thread only."""

    def __init__(self, title: str) -> None:
        check_display()
        # Qt looks for fonts beside OpenCV, finds none and complains; it needs none for what we show.
        os.environ.setdefault("QT_QPA_FONTDIR", os.path.dirname(__file__))
        self._title = title
        self._shown = False
        self._proportion = 0.0

    def show(self, image: Image) -> None:
        """Show an image; the first one opens the window, and one of other proportions gives it its own."""
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
        """The key pressed, if any; handles the window's events."""
        code = cv2.pollKey() & 0xFF if self._shown else 0xFF
        if code == _ESCAPE:
            return "esc"
        return chr(code) if 0x20 <= code < 0x7F else ""

    def is_open(self) -> bool:
        """Whether the window has not been closed by its frame."""
        try:
            return not self._shown or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # Qt has forgotten the window
            return False

    def _is_full_screen(self) -> bool:
        return cv2.getWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN) == cv2.WINDOW_FULLSCREEN

    def toggle_full_screen(self) -> None:
        """Fill the screen, or go back."""
        mode = cv2.WINDOW_NORMAL if self._is_full_screen() else cv2.WINDOW_FULLSCREEN
        cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, mode)

    def close(self) -> None:
        """Take the window away."""
        if self._shown and self.is_open():
            cv2.destroyWindow(self._title)
            cv2.pollKey()
        self._shown = False


class Window:
    """
    Shows the newest frame as soon as it is here, and does what keys ask.

    C{status} gives the lines of the overlay, C{notice} one line to show over a
    dimmed picture, or an empty string; C{on_quit} is called once, for q, Esc
    and the closing of the window.
    """

    def __init__(
        self,
        clock: IReactorTime,
        display: IDisplay,
        on_quit: Callable[[], None],
        status: Callable[[Frame | None], list[str]] = lambda frame: [],
        notice: Callable[[], str] = lambda: "",
        folder: str = ".",
    ) -> None:
        self.shown = 0
        self._clock = clock
        self._display = display
        self._on_quit = on_quit
        self._status = status
        self._notice = notice
        self._folder = folder
        self._frame: Frame | None = None
        self._image: Image | None = None
        self._drawing: IDelayedCall | None = None
        self._overlay = False
        self._message = ""
        self._message_until = 0.0
        self._last_notice = ""
        self._drawn_at = 0.0
        self._keys = LoopingCall(self._tick)
        self._keys.clock = clock

    def start(self) -> None:
        """Open the window and listen to keys."""
        self._draw()
        self._keys.start(KEYS_SECONDS)

    def stop(self) -> None:
        """Close the window; to be called again does no harm."""
        if self._keys.running:
            self._keys.stop()
            self._display.close()
        if self._drawing is not None and self._drawing.active():
            self._drawing.cancel()

    def show(self, frame: Frame) -> None:
        """Show C{frame} in this turn of the reactor, unless a newer one comes in it."""
        self._frame, self._image = frame, None
        if self._drawing is None and self._keys.running:
            self._drawing = self._clock.callLater(0, self._draw)

    def _draw(self) -> None:
        self._drawing = None
        self._drawn_at = self._clock.seconds()
        if not self._display.is_open():
            self._quit()  # to show anything would open the window again
            return
        frame = self._frame
        if frame is not None and self._image is None:
            try:
                self._image = codec.decode(frame)
                self.shown += 1
            except CodecError as error:
                log.warn("a broken picture was passed over: {error}", error=error)
                self._frame = None
                return
        self._display.show(self._picture())
        # The display paints when its events are handled: not at the next look for keys, but now.
        self._act_on(self._display.key())

    def _picture(self) -> Image:
        image = np.full((360, 640, 3), 32, np.uint8) if self._image is None else self._image
        notice = self._notice()
        lines = self._status(self._frame) if self._overlay else []
        if self._clock.seconds() < self._message_until:
            lines = [*lines, self._message]
        if not notice and not lines:
            return image
        image = _enlarged(image)
        if notice:
            image = _with_notice(image // 3, notice)
        return _with_lines(image, lines)

    def _tick(self) -> None:
        self._act_on(self._display.key())
        if not self._keys.running:
            return
        if not self._display.is_open():
            self._quit()
            return
        notice = self._notice()
        message_ends = bool(self._message) and self._clock.seconds() >= self._message_until
        if message_ends:
            self._message = ""
        # The age in the overlay goes on while no frame comes: then most of all.
        overlay_is_old = self._overlay and self._clock.seconds() - self._drawn_at >= OVERLAY_SECONDS
        if message_ends or overlay_is_old or notice != self._last_notice:
            self._last_notice = notice
            self._draw()

    def _act_on(self, key: str) -> None:
        action = {
            "q": self._quit,
            "esc": self._quit,
            "s": self._snapshot,
            "f": self._display.toggle_full_screen,
            "i": self._toggle_overlay,
        }.get(key)
        if action is not None:
            action()

    def _quit(self) -> None:
        if self._keys.running:
            self.stop()
            self._on_quit()

    def _toggle_overlay(self) -> None:
        self._overlay = not self._overlay
        self._draw()

    def _snapshot(self) -> None:
        if self._frame is None:
            self._say("there is no picture yet")
            return
        try:
            path = snapshot.name_for(self._frame, self._folder)
            snapshot.write(self._frame, path)
        except SnapshotError as error:
            log.error("no snapshot: {error}", error=error)
            self._say(f"no snapshot: {error}")
        else:
            log.info("snapshot written: {path}", path=path)
            self._say(f"written: {os.path.basename(path)}")

    def _say(self, message: str) -> None:
        self._message = message
        self._message_until = self._clock.seconds() + NOTICE_SECONDS
        self._draw()


def _window_size(width: int, height: int) -> tuple[int, int]:
    """A size in which a picture of C{width} x C{height} pixels is neither a stamp nor larger than most screens."""
    times = max(1, _SMALLEST_OVERLAY_WIDTH // width)
    share = min(1.0, _LARGEST_WINDOW[0] / (width * times), _LARGEST_WINDOW[1] / (height * times))
    return int(width * times * share), int(height * times * share)


def _enlarged(image: Image) -> Image:
    """C{image}, made large enough to write on."""
    times = -(-_SMALLEST_OVERLAY_WIDTH // image.shape[1])
    if times <= 1:
        return image.copy()
    return cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _with_lines(image: Image, lines: list[str]) -> Image:
    for row, line in enumerate(lines):
        _write(image, line, (12, 28 + 24 * row), 0.6)
    return image


def _with_notice(image: Image, notice: str) -> Image:
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
    """White on a black edge, to be read on any picture."""
    x, y = at
    # A heavier black text below would be wider, too, in some versions of OpenCV.
    for dx, dy, colour in ((-1, -1, _BLACK), (1, -1, _BLACK), (-1, 1, _BLACK), (1, 1, _BLACK), (0, 0, _WHITE)):
        cv2.putText(image, text, (x + dx, y + dy), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2, cv2.LINE_AA)
