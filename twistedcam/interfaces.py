"""The interfaces between the parts of twistedcam, and the errors that their methods raise."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

from twistedcam.errors import AccessDeniedError, BrokenPictureError, CameraError, TwistedcamError

if TYPE_CHECKING:
    from twisted.internet.interfaces import ITransport

    from twistedcam.codec import Image
    from twistedcam.frame import Frame
    from twistedcam.wire.messages import Challenge, Hello

__all__ = [
    "AccessDeniedError",
    "BrokenPictureError",
    "CameraError",
    "ICamera",
    "ICameraPlugin",
    "ICredentials",
    "IDisplay",
    "IGuard",
    "IModeCameraPlugin",
    "IOutput",
    "ISink",
    "TwistedcamError",
]


class ICamera(Interface):
    """
    An open source of pictures, used by one thread at a time; every method may block.

    One whose pictures were taken before, and are played again, has an attribute C{is_stored}, which is True.
    """

    interval = Attribute("Seconds between pictures for a source that is read by our clock, 0.0 if it sets the pace.")

    def grab() -> float:
        """Take the next picture and return the time of its capture by C{time.monotonic}. Raises L{CameraError}."""

    def retrieve() -> Image | bytes:
        """Return the picture last grabbed: an (H, W, 3) uint8 BGR array, or a JPEG. Raises L{BrokenPictureError}."""

    def close() -> None:
        """Release the device."""


class ICameraPlugin(Interface):
    """A kind of camera provided by another package, found by C{twisted.plugin}."""

    name = Attribute("What follows C{plugin:} in C{--camera}.")

    def open() -> ICamera:
        """Return an L{ICamera}, or an iterable of (H, W, 3) uint8 BGR arrays; may block. Raises L{CameraError}."""


class IModeCameraPlugin(ICameraPlugin):
    """A kind of camera whose size, rate or controls can be chosen: C{open_in_mode} is called, not C{open}."""

    def open_in_mode(mode: Any) -> ICamera:
        """As C{open}, in the nearest mode to C{mode}, a L{twistedcam.capture.mode.Mode}. Raises L{CameraError}."""


class ISink(Interface):
    """Where a hub's frames go: one viewer's connection, or a window."""

    def may_begin() -> bool:
        """Whether a new frame may begin now; if not, the outlet's C{resume} is called as soon as it may."""

    def begin(frame: Frame) -> None:
        """Begin to send C{frame}; only called after L{may_begin} returned True."""


class IDisplay(Interface):
    """A window for pictures; all calls come from one thread, and none blocks for long."""

    def show(image: Image) -> None:
        """Show an (H, W, 3) uint8 BGR array."""

    def key() -> str:
        """The key pressed since the last call ("esc" for Escape), or an empty string; handles the window's events."""

    def is_open() -> bool:
        """Whether the window is open: False once the user has closed it."""

    def toggle_full_screen() -> None:
        """Fill the screen, or go back to a window."""

    def close() -> None:
        """Close the window."""


class IOutput(Interface):
    """One thing that a viewer does with the frames of its session."""

    def frame(frame: Frame) -> None:
        """Take the next frame; all calls come from the reactor's thread."""

    def stop() -> None:
        """Take no more frames and release what is held; a second call does nothing."""


class IGuard(Interface):
    """Decides whether one connection's viewer may watch."""

    def guessed_name(hello: Hello) -> str | None:
        """The name whose password C{hello} may guess: attempts at it are throttled. None if nothing can be guessed."""

    def admit(hello: Hello, is_private: bool) -> Awaitable[Challenge | None]:
        """
        None when the viewer may watch, or the challenge that another hello is to answer. Raises L{AccessDeniedError}.

        C{is_private} says whether nobody else can read the connection: it uses TLS, or does not leave this machine.
        """


class ICredentials(Interface):
    """The credentials of a viewer, for one connection."""

    trusts_server = Attribute(
        "Whether the server is trusted: until then only its challenge is read, and only a nonce is sent."
    )

    def hello(plain: Hello, transport: ITransport) -> Hello:
        """C{plain} with credentials. Raises L{AccessDeniedError} if this connection is not safe enough for them."""

    def answer(challenge: Challenge, plain: Hello, transport: ITransport) -> Hello:
        """C{plain} with the answer to C{challenge}. Raises L{AccessDeniedError} if the server is not the right one."""
