"""C{twistedcam.serve}: a script's own images as a camera."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from twistedcam.app.background import running_reactor
from twistedcam.app.config import ConfigError, ServerConfig, check_name, make_config
from twistedcam.app.listener import StartError
from twistedcam.app.service import Server
from twistedcam.capture.mode import Mode
from twistedcam.capture.sources import Source
from twistedcam.capture.target import plain_target
from twistedcam.errors import CameraError, TwistedcamError
from twistedcam.interfaces import ICamera
from twistedcam.plugin import CaptureCamera, as_camera, check_images, is_capture

_INSTEAD = "call serve() by twisted.internet.threads.deferToThread, with block=False"


class ServeError(TwistedcamError, ValueError):
    """An argument is wrong, or the server cannot start; the text says what to write instead."""


def serve(images: Any, name: str = "camera", block: bool = True, **options: Any) -> Server:
    """
    Serve C{images}, (H, W, 3) uint8 BGR arrays, as the camera called C{name}, until the script is interrupted.

    C{images} is an iterable, a callable that returns one, an object with C{read} such as cv2.VideoCapture, a
    L{twistedcam.Client} or imutils' VideoStream, an L{ICamera}, or one image, which may be drawn on meanwhile. It is
    asked for pictures only while somebody watches. A capture is not released.

    The other keywords are the options of C{twistd camstream}, with C{_} for C{-}: C{width=0}, C{fps=10},
    C{share=True}. Options that may be repeated take a string or a list of them, such as
    C{listen="tcp:9998:interface=127.0.0.1"} and C{auth=["file:users"]}.

    With C{block=False} it returns the server, which runs for as long as the script does.

    Raises L{ServeError}, and RuntimeError in the reactor's own thread, where it would wait for ever.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # does nothing if the script has done it
    reactor = running_reactor(_INSTEAD)
    server: Server = blockingCallFromThread(reactor, _start, reactor, images, name, options)
    if block:
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        blockingCallFromThread(reactor, server.stopService)
    return server


@dataclass(frozen=True)
class _GivenSource(Source):
    """A camera whose pictures the script gives."""

    images: Any = field(repr=False, kw_only=True)

    def open(self, mode: Mode = Mode()) -> ICamera:
        """Continue the images where they were, or begin anew if C{images} is a callable."""
        return as_camera(self.images, mode.fps)


def _start(reactor: Any, *args: Any) -> Any:  # a Deferred, whose type mypy cannot match to blockingCallFromThread's
    return Deferred.fromCoroutine(start_server(reactor, *args))


async def start_server(reactor: Any, images: Any, name: str, options: Mapping[str, Any]) -> Server:
    """Start the server of L{serve} and return it; if it cannot start, nothing keeps listening. Raises L{ServeError}."""
    server = Server(_configure(reactor, images, name, options), reactor)
    try:
        server.privilegedStartService()
        server.startService()
    except StartError as error:
        await server.stop_listening()
        raise ServeError(_with_keywords(str(error))) from None
    return server


def _configure(reactor: Any, images: Any, name: str, options: Mapping[str, Any]) -> ServerConfig:
    try:
        check_name(name)
    except ValueError as error:
        raise ServeError(f"name: {error}") from None
    images = _check(images)
    given = {keyword.replace("_", "-"): value for keyword, value in options.items()}
    try:
        return make_config(reactor, [_GivenSource(name, "given", plain_target("a script"), images=images)], given)
    except ConfigError as error:
        raise ServeError(_with_keywords(str(error))) from None


def _check(images: Any) -> Any:
    """C{images}, or the one camera that reads a capture, in whatever thread. Raises L{ServeError}."""
    try:
        check_images(images)
    except CameraError as error:
        raise ServeError(f"images: {error}") from None
    if ICamera.providedBy(images) or not is_capture(images):
        return images
    if hasattr(images, "isOpened") and not images.isOpened():
        raise ServeError("images: the capture is not open: check that its device or file is there, and not in use")
    return CaptureCamera(images)


def _with_keywords(text: str) -> str:
    """C{text} with the names of options as a script writes them: C{max_viewers} for C{--max-viewers}."""
    return re.sub(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)", lambda found: found[1].replace("-", "_"), text)
