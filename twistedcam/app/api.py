"""One's own images as a camera, served from a script."""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass
from typing import Any

from twisted.internet.threads import blockingCallFromThread
from twisted.python.usage import UsageError

from twistedcam.app.background import running_reactor
from twistedcam.app.service import Server
from twistedcam.capture.opencv import Mode
from twistedcam.capture.sources import Source
from twistedcam.interfaces import ICamera
from twistedcam.plugin import as_camera
from twistedcam.tap import Options


class ServeError(ValueError):
    """What was asked for cannot be served; the text says what to write instead."""


def serve(images: Any, name: str = "camera", block: bool = True, **options: Any) -> Server:
    """
    Serve what C{images} yields, (H, W, 3) uint8 BGR arrays, as the camera called C{name}, until interrupted.

    C{images} is an iterable, a callable that gives one, or an ICamera; it is asked for pictures while somebody watches.
    The options are those of C{twistd camstream}, with C{_} for C{-}, such as C{listen="tcp:9998:interface=127.0.0.1"},
    C{width=0}, C{fps=10}. With C{block=False} it returns, and serves for as long as the script runs. Raises
    L{ServeError}.
    """
    parsed = _parse(options)
    parsed["cameras"] = [_GivenSource(name, "given", "", images, parsed["fps"])]
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # nothing, where the script has done so
    reactor = running_reactor()
    server: Server = blockingCallFromThread(reactor, _start, parsed, reactor)
    if block:
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        blockingCallFromThread(reactor, server.stopService)
    return server


@dataclass(frozen=True)
class _GivenSource(Source):
    """A camera of images that are there already."""

    images: Any
    fps: float

    def open(self, mode: Mode = Mode()) -> ICamera:
        """They go on, or, where C{images} is to be called, begin anew."""
        return as_camera(self.images, self.fps)


def _parse(options: dict[str, Any]) -> Options:
    words: list[str] = []
    for name, value in options.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            option = f"--{name.replace('_', '-')}"
            words += [option] if one is True else [] if one is False else [option, str(one)]
    parsed = Options()
    try:
        parsed.parseOptions(["--camera", "test", *words])
    except UsageError as error:
        raise ServeError(str(error)) from None
    return parsed


def _start(options: Options, reactor: Any) -> Server:
    try:
        server = Server(options, reactor)
        server.privilegedStartService()
    except SystemExit as error:  # what ends a command
        raise ServeError(str(error)) from None
    server.startService()
    return server
