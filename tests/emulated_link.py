"""
An emulated link between two network namespaces of this machine, with a rate, a delay, losses and a queue.

Where the kernel has netem, a pair of its own devices and netem are the link. Where it has not, or the link is to stall
or be cut, packets go through two TUN devices and a thread of ours, which holds up to some 50 Mbit/s. Needs Linux, root
and iproute2.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import os
import random
import selectors
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SERVER_HOST, VIEWER_HOST = "10.98.1.1", "10.98.1.2"

_DEVICE = "wire"
_MTU_BYTES = 1500
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET, sched.h
_TUN_SET_INTERFACE = 0x400454CA  # TUNSETIFF, linux/if_tun.h
_TUN_PLAIN = 0x1001  # IFF_TUN | IFF_NO_PI
_LONGEST_WAIT_SECONDS = 0.05
_numbers = itertools.count()


@dataclass(frozen=True)
class Conditions:
    """
    The properties of a link from the server to the viewer; the way back has the same delay and nothing else.

    C{rate} in bits a second, 0 for no limit; C{delay} of one way in seconds; C{loss} as a share of the packets;
    C{queue} in bytes. The link stands still for the last C{stall_seconds} of every C{stall_every}, both ways.
    """

    rate: float = 0.0
    delay: float = 0.0
    loss: float = 0.0
    queue: float = 256e3
    stall_every: float = 0.0
    stall_seconds: float = 0.0

    def after_stall(self, seconds: float) -> float:
        """C{seconds}, or when the link moves again."""
        if not self.stall_seconds:
            return seconds
        into = seconds % self.stall_every
        return seconds if into < self.stall_every - self.stall_seconds else seconds - into + self.stall_every


class Way:
    """One direction: a queue that drops what does not fit, drained at the link's rate, and its delay after that."""

    def __init__(self, conditions: Conditions, chance: Callable[[], float]) -> None:
        self._is = conditions
        self._chance = chance
        self._free_at = 0.0
        self._queued: deque[tuple[float, int]] = deque()  # when it will have left, and its bytes
        self._queued_bytes = 0
        self._flying: deque[tuple[float, bytes]] = deque()
        self.carried = self.dropped = 0

    def put(self, packet: bytes, now: float) -> None:
        """Put a packet at the end of the queue."""
        while self._queued and self._queued[0][0] <= now:
            self._queued_bytes -= self._queued.popleft()[1]
        if self._queued_bytes + len(packet) > self._is.queue or self._chance() < self._is.loss:
            self.dropped += 1
            return
        self.carried += 1
        taken = len(packet) * 8 / self._is.rate if self._is.rate else 0.0
        self._free_at = self._is.after_stall(max(now, self._free_at)) + taken
        self._queued.append((self._free_at, len(packet)))
        self._queued_bytes += len(packet)
        self._flying.append((self._free_at + self._is.delay, packet))

    @property
    def next_arrival(self) -> float | None:
        """When the next packet arrives at the other end, if any is on its way."""
        return self._flying[0][0] if self._flying else None

    def take(self, now: float) -> Iterator[bytes]:
        """The packets that have arrived at the other end."""
        while self._flying and self._flying[0][0] <= now:
            yield self._flying.popleft()[1]


@dataclass
class Ends:
    """The two ends of a link: the words to put before a command to run it at one of them."""

    server: list[str]
    viewer: list[str]
    cut: threading.Event = field(default_factory=threading.Event)  # while it is set, nothing arrives


