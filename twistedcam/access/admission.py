"""
Admission, over the wire and over HTTP: how many connections there are, how many watch, and who may log in when.

It holds every limit on connections, viewers and logins. The credentials themselves are checked by L{guards}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorTime, ISSLTransport

from twistedcam.access.connections import Connections, limits_for
from twistedcam.access.places import Places
from twistedcam.access.throttle import LoginThrottle
from twistedcam.access.viewer_log import ViewerLog
from twistedcam.errors import AccessDeniedError
from twistedcam.interfaces import IGuard
from twistedcam.net import is_local, network_of
from twistedcam.wire.messages import Challenge, Hello

MAX_VIEWERS = 500

_MAX_CONNECTIONS = 50_000  # where nothing is known about the limit on open files

_Camera = TypeVar("_Camera")


class UnknownCameraError(AccessDeniedError):
    """There is no camera called C{name}; the text lists the cameras that there are."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        super().__init__(f"there is no camera {name!r:.60} here; the cameras are: {', '.join(names)}")


class Admission:
    """
    Decides, for both protocols, which connections and viewers are let in; a server has one.

    C{connections} lists all connections of both protocols. One that was let in holds a place: one of C{viewers} while
    it watches, or one of C{snapshots} while it waits for a single picture and is sent it. C{log} is for every log line
    about them. C{is_shared} is as in L{Connections}.
    """

    def __init__(
        self,
        clock: IReactorTime,
        max_viewers: int = MAX_VIEWERS,
        max_connections: int = _MAX_CONNECTIONS,
        is_shared: Callable[[str], bool] = lambda host: False,
    ) -> None:
        limits = limits_for(max_viewers, max_connections)
        self.connections = Connections(clock, limits.connections, limits.waiting, is_shared)
        self.viewers = Places(limits.viewers, "the viewer limit of {limit} has been reached, try again later")
        self.snapshots = Places(
            limits.snapshots,
            "the limit of {limit} snapshots at a time has been reached, try again later",
            per_network=(limits.snapshots + 1) // 2,
        )
        self.log = ViewerLog(clock)
        self._throttle = LoginThrottle(clock)

    async def authenticate(self, host: str, guard: IGuard, hello: Hello, is_private: bool) -> Challenge | None:
        """
        The answer of C{guard} to C{hello}: None if the peer may watch, or a challenge for it to answer.

        Attempts that may guess a password wait for their turn. Raises the L{AccessDeniedError} of the guard, and
        L{TooManyAttemptsError} if too many attempts wait.
        """
        name = guard.guessed_name(hello)
        if name is None:
            return await guard.admit(hello, is_private)
        return await self._throttle.attempt(network_of(host), name, lambda: guard.admit(hello, is_private))


def is_private(transport: Any) -> bool:
    """Whether others cannot read what C{transport} carries: it uses TLS, or does not leave this machine."""
    return ISSLTransport.providedBy(transport) or is_local(transport.getHost())


def find_camera(cameras: Mapping[str, _Camera], name: str | None) -> _Camera:
    """The value of C{cameras} for C{name}, the first one for None. Raises L{UnknownCameraError}."""
    if name is None:
        return next(iter(cameras.values()))
    if name not in cameras:
        raise UnknownCameraError(name, cameras)
    return cameras[name]
