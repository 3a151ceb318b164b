"""A viewer's side of watching one server: the newest frame, its age, and the state of the connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.logger import Logger

from twistedcam import codec
from twistedcam.codec import CodecError
from twistedcam.frame import Frame, FrameError
from twistedcam.rates import Meter
from twistedcam.wire.framing import PICKLE_FIRST_BYTE

log = Logger()

_CLOCK_SAMPLES = 10
_CLOCK_ERROR_SECONDS = 0.1

CONNECTING, CONNECTED, RECONNECTING = "connecting", "connected", "reconnecting"


class ServerClock:
    """
    The server's clock, estimated from pings and pongs; all times in seconds.

    The pong with the shortest round trip is used: its error is at most half of that.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=_CLOCK_SAMPLES)
        # What to add to our monotonic time to get the server's time of day; None before
        # the first pong. Other threads may read it.
        self.offset: float | None = None

    def now(self, monotonic: float) -> float | None:
        """The server's time of day at our time C{monotonic}; None before the first pong."""
        offset = self.offset
        return None if offset is None else monotonic + offset

    def add(self, sent: float, clock: float, received: float) -> None:
        """Add a ping sent at C{sent} and answered at C{clock} by the server's clock, whose pong came at C{received}."""
        round_trip = received - sent
        offset = clock - (sent + received) / 2
        if self._samples:
            best_trip, best_offset = min(self._samples)
            if abs(offset - best_offset) > (round_trip + best_trip) / 2 + 0.001:
                self._samples.clear()  # more than both errors: the server's clock was set
        self._samples.append((round_trip, offset))
        self.offset = min(self._samples)[1]


class Session:
    """
    What is known about one server, over all connections: C{state}, C{problem}, C{cameras}, and the C{newest} frame.

    C{problem} is why there is no connection, in one line, and empty while there is one. C{on_frame} is called with each
    L{Frame}, C{on_failure} with one line if another attempt would not help, C{on_cameras} when the server has sent the
    names of its cameras.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        on_frame: Callable[[Frame], None],
        on_failure: Callable[[str], None],
        allow_pickle: bool = False,
        on_cameras: Callable[[], None] = lambda: None,
    ) -> None:
        self.monotonic = monotonic
        self.allow_pickle = allow_pickle
        self.state = CONNECTING
        self.problem = ""
        self.cameras: tuple[str, ...] = ()
        self.newest: Frame | None = None
        self.received = self.dropped = self.broken = 0
        self.has_connected = False
        self._was_let_in = False
        self._on_frame = on_frame
        self._on_failure = on_failure
        self._on_cameras = on_cameras
        self._clock = ServerClock()
        self._meter = Meter()
        self._is_over = False

    def stop(self) -> None:
        """Take no more frames, and report nothing more."""
        self._is_over = True

    def server_time(self) -> float | None:
        """The server's time of day, in seconds since the epoch; None while that is unknown."""
        return self._clock.now(self.monotonic())

    def fps(self) -> float:
        """Frames per second, received in the last two seconds."""
        return self._meter.fps(self.monotonic())

    def connected(self) -> None:
        """A connection was made."""
        self.state, self.problem = CONNECTED, ""
        self.has_connected = True
        self._was_let_in = False
        self._clock = ServerClock()
        self.forget()

    def take_let_in(self) -> bool:
        """Whether the last connection was let in: a frame or a pong came. Further calls return False."""
        was_let_in, self._was_let_in = self._was_let_in, False
        return was_let_in

    def forget(self) -> None:
        """The next frame comes from another connection or camera: no frame is missing between."""
        self.newest = None

    def disconnected(self, reason: str) -> None:
        """The connection was lost, or an attempt failed; another attempt follows."""
        self.state = RECONNECTING if self.has_connected else CONNECTING
        if reason != self.problem and not self._is_over:
            log.warn("{state}: {reason}", state=self.state, reason=reason)
        self.problem = reason

    def waits(self, reason: str) -> None:
        """There is a connection; C{reason} says why nothing has come over it yet, and is empty once something has."""
        if reason and reason != self.problem and not self._is_over:
            log.warn("{reason}", reason=reason)
        self.problem = reason

    def fail(self, reason: str) -> None:
        """Another attempt would not help."""
        self.problem = reason
        if not self._is_over:
            self._on_failure(reason)

    def cameras_received(self, cameras: tuple[str, ...]) -> None:
        """The server has sent the names of its cameras."""
        self.cameras = cameras
        if not self._is_over:
            self._on_cameras()

    def pong(self, sent: float, clock: float) -> None:
        """The server answered the ping sent at C{sent}, in monotonic time, at C{clock} by its own clock."""
        self._was_let_in = True
        self._clock.add(sent, clock, self.monotonic())

    def receive(self, payload: bytes) -> None:
        """Take the bytes of a JPEG or of an allowed pickle; a broken one is counted and skipped."""
        if self._is_over:
            return
        try:
            is_pickle = payload[0] == PICKLE_FIRST_BYTE
            frame = self._read_pickle(payload) if is_pickle else Frame.from_jpeg(payload, self.server_time)
        except (FrameError, CodecError) as error:
            if not self.broken:
                log.warn("broken frames are skipped, the first one: {error}", error=error)
            self.broken += 1
            return
        if self._clock_was_set(frame):
            self._clock = ServerClock()
        if self.newest is not None and self.newest.camera == frame.camera:
            self.dropped += max(0, frame.sequence - self.newest.sequence - 1)
        self._was_let_in = True
        self.received += 1
        self.newest = frame
        self._meter.add(self.monotonic())
        self._on_frame(frame)

    def _clock_was_set(self, frame: Frame) -> bool:
        """Whether C{frame} is older than one before it, or from the future: no age is known until the next pong."""
        before = self.newest.captured if self.newest is not None else None
        is_older = frame.captured is not None and before is not None and frame.captured < before
        return is_older or (frame.age is not None and frame.age < -_CLOCK_ERROR_SECONDS)

    def _read_pickle(self, payload: bytes) -> Frame:
        found = codec.load_pickle(payload)
        if isinstance(found, bytes):
            return Frame.from_jpeg(found, self.server_time)
        height, width = found.shape[:2]
        sequence = 0 if self.newest is None else self.newest.sequence + 1
        return Frame(payload, sequence=sequence, width=width, height=height)
