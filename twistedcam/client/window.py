"""What the window shows when, and what keys do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twistedcam import codec
from twistedcam.client import snapshot
from twistedcam.client.display import enlarged, with_lines, with_notice
from twistedcam.client.snapshot import SnapshotError
from twistedcam.codec import CodecError, Image
from twistedcam.frame import Frame
from twistedcam.interfaces import IDisplay

log = Logger()

KEYS_SECONDS = 0.02
NOTICE_SECONDS = 2.0
OVERLAY_SECONDS = 0.5


class Window:
    """
    Shows the newest frame as soon as it is here, and does what keys ask.

    C{status} gives the lines of the overlay, C{notice} one line to show over a
    dimmed picture, or an empty string, C{banner} one to show in any case;
    C{on_quit} is called once, for q, Esc and the closing of the window, and
    C{keys} says what else is called for which key.
    """

    def __init__(
        self,
        clock: IReactorTime,
        display: IDisplay,
        on_quit: Callable[[], None],
        status: Callable[[Frame | None], list[str]] = lambda frame: [],
        notice: Callable[[], str] = lambda: "",
        folder: str = ".",
        banner: Callable[[], str] = lambda: "",
        keys: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self.shown = 0
        self._clock = clock
        self._display = display
        self._on_quit = on_quit
        self._status = status
        self._notice = notice
        self._banner = banner
        self._folder = folder
        self._frame: Frame | None = None
        self._image: Image | None = None
        self._drawing: IDelayedCall | None = None
        self._overlay = False
        self._message = ""
        self._message_until = 0.0
        self._last_notice = ""
        self._drawn_at = 0.0
        self._actions = {
            "q": self._quit,
            "esc": self._quit,
            "s": self._snapshot,
            "f": display.toggle_full_screen,
            "i": self._toggle_overlay,
            **keys,
        }
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
        banner = self._banner()
        lines = [banner, *lines] if banner else lines
        if self._clock.seconds() < self._message_until:
            lines = [*lines, self._message]
        if not notice and not lines:
            return image
        image = enlarged(image)
        if notice:
            image = with_notice(image // 3, notice)
        return with_lines(image, lines)

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
        action = self._actions.get(key)
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
            self.say("there is no picture yet")
            return
        try:
            path = snapshot.name_for(self._frame, self._folder)
            snapshot.write(self._frame, path)
        except SnapshotError as error:
            log.error("no snapshot: {error}", error=error)
            self.say(f"no snapshot: {error}")
        else:
            log.info("snapshot written: {path}", path=path)
            self.say(f"written: {os.path.basename(path)}")

    def say(self, message: str) -> None:
        """Show a line for a moment."""
        self._message = message
        self._message_until = self._clock.seconds() + NOTICE_SECONDS
        if self._keys.running:
            self._draw()
