"""The server's own window on what it sends."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from twistedcam.client.display import OpenCVDisplay
from twistedcam.client.window import Window
from twistedcam.frame import Frame
from twistedcam.hub import Hub, Outlet
from twistedcam.interfaces import IDisplay, ISink

TITLE = "TRANSMITTING VIDEO"


@implementer(ISink)
class Preview(Service):
    """Watches a hub in a window of this machine; q closes it and the server goes on."""

    def __init__(self, clock: IReactorTime, hub: Hub, display: IDisplay | None = None) -> None:
        self._hub = hub
        self._outlet: Outlet | None = None
        self._window = Window(clock, display or OpenCVDisplay(TITLE), self._close)

    def startService(self) -> None:
        """Open the window."""
        super().startService()
        self._window.start()
        self._outlet = self._hub.attach(self)

    def stopService(self) -> None:
        """Close it."""
        super().stopService()
        self._close()

    def may_begin(self) -> bool:
        """A window takes every frame; it shows the newest."""
        return True

    def begin(self, frame: Frame) -> None:
        """Show C{frame}."""
        self._window.show(frame)

    def _close(self) -> None:
        self._window.stop()
        if self._outlet is not None:
            self._hub.detach(self._outlet)
            self._outlet = None
