"""How much of a viewer's TCP connection may be filled, from what the kernel reports about it (TCP_INFO)."""

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
# Not a fixed number, or the links of viewers that connected together would all be sampled for the same frame.
_MIN_TRUSTED_FRAMES, _MAX_TRUSTED_FRAMES = 20, 40
# What may be in flight beyond the bandwidth-delay product, so that the link does not run dry between two samples:
# a share of the round trip, but bounded, since it adds to the age of pictures.
_MARGIN = 0.25
_LONGEST_MARGIN_SECONDS = 0.03
# Receivers may delay ACKs by up to 40 ms or two segments; on loopback a segment is 64 kB.
_DELAYED_ACK_SEGMENTS = 2
# The kernel forgets the shortest round trip after 5 minutes. If the link were never empty, the next measurement would
# include our own queue, and the queue would grow without bound.
_EMPTY_EVERY_SECONDS = 30.0
_SHORTEST_WAIT_SECONDS = 0.001
_LONGEST_WAIT_SECONDS = 0.25
# A slow reader's receive window opens only after it has read much: it is sampled less often the longer that takes.
_OPEN_WINDOW = 0.5
_SHORTEST_WINDOW_WAIT_SECONDS = 0.005
_WINDOW_WAIT_GROWTH = 0.25


class WindowedMax:
    """The largest value of the last 5 to 10 seconds."""

    _PERIOD_SECONDS = 5.0

    def __init__(self, now: float) -> None:
        self._began = now
        self._periods = (0, 0)  # the largest of this period and of the one before

    def add(self, value: int, now: float) -> int:
        """Add C{value}; return the largest."""
        this, before = self._periods
        if now - self._began > self._PERIOD_SECONDS:
            self._began = now
            this, before = 0, this
        self._periods = (max(this, value), before)
        return max(self._periods)


class TCPInfo(NamedTuple):
    """The fields of struct tcp_info in linux/tcp.h that are used."""

    segment_bytes: int = 0
    sacked_segments: int = 0  # that arrived behind a lost one
    acknowledged_bytes: int = 0
    unsent_bytes: int = 0
    min_rtt: int = 0  # microseconds
    bytes_per_second: int = 0  # the recent delivery rate; 0 if it is not known yet
    sent_bytes: int = 0
    retransmitted_bytes: int = 0
    window_bytes: int = 0  # the receive window of the viewer's side

    @property
    def unacknowledged_bytes(self) -> int:
        """How many bytes were written and have not been acknowledged."""
        return self.unsent_bytes + self.sent_bytes - self.retransmitted_bytes - self.acknowledged_bytes

    @property
    def delayed_ack_bytes(self) -> int:
        """How many bytes may be unacknowledged on a link without any queue."""
        return _DELAYED_ACK_SEGMENTS * self.segment_bytes


# tcpi_snd_mss, tcpi_sacked, tcpi_bytes_acked, tcpi_notsent_bytes, tcpi_min_rtt, tcpi_delivery_rate, tcpi_bytes_sent,
# tcpi_bytes_retrans and tcpi_snd_wnd.
_TCP_INFO = struct.Struct("@16xI8xI88xQ16xII8xQ32xQQ12xI")


def drain_seconds(info: TCPInfo, bytes_per_second: int) -> float:
    """
    Seconds until no more is in flight than it takes to keep the link busy, 0.0 if that is so now.

    C{bytes_per_second} is the rate of the link, 0 if it is not known yet.
    """
    min_rtt = info.min_rtt / 1e6
    margin = min(_MARGIN * min_rtt, _LONGEST_MARGIN_SECONDS)
    allowed = max(info.delayed_ack_bytes, bytes_per_second * (min_rtt + margin))
    # What arrived behind a lost segment is not acknowledged, but not in flight any more either.
    excess = info.unacknowledged_bytes - info.sacked_segments * info.segment_bytes - allowed
    if excess <= 0:
        return 0.0
    drain = excess / bytes_per_second if bytes_per_second else min_rtt
    return min(max(drain, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)


def keep_queue_short(handle: socket.socket, short: bool = True) -> None:
    """Keep little of what was sent over C{handle} in the kernel's queue, or as much as usual; only TCP has one."""
    if handle.family not in (socket.AF_INET, socket.AF_INET6):
        return
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # 0 restores the system's default.
        level = LOW_WATER_BYTES if short else 0
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, level)
    elif short:
        # This cannot be undone: setting a size ends the system's automatic tuning.
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_SEND_BUFFER_BYTES)


class TCPLink:
    """
    How much may be in flight to one viewer: the link is thin until proven fast.

    On a thin link the kernel's queue is kept short (TCP_NOTSENT_LOWAT), and a frame may begin only while the bytes in
    flight are little more than the bandwidth-delay product, and the viewer's side has at least half of its receive
    window free: frames age in every queue, ours, the network's and the viewer's. That costs system calls and wake-ups.
    So a link that was empty ten times in a row when the next frame was due is fast: it is sampled only now and then,
    and is thin again as soon as it holds a frame up.
    """

    def __init__(self, handle: socket.socket, seconds: Callable[[], float]) -> None:
        self._socket = handle
        self._seconds = seconds
        self._measures = handle.family in (socket.AF_INET, socket.AF_INET6) and sys.platform == "linux"
        self._clean = 0
        self._rate = WindowedMax(seconds())
        self._window = WindowedMax(seconds())
        self._full_since: float | None = None  # the viewer's receive window
        self._empty_at = seconds()
        self.fast = False
        self._keep_queue_short(True)

    def trusted_frames(self) -> int:
        """How many more frames may begin before L{seconds_until_ready} is to be asked again."""
        return random.randint(_MIN_TRUSTED_FRAMES, _MAX_TRUSTED_FRAMES) if self.fast else 0

    def seconds_until_ready(self) -> float:
        """Seconds until a new frame may begin, 0.0 for now; after any other value it is to be asked again then."""
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
        if info.unacknowledged_bytes <= info.delayed_ack_bytes:
            self._empty_at = now
            self._found_clean()
            return 0.0
        self.held_up()
        if now - self._empty_at > _EMPTY_EVERY_SECONDS:
            info = info._replace(min_rtt=0)  # which lets the link run empty
        return drain_seconds(info, self._rate.add(info.bytes_per_second, now))

    def held_up(self) -> None:
        """A frame was held up: from now on the link is thin."""
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
        keep_queue_short(self._socket, short)

    def _info(self) -> TCPInfo | None:
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        if len(info) < _TCP_INFO.size:  # a kernel before 5.4
            return None
        return TCPInfo(*_TCP_INFO.unpack(info))

    def _until_read(self, now: float) -> float:
        """Seconds until the viewer's receive window is to be sampled again: how fast it reads is not known."""
        if self._full_since is None:
            self._full_since = now
        wait = _WINDOW_WAIT_GROWTH * (now - self._full_since)
        return min(max(wait, _SHORTEST_WINDOW_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
