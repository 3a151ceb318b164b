"""Frames for your own Python program: an async iterator for Twisted, or an object that works like cv2.VideoCapture."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import replace
from numbers import Real
from typing import Any, Self

from twisted.internet.defer import DeferredQueue, maybeDeferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.threads import blockingCallFromThread

from twistedcam.access.credentials import NoCredentials
from twistedcam.app.background import is_in_thread_of, refuse_in_thread_of, running_reactor
from twistedcam.app.config import check_name
from twistedcam.app.reader import Reader
from twistedcam.client.address import Address
from twistedcam.client.connection import CLOSE_SECONDS
from twistedcam.client.connector import Connector
from twistedcam.client.session import CONNECTED, Session
from twistedcam.codec import Image
from twistedcam.errors import TwistedcamError
from twistedcam.frame import Frame
from twistedcam.interfaces import ICredentials

# cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS
_WIDTH, _HEIGHT, _FPS = 3, 4, 5

_INSTEAD = "use twistedcam.watch there, or call this by twisted.internet.threads.deferToThread"


class WatchError(TwistedcamError):
    """A server cannot be watched, and another attempt would not help; the text says why."""


class ArgumentError(TwistedcamError, ValueError):
    """An argument is not valid; the text says what to write instead."""


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
        self._thread = threading.get_ident()
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

    def stop_soon(self) -> None:
        """End the session from any thread, also in a finalizer, which may run in the middle of anything."""
        self.session.stop()
        if threading.get_ident() == self._thread:
            self._reactor.callLater(0, self.stop)
        else:
            self._reactor.callFromThread(self.stop)


def watch(
    reactor: Any,
    endpoint: IStreamClientEndpoint | str,
    camera: str = "",
    make_credentials: Callable[[], ICredentials] = NoCredentials,
) -> AsyncGenerator[Frame, None]:
    """
    The frames of a camera, without end: in each iteration the newest L{Frame} that was not yet returned.

    C{endpoint} is an address such as C{"192.168.1.5:9999"}, an endpoint string, or an endpoint; C{camera} is the
    server's first one if empty. A server that cannot be reached is tried again. The first iteration connects, and the
    connection ends with the iterator, also when that is dropped. An iteration raises L{WatchError} if another attempt
    would not help; the call raises ValueError for an address that is not valid.
    """
    _check_camera(camera)
    address = replace(_to_address(endpoint), make_credentials=make_credentials)
    address.to_endpoint(reactor)
    return _frames(reactor, address, camera)


def _to_address(endpoint: Any) -> Address:
    if IStreamClientEndpoint.providedBy(endpoint):
        return Address(endpoint=endpoint)
    return Address.parse(endpoint)  # which refuses what is not a string


async def _frames(reactor: Any, address: Address, camera: str) -> AsyncGenerator[Frame, None]:
    news: DeferredQueue[Frame | WatchError] = DeferredQueue()

    def put(what: Frame | WatchError) -> None:
        news.pending.clear()  # only the newest is wanted
        news.put(what)

    watching = _Watching(reactor, address, camera, time.monotonic, put, lambda reason: put(WatchError(reason)))
    try:
        while True:
            found = await news.get()
            if isinstance(found, WatchError):
                raise found
            yield found
    finally:
        watching.stop_soon()  # if the iterator was dropped, this may be any thread


class Client:
    """
    A camera of a server, read like cv2.VideoCapture: C{Client("host:9999").read()} returns the newest picture.

    C{timeout} is how long a read waits, in seconds, or None to wait without end; C{key} is that of a shared camera.
    C{frame} is the L{Frame} last read, with its C{age}, C{sequence} and C{captured}. A lost connection is made again.
    It ends when the client is closed or dropped, or left as a context manager; in a forked process, a client makes a
    connection of its own.

    Raises L{WatchError} if another attempt would not help, ValueError for an argument that is not valid, and
    RuntimeError where it would wait for ever, in the reactor's own thread.
    """

    def __init__(
        self, address: str = "127.0.0.1", camera: str = "", timeout: float | None = 10.0, key: str = ""
    ) -> None:
        self._timeout = _seconds(timeout)
        self._camera = _check_camera(camera)
        self._address = Address.parse(address)
        if key:
            self._address = self._address.with_key(key)
        self._image: Image | None = None
        self._begin()

    def _begin(self) -> None:
        reactor = self._reactor = running_reactor(_INSTEAD)
        self._reader = reader = Reader(
            time.monotonic, why_over=lambda: "" if reactor.running else "the reactor was stopped"
        )
        self._process = os.getpid()
        self._watching: _Watching = blockingCallFromThread(
            reactor, _Watching, reactor, self._address, self._camera, time.monotonic, reader.put, reader.fail
        )
        self._finalizer = weakref.finalize(self, _let_go, self._process, reader, self._watching)
        self._finalizer.atexit = False  # the system closes the connection

    def _begin_anew_if_forked(self) -> None:
        """In a forked process, leave the connection to the first one, which still uses it, and make another."""
        if self._process != os.getpid() and not self._reader.is_closed:
            self._finalizer.detach()
            self._begin()

    @property
    def frame(self) -> Frame | None:
        """The frame last read, or None."""
        return self._reader.frame

    @property
    def problem(self) -> str:
        """Why the last read gave no picture, or why there is no connection, in one line; otherwise an empty string."""
        self._begin_anew_if_forked()
        if self._reader.is_closed:
            return "the client was closed"
        if self._reader.failure:
            return self._reader.failure
        session = self._watching.session
        if session.state == CONNECTED:
            return session.problem or self._reader.problem
        return session.problem or f"connecting to {self._address}"

    def read(self, image: Any = None) -> tuple[bool, Image | None]:
        """
        True and the newest (H, W, 3) uint8 BGR image that was not yet read; False and None if none came in time.

        C{problem} then says why. A NO SIGNAL card is not returned as a picture; it is the C{frame}, whose C{reason}
        says what is wrong with the camera. The argument is that of cv2.VideoCapture, and has no effect.
        """
        return self._read(self._timeout)

    def _read(self, timeout: float) -> tuple[bool, Image | None]:
        self._begin_anew_if_forked()
        refuse_in_thread_of(self._reactor, _INSTEAD)
        image = self._reader.read(timeout)
        if self._reader.failure:
            raise WatchError(self._reader.failure)
        return image is not None, image

    def grab(self) -> bool:
        """Read a picture and keep it for L{retrieve}; return whether there was one."""
        done, self._image = self.read()
        return done

    def retrieve(self, image: Any = None, flag: int = 0) -> tuple[bool, Image | None]:
        """True and the picture last grabbed, or False and None. The arguments have no effect."""
        return self._image is not None, self._image

    def get(self, prop: int) -> float:
        """
        The width, the height or the rate of the camera's pictures, for cv2.CAP_PROP_FRAME_WIDTH and the like.

        Waits for the first pictures if necessary, as long as a read does. 0.0 if none came, and for any other property.
        """
        names = {_WIDTH: "width", _HEIGHT: "height", _FPS: "fps"}
        if prop not in names:
            return 0.0
        self._begin_anew_if_forked()
        refuse_in_thread_of(self._reactor, _INSTEAD)
        reader = self._reader
        reader.wait_for(lambda: bool(getattr(reader, names[prop])), self._timeout)
        return float(getattr(reader, names[prop]))

    def set(self, prop: int, value: float) -> bool:
        """False: the camera belongs to the server, and its options set it."""
        return False

    def getBackendName(self) -> str:  # noqa: N802 - as in cv2.VideoCapture
        """The name of what gives the pictures."""
        return "TWISTEDCAM"

    def __iter__(self) -> Iterator[Image]:
        """The newest picture in each iteration, until the client is closed; waits for each without end."""
        while not self._reader.is_closed:
            done, image = self._read(math.inf)
            if done and image is not None:
                yield image

    def isOpened(self) -> bool:  # noqa: N802 - as in cv2.VideoCapture
        """Whether pictures may still come."""
        return not self._reader.is_closed and not self._reader.failure

    def close(self) -> None:
        """End the connection; a second call does nothing. Waits for the end, except in the reactor's own thread."""
        was_open = not self._reader.is_closed
        self._reader.close()
        self._image = None
        self._finalizer.detach()
        if was_open and self._process == os.getpid():
            _stop(self._reactor, self._watching)

    release = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _let_go(process: int, reader: Reader, watching: _Watching) -> None:
    """End the connection of a client that was dropped. Garbage may be collected in any thread, so nothing waits."""
    reader.is_closed = True
    if process == os.getpid():
        watching.stop_soon()


def _stop(reactor: Any, watching: _Watching) -> None:
    closed = threading.Event()
    if is_in_thread_of(reactor) or not reactor.running or sys.is_finalizing():
        watching.stop_soon()
        return

    def stop() -> None:
        maybeDeferred(watching.stop).addBoth(lambda _: closed.set())

    reactor.callFromThread(stop)
    closed.wait(CLOSE_SECONDS + 1)  # not without end: the script may stop the reactor meanwhile


def _seconds(timeout: Any) -> float:
    """A timeout in seconds. Raises L{ArgumentError}."""
    if timeout is None:
        return math.inf
    try:
        seconds = float(timeout) if isinstance(timeout, Real) else math.nan
    except OverflowError:  # of an int
        seconds = math.inf if timeout > 0 else math.nan
    if not seconds >= 0:
        raise ArgumentError(f"timeout: {timeout!r:.60} is not a number of seconds >= 0; None waits without end")
    return seconds


def _check_camera(camera: Any) -> str:
    """C{camera}, a name or empty. Raises L{ArgumentError}."""
    try:
        if camera != "":
            check_name(camera)
    except ValueError as error:
        raise ArgumentError(f"camera: {error}") from None
    return str(camera)
