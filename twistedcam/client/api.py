"""A server's frames for one's own Python: with Twisted as an async iterator, without it like cv2.VideoCapture."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

from twisted.application.internet import ClientService
from twisted.internet.defer import DeferredQueue
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.threads import blockingCallFromThread

from twistedcam import codec
from twistedcam.access.credentials import NoCredentials, use_key
from twistedcam.app.background import running_reactor
from twistedcam.client.connection import CONNECT_SECONDS, RETRY, ServerConnectionFactory
from twistedcam.client.session import Viewer
from twistedcam.codec import CodecError, Image
from twistedcam.frame import LIVE, Frame
from twistedcam.interfaces import ICredentials

DEFAULT_PORT = 9999


class WatchError(Exception):
    """Watching has come to an end that another attempt would not change; the text says why."""


class _Watching:
    """A connection that is made again whenever it is lost; C{on_frame} and C{on_failure} are called in the reactor."""

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        camera: str,
        make_credentials: Callable[[], ICredentials],
        on_frame: Callable[[Frame], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._on_failure = on_failure
        self._viewer = Viewer(time.monotonic, on_frame, self._fail)
        factory = ServerConnectionFactory(self._viewer, reactor, camera, make_credentials=make_credentials)
        self._service = ClientService(endpoint, factory, RETRY, clock=reactor)
        self._service.startService()

    def _fail(self, reason: str) -> None:
        self.stop()  # another attempt would not help
        self._on_failure(reason)

    def stop(self) -> Any:
        """Watch no more."""
        self._viewer.stop()
        return self._service.stopService()


async def watch(
    reactor: Any,
    endpoint: IStreamClientEndpoint | str,
    camera: str = "",
    make_credentials: Callable[[], ICredentials] = NoCredentials,
) -> AsyncIterator[Frame]:
    """
    The frames of C{camera} (the first, if empty) of the server at C{endpoint}, the newest at each turn, without end.

    A server that is away is waited for. Raises L{WatchError} where that would not help.
    """
    news: DeferredQueue[Frame | WatchError] = DeferredQueue()

    def put(what: Frame | WatchError) -> None:
        news.pending.clear()  # the newest is all that is wanted
        news.put(what)

    where: Any = clientFromString(reactor, endpoint) if isinstance(endpoint, str) else endpoint
    watching = _Watching(reactor, where, camera, make_credentials, put, lambda reason: put(WatchError(reason)))
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
    A server's camera, read as cv2.VideoCapture is: C{Client("host:9999").read()} is always the newest picture.

    C{frame} is the one last read, with its C{age}, C{sequence} and C{captured}; C{timeout} is in seconds, C{key} that
    of a shared camera. It reconnects by itself; to be used as a context manager, or closed. Raises L{WatchError} where
    another attempt would not help, and ValueError for an address or a key that is none.
    """

    def __init__(self, address: str = "127.0.0.1", camera: str = "", timeout: float = 10.0, key: str = "") -> None:
        tls, make_credentials = use_key(key) if key else (None, NoCredentials)
        self.frame: Frame | None = None
        self._timeout = timeout
        # What the reactor's thread and the script's have in common is touched under this alone.
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._failure = ""
        self._closed = False
        self._reactor = running_reactor()
        endpoint = _endpoint(self._reactor, address)
        if tls is not None:
            endpoint = wrapClientTLS(tls, endpoint)
        self._watching: _Watching = blockingCallFromThread(
            self._reactor, _Watching, self._reactor, endpoint, camera, make_credentials, self._take, self._fail
        )

    def _take(self, frame: Frame) -> None:
        with self._changed:
            self._newest = frame
            self._changed.notify_all()

    def _fail(self, reason: str) -> None:
        with self._changed:
            self._failure = reason
            self._changed.notify_all()

    def read(self) -> tuple[bool, Image | None]:
        """
        True and the newest (H, W, 3) uint8 BGR image, waited for if it was read before; False and None after timeout.

        A NO SIGNAL card is no picture: C{frame} then says why there is none.
        """
        until = time.monotonic() + self._timeout
        while True:
            frame = self._next(until)
            if frame is None:
                return False, None
            self.frame = frame
            if frame.state != LIVE:
                continue
            try:
                return True, codec.decode(frame)
            except CodecError:
                continue  # damaged on its way; the next one is not

    def _next(self, until: float) -> Frame | None:
        with self._changed:
            self._changed.wait_for(self._has_news, max(0.0, until - time.monotonic()))
            if self._failure:
                raise WatchError(self._failure)
            frame, self._newest = self._newest, None
            return None if self._closed else frame

    def _has_news(self) -> bool:
        return self._closed or self._newest is not None or bool(self._failure)

    def __iter__(self) -> Iterator[Image]:
        """Each picture that is the newest when the last one has been dealt with, until this is closed."""
        while not self._closed:
            done, image = self.read()
            if done and image is not None:
                yield image

    def isOpened(self) -> bool:  # noqa: N802 - as cv2.VideoCapture has it
        """Whether there is more to be expected."""
        return not self._closed and not self._failure

    def close(self) -> None:
        """Watch no more."""
        with self._changed:
            was_open, self._closed = not self._closed, True
            self._changed.notify_all()
        if was_open:
            blockingCallFromThread(self._reactor, self._watching.stop)

    release = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _endpoint(reactor: Any, address: str) -> IStreamClientEndpoint:
    """C{host}, C{host:port}, C{[v6]:port}, or an endpoint string such as C{unix:/run/camera}."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(DEFAULT_PORT)
    if not port.isdecimal() or host.split(":")[0] in ("tcp", "tls", "unix", "ssl"):
        return clientFromString(reactor, address)  # type: ignore[no-any-return]
    return HostnameEndpoint(reactor, host.strip("[]"), int(port), timeout=CONNECT_SECONDS)
