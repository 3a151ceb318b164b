"""How fast: a bound on the rate of frames, and how much of a viewer's link may be filled."""

from __future__ import annotations

import math
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable

if sys.platform == "linux":
    import fcntl
    import termios


MOST_FPS = 1000  # that anybody may ask for


class RateLimit:
    """Says which of a run of pictures are due, so that they come to at most C{fps} a second; 0 is no limit."""

    # Cameras are not exact: a picture that is this share of a period early is still on time.
    _SLACK = 0.1

    def __init__(self, fps: float) -> None:
        self._period = 1 / fps if fps else 0.0
        self._next = -math.inf

    def due(self, seconds: float) -> bool:
        """Whether the picture taken at C{seconds} is due; any clock will do, and it may jump."""
        early = self._next - seconds
        slack = self._period * self._SLACK
        if slack < early <= self._period + slack:
            return False
        if abs(early) > self._period + slack:  # the first one, or a gap, or the clock was set
            self._next = seconds
        self._next += self._period
        return True


class Meter:
    """Frames a second over the last two seconds, however few or many; times may be of any one clock."""

    _WINDOW_SECONDS = 2.0
    _MOST_REMEMBERED = 500

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=self._MOST_REMEMBERED)

    def add(self, seconds: float) -> None:
        """A frame was there at C{seconds}."""
        self._times.append(seconds)

    def fps(self, now: float) -> float:
        """The rate at the time C{now}."""
        return sum(now - self._WINDOW_SECONDS < seconds for seconds in self._times) / self._WINDOW_SECONDS


LOW_WATER_BYTES = 16 * 1024
SMALL_SEND_BUFFER_BYTES = 32 * 1024

_PROVEN_AFTER_FRAMES = 10
_LOOK_EVERY_FRAMES = 30
_FILL = 1.25  # of the bandwidth-delay product
_FILL_AT_LEAST_BYTES = 3000
_RATE_WINDOW_SECONDS = 5.0  # two of them are remembered
_SHORTEST_WAIT_SECONDS = 0.001
_LONGEST_WAIT_SECONDS = 0.25
_FULL_WINDOW_WAIT_SECONDS = 0.005

# struct tcp_info, linux/tcp.h: tcpi_notsent_bytes, tcpi_min_rtt in microseconds, tcpi_delivery_rate in bytes a second.
_UNSENT = struct.Struct("@144xI")
_MIN_RTT = struct.Struct("@148xI")
_DELIVERY_RATE = struct.Struct("@160xQ")
_TCP_INFO_BYTES = 168


class Link:
    """
    How much may be on its way to one viewer: thin until proven fast.

    On a thin link the kernel's queue is kept short (TCP_NOTSENT_LOWAT) and a
    frame may begin only while what is sent and unacknowledged is at most 1.25
    times the bandwidth-delay product, since whatever waits in a queue, ours,
    the kernel's or the network's, gets old there. Both cost system calls and
    wake-ups, so a link that had acknowledged all when the next frame was due
    ten times in a row is fast: it is only looked at now and then, and thin
    again at the first sign of holding a frame up.
    """

    def __init__(self, handle: socket.socket, seconds: Callable[[], float]) -> None:
        self._socket = handle
        self._seconds = seconds
        self._is_tcp = handle.family in (socket.AF_INET, socket.AF_INET6)
        self._measures = self._is_tcp and sys.platform == "linux"
        self._clean = 0
        self._since_look = 0
        self._rates = (0, 0)  # the largest in this window and in the one before
        self._window_began = seconds()
        self.fast = False
        self._keep_queue_short(True)

    def wait(self) -> float:
        """Seconds until a new frame may begin; 0.0 is now."""
        if not self._measures:
            return 0.0
        if self.fast:
            self._since_look += 1
            if self._since_look < _LOOK_EVERY_FRAMES:
                return 0.0
            self._since_look = 0
        unacknowledged = self._unacknowledged()
        if unacknowledged <= _FILL_AT_LEAST_BYTES:  # an acknowledgement may be put off, a frame's worth is not
            self._found_clean()
            return 0.0
        self.held_up()
        return self._drain_seconds(unacknowledged)

    def held_up(self) -> None:
        """A frame was held up on this link: it is thin."""
        self._clean = 0
        if self.fast:
            self.fast = False
            self._keep_queue_short(True)

    def _found_clean(self) -> None:
        if self.fast:
            return
        self._clean += 1
        if self._clean >= _PROVEN_AFTER_FRAMES:
            self.fast = True
            self._since_look = 0
            self._keep_queue_short(False)

    def _keep_queue_short(self, short: bool) -> None:
        if not self._is_tcp:
            return
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # 0 is the system's own default again.
            level = LOW_WATER_BYTES if short else 0
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, level)
        elif short:
            # This cannot be taken back: the system's automatic size is gone once one was set.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_SEND_BUFFER_BYTES)

    def _unacknowledged(self) -> int:
        (count,) = struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0\0\0\0"))
        return int(count)

    def _drain_seconds(self, unacknowledged: int) -> float:
        rate, min_rtt, unsent = self._measure()
        allowed = max(_FILL_AT_LEAST_BYTES, _FILL * rate * min_rtt)
        excess = unacknowledged - allowed
        if unsent:  # the viewer's window is full: what it has not read yet is older than what is to come
            return _FULL_WINDOW_WAIT_SECONDS
        if excess <= 0:
            return 0.0
        drain = excess / rate if rate else min_rtt
        return min(max(drain, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)

    def _measure(self) -> tuple[int, float, int]:
        """Bytes a second (0: not known yet), the delay in seconds, and the bytes that have not been sent."""
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        if len(info) < _TCP_INFO_BYTES:
            return 0, 0.0, 0
        (min_rtt,) = _MIN_RTT.unpack_from(info)
        (unsent,) = _UNSENT.unpack_from(info)
        (rate,) = _DELIVERY_RATE.unpack_from(info)
        now = self._seconds()
        if now - self._window_began > _RATE_WINDOW_SECONDS:
            self._window_began = now
            self._rates = (0, self._rates[0])
        self._rates = (max(rate, self._rates[0]), self._rates[1])
        return max(self._rates), min_rtt / 1e6, unsent
