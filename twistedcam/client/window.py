"""The viewer's window: decodes and shows the newest frame, and handles the keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twistedcam import codec
from twistedcam.client import snapshot
from twistedcam.client.display import enlarged, reduced, with_lines, with_notice
from twistedcam.client.snapshot import SnapshotError
from twistedcam.codec import Image
from twistedcam.filenames import FileNames
from twistedcam.frame import Frame
from twistedcam.interfaces import IDisplay, IOutput
from twistedcam.text import printable

log = Logger()

_KEYS_SECONDS = 0.02
_MESSAGE_SECONDS = 2.0
_OVERLAY_SECONDS = 0.5


@implementer(IOutput)
class Window:
    """
    Shows the newest frame as soon as it is decoded, and acts on keys.

    Frames are decoded one at a time, in the thread that C{make_thread} returns, and the newest one waits meanwhile: a
    picture may take seconds to decode, and keys and signals have to be handled in that time.

    C{names} is for snapshots (key s). C{on_quit} is called once, for q, Esc and the closing of the window. C{status}
    returns the lines of the overlay (key i), C{notice} one line to show over a dimmed picture, C{banner} one line to
    show in any case; both may be empty. C{keys} adds actions for other keys.
    """

    def __init__(
        self,
        reactor: Any,
        display: IDisplay,
        names: FileNames,
        on_quit: Callable[[], None],
        make_thread: Callable[[], Any],
        status: Callable[[Frame], list[str]] = lambda frame: [],
        notice: Callable[[], str] = lambda: "",
        banner: Callable[[], str] = lambda: "",
        keys: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self.shown = 0  # frames
        self._reactor = reactor
        self._display = display
        self._names = names
        self._on_quit = on_quit
        self._status = status
        self._notice = notice
        self._banner = banner
        self._make_thread = make_thread
        self._thread: Any = None
        self._waiting: Frame | None = None  # the newest, until its decoding begins
        self._is_decoding = False
        self._next_decode: IDelayedCall | None = None
        self._frame: Frame | None = None  # the one that is shown
        self._image: Image | None = None
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
        self._keys.clock = reactor

    def start(self) -> None:
        """Open the window and handle its keys."""
        self._thread = self._make_thread()
        self._draw()
        self._keys.start(_KEYS_SECONDS)

    def stop(self) -> None:
        """Close the window."""
        if self._keys.running:
            self._keys.stop()
            self._thread.stop()
            self._display.close()
        if self._next_decode is not None and self._next_decode.active():
            self._next_decode.cancel()

    def frame(self, frame: Frame) -> None:
        """Decode and show C{frame} from the reactor's next iteration on, unless a newer one comes before."""
        self._waiting = frame
        if self._next_decode is None and not self._is_decoding and self._keys.running:
            self._next_decode = self._reactor.callLater(0, self._decode)

    def _decode(self) -> None:
        self._next_decode = None
        frame, self._waiting = self._waiting, None
        if frame is None or not self._keys.running:
            return
        self._is_decoding = True
        decoded = deferToThreadPool(self._reactor, self._thread, _picture_of, frame)
        decoded.addCallbacks(self._show, self._skip, callbackArgs=(frame,))
        decoded.addErrback(lambda failure: log.failure("a picture could not be shown", failure))

    def _show(self, image: Image, frame: Frame) -> None:
        self._is_decoding = False
        if not self._keys.running:
            return
        self._frame, self._image = frame, image
        self.shown += 1
        self._draw()
        self._decode()

    def _skip(self, broken: Failure) -> None:
        if not self._has_seen_broken:
            log.warn("broken pictures are skipped, the first one: {error}", error=printable(str(broken.value)))
        self._has_seen_broken = True
        self._is_decoding = False
        self._decode()

    def _draw(self) -> None:
        self._drawn_at = self._reactor.seconds()
        if not self._display.is_open():
            self._quit()  # showing anything would open the window again
            return
        self._display.show(self._picture())
        # The display paints when its events are handled: do that now, and not only at the next look for keys.
        self._act_on(self._display.key())

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
        if self._reactor.seconds() < self._message_until:
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
        if not self._message or self._reactor.seconds() < self._message_until:
            return False
        self._message = ""
        return True

    def _overlay_is_old(self) -> bool:
        # The age in the overlay grows while no frame comes: that is when it matters most.
        return self._has_overlay and self._reactor.seconds() - self._drawn_at >= _OVERLAY_SECONDS

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
        self._message_until = self._reactor.seconds() + _MESSAGE_SECONDS
        if self._keys.running:
            self._draw()


def _picture_of(frame: Frame) -> Image:
    return reduced(codec.decode(frame))
