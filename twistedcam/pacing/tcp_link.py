"""How fast: a bound on the rate of frames, and how much of a viewer's link may be filled."""

from __future__ import annotations

import random
import socket
import struct
import sys
from collections.abc import Callable
from typing import NamedTuple

LOW_WATER_BYTES = 16 * 1024
SMALL_SEND_BUFFER_BYTES = 32 * 1024

_PROVEN_AFTER_FRAMES = 10
# Not a fixed number, or viewers who came together were all looked at for the same frame.
_FEWEST_TRUSTED_FRAMES, _MOST_TRUSTED_FRAMES = 20, 40
# More than the bandwidth-delay product, or the link would run dry between two looks: a share, but of a long delay only
# so much, since it is age.
_MARGIN = 0.25
_LONGEST_MARGIN_SECONDS = 0.03
# An acknowledgement may be put off by 40 ms until there are so many: over loopback they are of 64 kB.
_UNACKNOWLEDGED_PACKETS = 2
# The kernel forgets the shortest round trip after 5 minutes: were the link never empty, what it measures next would
# have our own queue in it, and that queue would grow and grow.
_EMPTY_EVERY_SECONDS = 30.0
_SHORTEST_WAIT_SECONDS = 0.001
_LONGEST_WAIT_SECONDS = 0.25
# A slow reader's window opens when it has read much: looked for the less often the longer it takes.
_OPEN_WINDOW = 0.5
_SHORTEST_WINDOW_WAIT_SECONDS = 0.005
_WINDOW_WAIT_GROWTH = 0.25


class WindowedMax:
    """The largest of the values of the last 5 to 10 seconds."""

    _PERIOD_SECONDS = 5.0

    def __init__(self, now: float) -> None:
        self._began = now
        self._periods = (0, 0)  # this one and the one before

    def add(self, value: int, now: float) -> int:
        """The largest, C{value} among them."""
        this, before = self._periods
        if now - self._began > self._PERIOD_SECONDS:
            self._began = now
            this, before = 0, this
        self._periods = (max(this, value), before)
        return max(self._periods)


class TCPInfo(NamedTuple):
    """What is asked of struct tcp_info, linux/tcp.h, which says it in bytes, packets and microseconds."""

    packet_bytes: int = 0
    arrived_packets: int = 0  # behind one that was lost
    acknowledged_bytes: int = 0
    unsent_bytes: int = 0
    min_rtt: int = 0
    bytes_per_second: int = 0  # that were delivered, lately; 0: not known yet
    sent_bytes: int = 0
    repeated_bytes: int = 0
    window_bytes: int = 0  # that the viewer's side would take

    @property
    def unacknowledged_bytes(self) -> int:
        """What was written and is not known to have arrived."""
        return self.unsent_bytes + self.sent_bytes - self.repeated_bytes - self.acknowledged_bytes

    @property
    def put_off_bytes(self) -> int:
        """As much as may be unacknowledged where nothing is in the way."""
        return _UNACKNOWLEDGED_PACKETS * self.packet_bytes


# tcpi_snd_mss, tcpi_sacked, tcpi_bytes_acked, tcpi_notsent_bytes, tcpi_min_rtt, tcpi_delivery_rate, tcpi_bytes_sent,
# tcpi_bytes_retrans and tcpi_snd_wnd.
_TCP_INFO = struct.Struct("@16xI8xI88xQ16xII8xQ32xQQ12xI")


def drain_seconds(info: TCPInfo, bytes_per_second: int) -> float:
    """Until no more is on its way than keeps the link busy; 0.0 where it is so. A rate of 0 is one not known yet."""
    min_rtt = info.min_rtt / 1e6
    margin = min(_MARGIN * min_rtt, _LONGEST_MARGIN_SECONDS)
    allowed = max(info.put_off_bytes, bytes_per_second * (min_rtt + margin))
    # What arrived behind something lost is not acknowledged, but not on its way any more either.
    excess = info.unacknowledged_bytes - info.arrived_packets * info.packet_bytes - allowed
    if excess <= 0:
        return 0.0
    drain = excess / bytes_per_second if bytes_per_second else min_rtt
    return min(max(drain, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)


class Link:
    """
    How much may be on its way to one viewer: thin until proven fast.

    On a thin link the kernel's queue is kept short (TCP_NOTSENT_LOWAT) and a frame may begin only while what is sent
    and unacknowledged is little more than the bandwidth-delay product, and what the viewer's side has not read at most
    half of what it has room for: whatever waits in a queue, ours, the network's or theirs, gets old there. That costs
    system calls and wake-ups, so a link that held nothing up when the next frame was due ten times in a row is fast:
    it is only looked at now and then, and thin again at the first sign of holding a frame up.
    """

    def __init__(self, handle: socket.socket, seconds: Callable[[], float]) -> None:
        self._socket = handle
        self._seconds = seconds
        self._is_tcp = handle.family in (socket.AF_INET, socket.AF_INET6)
        self._measures = self._is_tcp and sys.platform == "linux"
        self._clean = 0
        self._rate = WindowedMax(seconds())
        self._window = WindowedMax(seconds())
        self._full_since: float | None = None  # the viewer's window
        self._empty_at = seconds()
        self.fast = False
        self._keep_queue_short(True)

    def trusted_frames(self) -> int:
        """How many more frames may begin, after one that may, before this is asked again."""
        return random.randint(_FEWEST_TRUSTED_FRAMES, _MOST_TRUSTED_FRAMES) if self.fast else 0

    def wait(self) -> float:
        """Seconds until a new frame may begin; 0.0 is now."""
        if not self._measures:
            return 0.0
        info, now = self._info(), self._seconds()
        if info is None:
            return 0.0
        is_full = info.window_bytes < _OPEN_WINDOW * self._window.add(info.window_bytes, now)
        if info.unsent_bytes or is_full:
            self.held_up()
            return self._until_read(now)
        self._full_since = None
        if info.unacknowledged_bytes <= info.put_off_bytes:
            self._empty_at = now
            self._found_clean()
            return 0.0
        self.held_up()
        if now - self._empty_at > _EMPTY_EVERY_SECONDS:
            info = info._replace(min_rtt=0)  # nothing more than may always be on its way
        return drain_seconds(info, self._rate.add(info.bytes_per_second, now))

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

    def _info(self) -> TCPInfo | None:
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        if len(info) < _TCP_INFO.size:  # of a kernel before 5.4
            return None
        return TCPInfo(*_TCP_INFO.unpack(info))

    def _until_read(self, now: float) -> float:
        """When to look again whether the viewer's side has read what it has: it does not tell how fast it reads."""
        if self._full_since is None:
            self._full_since = now
        wait = _WINDOW_WAIT_GROWTH * (now - self._full_since)
        return min(max(wait, _SHORTEST_WINDOW_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
