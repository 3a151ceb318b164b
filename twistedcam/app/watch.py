"""Frames for your own Python program: an async iterator for Twisted, or an object that works like cv2.VideoCapture."""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import replace
from typing import Any, Self

from twisted.internet.defer import DeferredQueue
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.threads import blockingCallFromThread

from twistedcam.access.credentials import NoCredentials
from twistedcam.app.background import NoReactorError, check_can_wait, is_reactor_thread, running_reactor
from twistedcam.app.reader import Reader
from twistedcam.client.address import Address
from twistedcam.client.connector import Connector
from twistedcam.client.session import CONNECTED, Session
from twistedcam.codec import Image
from twistedcam.errors import TwistedcamError
from twistedcam.frame import Frame
from twistedcam.interfaces import ICredentials

_FRAME_WIDTH, _FRAME_HEIGHT, _FPS = 3, 4, 5  # cv2.CAP_PROP_FRAME_WIDTH and so on


class WatchError(TwistedcamError):
    """A server cannot be watched, and another attempt would not help; the text says why."""


class _Watching:
    """A running session; C{on_frame}, and C{on_failure} when it has ended, are called in the reactor's thread."""

    def __init__(
        self,
        reactor: Any,
        address: Address,
        camera: str,
        monotonic: Callable[[], float],
        on_frame: Callable[[Frame], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._on_failure = on_failure
        self.session = Session(monotonic, on_frame, self._fail)
        self._connector = Connector(reactor, address, self.session, camera)
        self._connector.startService()

    def _fail(self, reason: str) -> None:
        # A ClientService cannot be stopped during an attempt to connect.
        self._reactor.callLater(0, self._end, reason)

    def _end(self, reason: str) -> None:
        self.stop()
        self._on_failure(reason)

    def stop(self) -> Any:
        """End the session; return a Deferred that fires when the connection is closed."""
        self.session.stop()
        return self._connector.stopService()


def watch(
    reactor: Any,
    endpoint: IStreamClientEndpoint | str,
    camera: str = "",
    make_credentials: Callable[[], ICredentials] = NoCredentials,
) -> AsyncGenerator[Frame, None]:
    """
    The frames of a camera, without end: in each iteration the newest L{Frame} that was not yet returned.

    C{endpoint} is an address such as C{"192.168.1.5:9999"}, an endpoint string, or an endpoint; C{camera} is the
    server's first one if empty. A server that cannot be reached is tried again. Raises ValueError at once for an
    address that is not valid, and L{WatchError} in an iteration if another attempt would not help.
    """
    address = Address(endpoint=endpoint) if IStreamClientEndpoint.providedBy(endpoint) else Address.parse(endpoint)
    address = replace(address, make_credentials=make_credentials)
    address.to_endpoint(reactor)
    return _frames(reactor, address, camera)


async def _frames(reactor: Any, address: Address, camera: str) -> AsyncGenerator[Frame, None]:
    news: DeferredQueue[Frame | WatchError] = DeferredQueue()

    def put(what: Frame | WatchError) -> None:
        news.pending.clear()  # only the newest is wanted
        news.put(what)

    thread = threading.get_ident()
    watching = _Watching(reactor, address, camera, time.monotonic, put, lambda reason: put(WatchError(reason)))
    try:
        while True:
            found = await news.get()
            if isinstance(found, WatchError):
                raise found
            yield found
    finally:
        if threading.get_ident() == thread:
            watching.stop()
        else:  # a forgotten iterator may be collected in any thread
            reactor.callFromThread(watching.stop)


def _stop(reactor: Any, process: int, reader: Reader, watching: _Watching) -> None:
    """End a client that was closed or forgotten, without waiting: this may be called in any thread."""
    reader.close()
    if os.getpid() == process:  # otherwise the connection is that of the process that was forked
        reactor.callFromThread(watching.stop)


class Client:
    """
    A camera of a server, read like cv2.VideoCapture: C{Client("host:9999").read()} returns the newest picture.

    C{timeout} is how long a read waits, in seconds; None waits without end. C{key} is that of a shared camera.
    C{frame} is the L{Frame} last read, with its C{age}, C{sequence} and C{captured}. A lost connection is made again.
    Use it as a context manager, or close it; one that is forgotten ends as well. Raises L{WatchError} if another
    attempt would not help, and ValueError for an argument that is not valid.
    """

    def __init__(
        self, address: str = "127.0.0.1", camera: str = "", timeout: float | None = 10.0, key: str = ""
    ) -> None:
        self._address = Address.parse(address)
        if key:
            self._address = self._address.with_key(key)
        self._timeout = _read_timeout(timeout)
        self._reader = Reader(time.monotonic)
        self._grabbed: Image | None = None
        self._process = os.getpid()
        try:
            self._reactor = running_reactor()
        except NoReactorError as error:
            raise WatchError(str(error)) from None
        # Nothing that the reactor keeps refers to the client itself.
        self._watching: _Watching = blockingCallFromThread(
            self._reactor,
            _Watching,
            self._reactor,
            self._address,
            camera,
            time.monotonic,
            self._reader.put,
            self._reader.fail,
        )
        self._end = weakref.finalize(self, _stop, self._reactor, self._process, self._reader, self._watching)
        self._end.atexit = False

    @property
    def frame(self) -> Frame | None:
        """The frame last read, or None."""
        return self._reader.frame

    @property
    def problem(self) -> str:
        """Why nothing comes from the server, in one line; an empty string while there is a connection."""
        if self._reader.is_closed:
            return "the client was closed"
        session = self._watching.session
        if session.state == CONNECTED and not self._reader.failure:
            return session.problem
        return session.problem or f"connecting to {self._address}"

    def read(self, image: Any = None) -> tuple[bool, Image | None]:
        """
        True and the newest (H, W, 3) uint8 BGR image that was not yet read; False and None if none came in time.

        C{problem} then says why, or, while there is a connection, C{frame}: a NO SIGNAL card is not returned as a
        picture, but its C{reason} says what is wrong with the camera. C{image} is not used.
        """
        self.grab()
        return self.retrieve()

    def grab(self) -> bool:
        """Wait for the newest picture that was not yet read, for L{retrieve}; False if none came in time."""
        self._check_can_wait()
        self._grabbed = self._reader.read(self._timeout)
        if self._reader.failure:
            raise WatchError(self._reader.failure)
        return self._grabbed is not None

    def retrieve(self, image: Any = None, flag: int = 0) -> tuple[bool, Image | None]:
        """True and the picture of the last L{grab}, or False and None. C{image} and C{flag} are not used."""
        return self._grabbed is not None, self._grabbed

    def get(self, property_id: int) -> float:
        """
        The width or height in pixels, or the rate of the frames received, for the cv2.CAP_PROP_ constant of that name.

        It waits for the first picture, as a read does. 0.0 for other properties, and while nothing is known.
        """
        self._check_can_wait()
        if property_id not in (_FRAME_WIDTH, _FRAME_HEIGHT, _FPS):
            return 0.0
        width, height = self._reader.size(self._timeout)
        if property_id == _FPS:
            return float(blockingCallFromThread(self._reactor, self._watching.session.fps))
        return float(width if property_id == _FRAME_WIDTH else height)

    def set(self, property_id: int, value: float) -> bool:
        """Return False: the camera belongs to the server, whose options set its size and rate."""
        return False

    def __iter__(self) -> Iterator[Image]:
        """The newest picture in each iteration, until the client is closed."""
        while not self._reader.is_closed:
            done, image = self.read()
            if done and image is not None:
                yield image

    def isOpened(self) -> bool:  # noqa: N802 - as in cv2.VideoCapture
        """Whether pictures may still come."""
        return not self._reader.is_closed and not self._reader.failure

    def getBackendName(self) -> str:  # noqa: N802 - as in cv2.VideoCapture
        """Return C{"TWISTEDCAM"}."""
        return "TWISTEDCAM"

    def close(self) -> None:
        """End the connection; a second call does nothing."""
        was_open = not self._reader.is_closed
        self._reader.close()
        self._end.detach()
        if was_open and os.getpid() == self._process:
            if is_reactor_thread():
                self._watching.stop()
            else:
                blockingCallFromThread(self._reactor, self._watching.stop)

    release = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_can_wait(self) -> None:
        try:
            check_can_wait(self._process)
        except NoReactorError as error:
            raise WatchError(str(error)) from None


def _read_timeout(value: object) -> float | None:
    """C{value}, a number of seconds from 0, or None for no end. Raises ValueError."""
    if value is None or value == math.inf:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= threading.TIMEOUT_MAX:
        raise ValueError(f"timeout: {value!r:.100} is not a number of seconds from 0, nor None for no end")
    return float(value)
