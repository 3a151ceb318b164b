"""The connections of a server, over both protocols: their number, and how long each may wait to be let in."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twistedcam.errors import NoRoomError
from twistedcam.net import network_of

WAIT_SECONDS = 10.0


class Connection:
    """
    One connection in L{Connections}. It waits until L{let_in} is called, and again after each call of L{wait}.

    C{end} is called with the reason if it has waited for L{WAIT_SECONDS}, or has to make room for a new connection.
    """

    def __init__(self, connections: Connections, network: str, end: Callable[[str], None]) -> None:
        self.network = network
        self._connections = connections
        self._end = end
        self._deadline: IDelayedCall | None = None
        self._is_closed = False

    def let_in(self) -> None:
        """Stop waiting: the peer was let in, and holds a place from now on."""
        self._stop_waiting()

    def wait(self) -> None:
        """Wait to be let in, for at most L{WAIT_SECONDS} from now on."""
        self._stop_waiting()
        if self._is_closed:
            return
        self._connections.add_waiting(self)
        late = f"it was not let in within {WAIT_SECONDS:.0f} s"
        self._deadline = self._connections.clock.callLater(WAIT_SECONDS, self.end, late)

    def close(self) -> None:
        """The connection is lost."""
        self._is_closed = True
        self._stop_waiting()
        self._connections.discard(self)

    def end(self, reason: str) -> None:
        """End the connection for C{reason}."""
        self.close()
        self._end(reason)

    def _stop_waiting(self) -> None:
        self._connections.discard_waiting(self)
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None


class Connections:
    """
    At most C{limit} connections, of which at most C{max_waiting} have not been let in.

    When a limit is reached, a new connection takes the place of one that waits: of the network with the most waiting
    connections, the one that has waited longest.

    C{is_shared} says whether an address is shared by many clients, as that of a proxy is: each connection from it
    counts as a network of its own.
    """

    def __init__(
        self,
        clock: IReactorTime,
        limit: int,
        max_waiting: int,
        is_shared: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self.clock = clock
        self.is_shared = is_shared
        self._limit = limit
        self.max_waiting = max_waiting
        self._all: set[Connection] = set()
        # By network, the waiting connections in the order in which they began to wait; a dictionary as ordered set.
        self._waiting: dict[str, dict[Connection, None]] = {}
        self._waiting_count = 0
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._all)

    @property
    def waiting(self) -> int:
        """The number of connections that wait to be let in."""
        return self._waiting_count

    def open(self, host: str, end: Callable[[str], None]) -> Connection:
        """
        Take a new connection from the address C{host}, which waits to be let in.

        Raises L{NoRoomError} if the limit is reached and no connection waits.
        """
        network = f"{host} {next(self._numbers)}" if self.is_shared(host) else network_of(host)
        connection = Connection(self, network, end)
        if len(self._all) >= self._limit:
            self._make_room()
        self._all.add(connection)
        connection.wait()
        return connection

    def end_all(self, reason: str) -> None:
        """End all connections."""
        for connection in tuple(self._all):
            connection.end(reason)

    def add_waiting(self, connection: Connection) -> None:
        """Note that C{connection} waits from now on."""
        if self._waiting_count >= self.max_waiting:
            self._make_room()
        self._waiting.setdefault(connection.network, {})[connection] = None
        self._waiting_count += 1

    def discard_waiting(self, connection: Connection) -> None:
        """Note that C{connection} does not wait, if it did."""
        waiting = self._waiting.get(connection.network, {})
        if connection in waiting:
            del waiting[connection]
            self._waiting_count -= 1
        if not waiting:
            self._waiting.pop(connection.network, None)

    def discard(self, connection: Connection) -> None:
        """Remove C{connection}, which is lost."""
        self._all.discard(connection)

    def _make_room(self) -> None:
        if not self._waiting:
            raise NoRoomError("the limit on connections has been reached, try again later")
        most = max(self._waiting.values(), key=len)
        next(iter(most)).end("it made room for a newer one")


class Limits(NamedTuple):
    """The limits on the connections of a server; see L{limits_for}."""

    connections: int
    viewers: int
    snapshots: int
    waiting: int


_MIN_WAITING = 20  # a browser alone opens six connections, and asks over all of them at once


def limits_for(max_viewers: int, max_connections: int) -> Limits:
    """
    The limits of a server that may have C{max_connections}.

    Viewers hold at most three quarters of them and snapshots an eighth: the rest is for peers that are not let in yet.
    """
    others = max(max_viewers, _MIN_WAITING)
    return Limits(
        connections=max_connections,
        viewers=min(max_viewers, max(1, max_connections * 3 // 4)),
        snapshots=min(others, max(1, max_connections // 8)),
        waiting=min(others, max_connections),
    )