def ip(*words: str) -> None:
    """Run C{ip} with C{words}."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def link(conditions: Conditions, congestion: str = "cubic", seed: int = 0, may_be_cut: bool = False) -> Iterator[Ends]:
    """
    A link, until the block ends; TCP at both ends uses C{congestion} control, and C{seed} decides what is lost.

    Raises L{SystemExit} without the rights to make one.
    """
    if os.geteuid():
        raise SystemExit("an emulated link needs root: run this with sudo")
    number = f"{os.getpid()}-{next(_numbers)}"
    names = [f"twistedcam-{number}-{end}" for end in ("server", "viewer")]
    ends = Ends(["ip", "netns", "exec", names[0]], ["ip", "netns", "exec", names[1]])
    with contextlib.ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False, capture_output=True)
            ip("-n", name, "link", "set", "lo", "up")
        is_netem = not conditions.stall_seconds and not may_be_cut and _join_by_netem(names, conditions)
        if not is_netem:
            stack.enter_context(_joined_by_tun(names, conditions, seed, ends.cut))
        for name, there in zip(names, (VIEWER_HOST, SERVER_HOST), strict=True):
            ip("-n", name, "route", "replace", there, "dev", _DEVICE, "congctl", congestion)
        yield ends


def _address(name: str, here: str, there: str) -> None:
    ip("-n", name, "addr", "add", here, "peer", there, "dev", _DEVICE)
    ip("-n", name, "link", "set", _DEVICE, "up")


def _join_by_netem(names: list[str], conditions: Conditions) -> bool:
    server, viewer = names
    ip("link", "add", _DEVICE, "netns", server, "type", "veth", "peer", "name", _DEVICE, "netns", viewer)
    way = ["delay", f"{conditions.delay * 1e6:.0f}us"]
    # Packets on their way count, too.
    limit = (conditions.queue + conditions.rate / 8 * conditions.delay) / _MTU_BYTES
    out = [*way, "rate", f"{conditions.rate:.0f}bit", "limit", f"{max(limit, 10):.0f}"] if conditions.rate else way
    out += ["loss", f"{conditions.loss:.4%}"] if conditions.loss else []
    for name, words in ((server, out), (viewer, way)):
        command = ["tc", "-n", name, "qdisc", "add", "dev", _DEVICE, "root", "netem", *words]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            ip("-n", server, "link", "del", _DEVICE)
            return False
    _address(server, SERVER_HOST, VIEWER_HOST)
    _address(viewer, VIEWER_HOST, SERVER_HOST)
    # No offloading, which would bundle packets to 64 KiB.
    for name in names:
        ip("-n", name, "link", "set", _DEVICE, "gso_max_segs", "1")
    return True


@contextlib.contextmanager
def _joined_by_tun(names: list[str], conditions: Conditions, seed: int, cut: threading.Event) -> Iterator[None]:
    tuns = [_tun_in(name) for name in names]
    _address(names[0], SERVER_HOST, VIEWER_HOST)
    _address(names[1], VIEWER_HOST, SERVER_HOST)
    for name in names:
        ip("-n", name, "link", "set", _DEVICE, "txqueuelen", "20")  # so that the queue is ours
    back = Conditions(
        delay=conditions.delay,
        queue=float("inf"),
        stall_every=conditions.stall_every,
        stall_seconds=conditions.stall_seconds,
    )
    chance = random.Random(seed).random
    ways = {(tuns[0], tuns[1]): Way(conditions, chance), (tuns[1], tuns[0]): Way(back, chance)}
    ended = threading.Event()
    thread = threading.Thread(target=_carry, args=(ways, cut, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for tun in tuns:
            os.close(tun)


def _tun_in(namespace: str) -> int:
    """A new TUN device, in C{namespace}: its descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "this process may not enter another network namespace")
        try:
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tun, _TUN_SET_INTERFACE, struct.pack("16sH", _DEVICE.encode(), _TUN_PLAIN))
        finally:
            libc.setns(here, _NEW_NETWORK)
    finally:
        os.close(here)
        os.close(there)
    return tun


def _carry(ways: dict[tuple[int, int], Way], cut: threading.Event, ended: threading.Event) -> None:
    """Carry packets from each descriptor to the other, with the time that each takes."""
    with selectors.DefaultSelector() as selector:
        for (source, _), way in ways.items():
            selector.register(source, selectors.EVENT_READ, way)
        began = time.monotonic()
        while not ended.is_set():
            arrivals = [way.next_arrival for way in ways.values()]
            now = time.monotonic() - began
            wait = min((at - now for at in arrivals if at is not None), default=_LONGEST_WAIT_SECONDS)
            for key, _ in selector.select(max(0.0, min(_LONGEST_WAIT_SECONDS, wait))):
                _drain(key.fd, key.data, time.monotonic() - began)
            for (_, sink), way in ways.items():
                for packet in way.take(time.monotonic() - began):
                    if not cut.is_set():
                        with contextlib.suppress(OSError):  # its queue is full: lost, as anywhere
                            os.write(sink, packet)


def _drain(source: int, way: Way, now: float) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            way.put(os.read(source, 65536), now)
