"""What the window shows and when, and what its keys do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from twistedcam import codec
from twistedcam.client import snapshot
from twistedcam.client.display import enlarged, with_lines, with_notice
from twistedcam.client.filenames import FileNames
from twistedcam.client.snapshot import SnapshotError
from twistedcam.codec import CodecError, Image
from twistedcam.frame import Frame
from twistedcam.interfaces import IDisplay, IOutput

log = Logger()

_KEYS_SECONDS = 0.02
_MESSAGE_SECONDS = 2.0
_OVERLAY_SECONDS = 0.5


@implementer(IOutput)
class Window:
    """
    Shows the newest frame as soon as it arrives, and acts on keys.

    C{names} is for snapshots (key s). C{on_quit} is called once, for q, Esc and the closing of the window. C{status}
    returns the lines of the overlay (key i), C{notice} one line to show over a dimmed picture, C{banner} one line to
    show in any case; both may be empty. C{keys} adds actions for other keys.
    """

    def __init__(
        self,
        clock: IReactorTime,
        display: IDisplay,
        names: FileNames,
        on_quit: Callable[[], None],
        status: Callable[[Frame], list[str]] = lambda frame: [],
        notice: Callable[[], str] = lambda: "",
        banner: Callable[[], str] = lambda: "",
        keys: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self.shown = 0  # frames
        self._clock = clock
        self._display = display
        self._names = names
        self._on_quit = on_quit
        self._status = status
        self._notice = notice
        self._banner = banner
        self._frame: Frame | None = None
        self._image: Image | None = None
        self._drawing: IDelayedCall | None = None
        self._has_overlay = self._has_seen_broken = False
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
        """Open the window and handle its keys."""
        self._draw()
        self._keys.start(_KEYS_SECONDS)

    def stop(self) -> None:
        """Close the window."""
        if self._keys.running:
            self._keys.stop()
            self._display.close()
        if self._drawing is not None and self._drawing.active():
            self._drawing.cancel()

    def frame(self, frame: Frame) -> None:
        """Show C{frame} in the reactor's next iteration, unless a newer one comes before."""
        self._frame, self._image = frame, None
        if self._drawing is None and self._keys.running:
            self._drawing = self._clock.callLater(0, self._draw)

    def _draw(self) -> None:
        self._drawing = None
        self._drawn_at = self._clock.seconds()
        if not self._display.is_open():
            self._quit()  # showing anything would open the window again
            return
        if not self._decode():
            return
        self._display.show(self._picture())
        # The display paints when its events are handled: do that now, and not only at the next look for keys.
        self._act_on(self._display.key())

    def _decode(self) -> bool:
        """Decode the newest frame, if that was not done yet; False if it is broken."""
        if self._frame is None or self._image is not None:
            return True
        try:
            self._image = codec.decode(self._frame)
        except CodecError as error:
            if not self._has_seen_broken:
                log.warn("broken pictures are skipped, the first one: {error}", error=error)
            self._has_seen_broken = True
            self._frame = None
            return False
        self.shown += 1
        return True

    def _picture(self) -> Image:
        image = np.full((360, 640, 3), 32, np.uint8) if self._image is None else self._image
        notice, lines = self._notice(), self._lines()
        if not notice and not lines:
            return image
        image = enlarged(image)
        if notice:
            image = with_notice(image // 3, notice)
        return with_lines(image, lines)

    def _lines(self) -> list[str]:
        lines = [self._banner()]
        if self._has_overlay and self._frame is not None:
            lines += self._status(self._frame)
        if self._clock.seconds() < self._message_until:
            lines.append(self._message)
        return [line for line in lines if line]

    def _tick(self) -> None:
        self._act_on(self._display.key())
        if not self._keys.running:
            return
        if not self._display.is_open():
            self._quit()
            return
        notice = self._notice()
        if self._message_has_ended() or self._overlay_is_old() or notice != self._last_notice:
            self._last_notice = notice
            self._draw()

    def _message_has_ended(self) -> bool:
        if not self._message or self._clock.seconds() < self._message_until:
            return False
        self._message = ""
        return True

    def _overlay_is_old(self) -> bool:
        # The age in the overlay grows while no frame comes: that is when it matters most.
        return self._has_overlay and self._clock.seconds() - self._drawn_at >= _OVERLAY_SECONDS

    def _act_on(self, key: str) -> None:
        action = self._actions.get(key)
        if action is not None:
            action()

    def _quit(self) -> None:
        if self._keys.running:
            self.stop()
            self._on_quit()

    def _toggle_overlay(self) -> None:
        self._has_overlay = not self._has_overlay
        self._draw()

    def _snapshot(self) -> None:
        if self._frame is None:
            self.say("there is no picture yet")
            return
        try:
            path = self._names.new_path(self._frame, snapshot.SUFFIX)
            snapshot.write(self._frame, path)
        except SnapshotError as error:
            log.error("no snapshot: {error}", error=error)
            self.say(f"no snapshot: {error}")
        else:
            log.info("snapshot written: {path}", path=path)
            self.say(f"written: {os.path.basename(path)}")

    def say(self, message: str) -> None:
        """Show C{message} for two seconds."""
        self._message = message
        self._message_until = self._clock.seconds() + _MESSAGE_SECONDS
        if self._keys.running:
            self._draw()
