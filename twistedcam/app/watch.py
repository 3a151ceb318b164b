"""Frames for your own Python program: an async iterator for Twisted, or an object that works like cv2.VideoCapture."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any, Self

from twisted.internet.defer import DeferredQueue
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.threads import blockingCallFromThread

from twistedcam.access.credentials import NoCredentials
from twistedcam.app.background import running_reactor
from twistedcam.app.reader import Reader
from twistedcam.client.address import Address
from twistedcam.client.connector import Connector
from twistedcam.client.session import CONNECTED, Session
from twistedcam.codec import Image
from twistedcam.errors import TwistedcamError
from twistedcam.frame import Frame
from twistedcam.interfaces import ICredentials


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


async def watch(
    reactor: Any,
    endpoint: IStreamClientEndpoint | str,
    camera: str = "",
    make_credentials: Callable[[], ICredentials] = NoCredentials,
) -> AsyncIterator[Frame]:
    """
    The frames of a camera, without end: in each iteration the newest L{Frame} that was not yet returned.

    C{endpoint} is an address such as C{"192.168.1.5:9999"}, an endpoint string, or an endpoint; C{camera} is the
    server's first one if empty. A server that cannot be reached is tried again. Raises L{WatchError} if another attempt
    would not help, and ValueError for an address that is not valid.
    """
    address = Address.parse(endpoint) if isinstance(endpoint, str) else Address(endpoint=endpoint)
    address = replace(address, make_credentials=make_credentials)
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
        watching.stop()


class Client:
    """
    A camera of a server, read like cv2.VideoCapture: C{Client("host:9999").read()} returns the newest picture.

    C{timeout} is how long a read waits, in seconds; C{key} is that of a shared camera. C{frame} is the L{Frame} last
    read, with its C{age}, C{sequence} and C{captured}. A lost connection is made again. Use it as a context manager, or
    close it. Raises L{WatchError} if another attempt would not help, and ValueError for an address or a key that is not
    valid.
    """

    def __init__(self, address: str = "127.0.0.1", camera: str = "", timeout: float = 10.0, key: str = "") -> None:
        self._address = Address.parse(address)
        if key:
            self._address = self._address.with_key(key)
        self._timeout = timeout
        self._reader = Reader(time.monotonic)
        self._reactor = running_reactor()
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

    def read(self) -> tuple[bool, Image | None]:
        """
        True and the newest (H, W, 3) uint8 BGR image that was not yet read; False and None if none came in time.

        C{problem} then says why, or, while there is a connection, C{frame}: a NO SIGNAL card is not returned as a
        picture, but its C{reason} says what is wrong with the camera.
        """
        image = self._reader.read(self._timeout)
        if self._reader.failure:
            raise WatchError(self._reader.failure)
        return image is not None, image

    def __iter__(self) -> Iterator[Image]:
        """The newest picture in each iteration, until the client is closed."""
        while not self._reader.is_closed:
            done, image = self.read()
            if done and image is not None:
                yield image

    def isOpened(self) -> bool:  # noqa: N802 - as in cv2.VideoCapture
        """Whether pictures may still come."""
        return not self._reader.is_closed and not self._reader.failure

    def close(self) -> None:
        """End the connection; a second call does nothing."""
        was_open = not self._reader.is_closed
        self._reader.close()
        if was_open:
            blockingCallFromThread(self._reactor, self._watching.stop)

    release = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
