"""
A hostile crowd, for the soak: connections that keep silent, dawdle, guess, flood and send garbage, over both protocols.

Each kind is a function that attacks once, for a few seconds, and is called again and again in threads of its own: what
is disconnected comes back at once.
"""

from __future__ import annotations

import base64
import contextlib
import random
import socket
import time
from collections.abc import Callable

from benchmarks.peers import connect
from twistedcam.wire.framing import PREFIX

_SECONDS = 20.0  # of one attack
_GUESS = base64.b64encode(b"you:guess").decode()
_INSIDER = base64.b64encode(b"me:secret").decode()


def _many(port: int, count: int, first: bytes, rest: bytes, pause: float) -> None:
    """Keep C{count} connections that say C{first}, and C{rest} after each pause; those that are ended come back."""
    end = time.monotonic() + _SECONDS
    held: list[socket.socket] = []
    while time.monotonic() < end:
        while len(held) < count:
            held.append(connect("127.0.0.1", port))
            held[-1].settimeout(1.0)
            held[-1].sendall(first)
        time.sleep(pause)
        for connection in held[:]:
            try:
                connection.sendall(rest)
            except OSError:
                held.remove(connection)
                connection.close()
    for connection in held:
        connection.close()


def _once(port: int, data: bytes, seconds: float = 0.05) -> None:
    """Connect, send C{data}, wait a little, and leave."""
    with connect("127.0.0.1", port) as connection:
        connection.settimeout(1.0)
        connection.sendall(data)
        time.sleep(seconds)


def _message(text: bytes) -> bytes:
    return PREFIX.pack(len(text)) + text


def slow_headers(wire: int, web: int) -> None:
    """One line of a header every few seconds."""
    _many(web, 60, b"GET / HTTP/1.1\r\n", b"X: y\r\n", 3.0)


def slow_hellos(wire: int, web: int) -> None:
    """One byte of a hello every few seconds."""
    _many(wire, 60, PREFIX.pack(4000) + b"{", b" ", 3.0)


def silent(wire: int, web: int) -> None:
    """Nothing at all."""
    _many(random.choice((wire, web)), 60, b"", b"", 1.0)


def pipelined(wire: int, web: int) -> None:
    """Six hundred requests for pictures by somebody with a password, whose answers are not read."""
    request = f"GET /snapshot?max_age=3600 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {_INSIDER}\r\n\r\n"
    _once(web, request.encode() * 600, _SECONDS)


def guesses(wire: int, web: int) -> None:
    """Wrong passwords, fifty a second. (At the viewers' own name they would share its turns, at one address.)"""
    hello = b'{"type":"hello","user":"you","password":"guess"}'
    for _ in range(20):
        _once(wire, _message(hello), 0.02)
        _once(web, f"GET /state HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {_GUESS}\r\n\r\n".encode(), 0.02)


def garbage(wire: int, web: int) -> None:
    """Random bytes, JSON with a lone surrogate, half a TLS handshake, odd headers."""
    for data in (
        random.randbytes(1000),
        _message(b'{"type":"hello","camera":"\\ud800"}'),
        b"\x16\x03\x01\x02\x00" + random.randbytes(200),
        b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\nHost: b\r\nAccept: application/openmetrics-text; version=x\r\n\r\n",
    ):
        for port in (wire, web):
            _once(port, data)


def strangers(wire: int, web: int) -> None:
    """A hundred connections a second that leave at once."""
    for _ in range(50):
        _once(random.choice((wire, web)), b"", 0.01)


KINDS: tuple[Callable[[int, int], None], ...] = (
    slow_headers,
    slow_hellos,
    silent,
    pipelined,
    guesses,
    garbage,
    strangers,
)


def attack(wire: int, web: int, kind: int) -> None:
    """Attack without end."""
    while True:
        with contextlib.suppress(OSError):
            KINDS[kind](wire, web)
            continue
        time.sleep(0.05)  # refused or reset
