"""
The two stages of a viewer's connection: L{Authenticating}, until the viewer is let in, and L{Watching}.

A stage holds what belongs to it alone (a place, a timer, a login in progress). C{leave} releases all of that; after it
the stage does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twistedcam.access.admission import Admission, find_camera
from twistedcam.errors import AccessDeniedError
from twistedcam.hub import Hub
from twistedcam.interfaces import IGuard
from twistedcam.pacing.quality_ladder import QualityLadder
from twistedcam.pacing.transport_sink import TransportSink
from twistedcam.wire import messages
from twistedcam.wire.messages import Cameras, CamerasRequest, Challenge, FromServer, FromViewer, Hello, Ping, Pong

log = Logger()


@dataclass(frozen=True)
class ServerContext:
    """
    What all connections of a server share.

    C{hubs} maps each camera's name to the hub of its JPEG frames, the first being the default; C{smaller} to hubs of
    ever smaller pictures, for viewers whose links cannot take the full ones. C{silent_hub} feeds viewers that have not
    sent a hello. C{now} returns the time of day for pongs, in seconds since the epoch.
    """

    clock: IReactorTime
    now: Callable[[], float]
    admission: Admission
    hubs: Mapping[str, Hub]
    silent_hub: Hub
    smaller: Mapping[str, Sequence[Hub]] = field(default_factory=dict)

    @property
    def sends_pickles(self) -> bool:
        """Whether viewers that never send a hello are served something other than JPEG."""
        return self.silent_hub not in self.hubs.values()

    def hubs_for(self, hello: Hello | None) -> list[Hub]:
        """The hubs, from full to smallest pictures, that serve C{hello}. Raises L{UnknownCameraError}."""
        if hello is None:
            return [self.silent_hub]
        name = find_camera({name: name for name in self.hubs}, hello.camera)
        return [self.hubs[name], *(self.smaller.get(name, ()) if hello.adapt else ())]


class IConnection(Protocol):
    """The interface of a connection to its stage."""

    @property
    def peer(self) -> str:
        """The viewer's address, as people write it."""

    @property
    def host(self) -> str:
        """The viewer's address without a port, or an empty string."""

    @property
    def is_private(self) -> bool:
        """Whether others cannot read what the viewer sends."""

    @property
    def sink(self) -> TransportSink:
        """The sink of its frames."""

    def tell(self, message: FromServer) -> None:
        """Send a message at once; only in a stage that sends no frames."""

    def refuse(self, reason: str) -> None:
        """End the connection at once, without an answer."""

    def dismiss(self, denied: AccessDeniedError) -> None:
        """Tell the viewer why it is refused, and end the connection."""

    def watch(self, hello: Hello | None) -> None:
        """Go on to the stage that watches, with what C{hello} asks for."""


class Authenticating:
    """The viewer has to be let in: until then it is sent nothing but a challenge, or the reason for a refusal."""

    def __init__(self, server: ServerContext, connection: IConnection, guard: IGuard) -> None:
        self._connection = connection
        self._guard = guard
        self._admission = server.admission
        self._login: Deferred[Challenge | None] | None = None
        self._has_left = False

    def received(self, message: FromViewer) -> None:
        """Check the credentials in a hello; other messages are not answered."""
        if not isinstance(message, Hello):
            return
        if self._login is not None and not self._login.called:
            self._connection.refuse("it sent another hello before the last one was answered")
            return
        connection = self._connection
        attempt = self._admission.authenticate(connection.host, self._guard, message, connection.is_private)
        self._login = Deferred.fromCoroutine(attempt)
        self._login.addCallbacks(self._answer, self._deny, callbackArgs=(message,))

    def ready(self) -> None:
        """Nothing to do: nothing waits to be sent."""

    def sweep(self) -> None:
        """Nothing to do: nothing waits to be sent."""

    def leave(self) -> None:
        """Cancel a login in progress."""
        self._has_left = True
        if self._login is not None:
            self._login.cancel()

    def _answer(self, challenge: Challenge | None, hello: Hello) -> None:
        if self._has_left:  # a check may succeed even though it was cancelled
            return
        if challenge is not None:
            self._connection.tell(challenge)
        else:
            self._connection.watch(hello)

    def _deny(self, failure: Failure) -> None:
        if not failure.check(AccessDeniedError, CancelledError):
            log.failure("a login cannot be checked", failure=failure)
        if self._has_left:
            return
        if isinstance(failure.value, AccessDeniedError):
            self._connection.dismiss(failure.value)
        else:
            self._connection.refuse("its login cannot be checked")


class Watching:
    """
    The viewer is sent frames, and answers between them; it holds a viewer's place.

    Constructing it raises L{UnknownCameraError} if C{hello} names an unknown camera, and L{NoRoomError} if all places
    are taken.
    """

    def __init__(self, server: ServerContext, connection: IConnection, hello: Hello | None) -> None:
        hubs = server.hubs_for(hello)
        self._server = server
        self._connection = connection
        self._questions: dict[str, Ping | CamerasRequest] = {}  # the newest of each type that waits for its answer
        self._place = server.admission.viewers.take()
        count = server.admission.viewers.taken
        server.admission.log.info("viewer {peer} came, {count} watching", peer=connection.peer, count=count)
        self.ladder = QualityLadder(hubs, connection.sink, connection.peer, hello.fps if hello is not None else 0.0)

    def received(self, message: FromViewer) -> None:
        """Do what a hello asks for, or answer a question. Raises L{UnknownCameraError}."""
        if isinstance(message, Hello):
            self._choose(message)
        else:
            self._questions[message.type] = message
            self._answer()

    def ready(self) -> None:
        """A message has left us: send what waits, answers first."""
        self._answer()
        self.ladder.outlet.resume()

    def sweep(self) -> None:
        """Once a second: adjust the size of the pictures to the link."""
        self.ladder.adjust()

    def leave(self) -> None:
        """Detach from the hub, and release the place."""
        self.ladder.leave()
        self._place.release()

    def _choose(self, hello: Hello) -> None:
        hubs = self._server.hubs_for(hello)
        if self.ladder.hubs == hubs:
            self.ladder.limit(hello.fps)  # which sends no frame twice, as attaching again would
            return
        self.ladder.leave()
        self.ladder = QualityLadder(hubs, self._connection.sink, self._connection.peer, hello.fps)

    def _answer(self) -> None:
        """Answer questions between frames; of each type at most one waits for its answer."""
        while self._questions:
            kind, question = next(iter(self._questions.items()))
            if not self._connection.sink.send(messages.pack(self._answer_to(question))):
                return
            del self._questions[kind]

    def _answer_to(self, question: Ping | CamerasRequest) -> Pong | Cameras:
        if isinstance(question, Ping):
            return Pong(question.sent, self._server.now())
        return Cameras(tuple(self._server.hubs))
