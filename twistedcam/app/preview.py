"""The server's preview window. This module is imported only if it is asked for: nothing else needs a display."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from zope.interface import implementer

from twistedcam.app.listener import StartError
from twistedcam.client.display import DisplayError, OpenCVDisplay, check_display
from twistedcam.client.window import Window
from twistedcam.filenames import FileNames
from twistedcam.frame import Frame
from twistedcam.hub import Hub, Outlet
from twistedcam.interfaces import IDisplay, ISink
from twistedcam.threads import DaemonThread

TITLE = "TRANSMITTING VIDEO"


def find_display_problem() -> str:
    """Why no window can open on this machine, or an empty string if one can."""
    try:
        check_display()
    except DisplayError as error:
        return str(error)
    return ""


@implementer(ISink)
class Preview(Service):
    """
    Shows the frames of a hub in a window on this machine; q closes it, and the server goes on.

    C{display} replaces the real window in tests; otherwise one is made when the service starts.
    """

    def __init__(
        self,
        reactor: Any,
        hub: Hub,
        display: IDisplay | None = None,
        make_thread: Callable[[], Any] = DaemonThread,
    ) -> None:
        self._reactor = reactor
        self._make_thread = make_thread
        self._hub = hub
        self._display = display
        self._outlet: Outlet | None = None
        self._window: Window | None = None

    def startService(self) -> None:
        """Open the window. Raises L{StartError} if none can open."""
        super().startService()
        try:
            display = self._display or OpenCVDisplay(TITLE)
        except DisplayError as error:
            raise StartError(f"--preview: {error}") from None
        self._window = Window(self._reactor, display, FileNames(".", time.time), self._close, self._make_thread)
        self._window.start()
        self._outlet = self._hub.attach(self)

    def stopService(self) -> None:
        """Close the window."""
        super().stopService()
        self._close()

    def may_begin(self) -> bool:
        """Always true: the window takes every frame and shows the newest."""
        return True

    def begin(self, frame: Frame) -> None:
        """Show C{frame}."""
        if self._window is not None:
            self._window.frame(frame)

    def _close(self) -> None:
        window, self._window = self._window, None
        if window is not None:
            window.stop()
        if self._outlet is not None:
            self._hub.detach(self._outlet)
            self._outlet = None
