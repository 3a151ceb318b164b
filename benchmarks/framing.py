"""
What framing costs: python -m benchmarks.framing

One message of 25 MB in chunks as a socket delivers them: our parser, Twisted's Int32StringReceiver, and the minimum, a
read into a preallocated buffer. They are measured in turns; prints the medians and the ratio.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

from twisted.protocols.basic import Int32StringReceiver

from twistedcam.wire.framing import Int64StringReceiver, pack

_MESSAGE_BYTES = 25_000_000
_PORTION_BYTES = 65_536  # what Twisted reads at a time
_ROUNDS = 15


class Ours(Int64StringReceiver):
    """Our receiver; keeps the last message."""

    received = b""

    def stringReceived(self, string: bytes) -> None:
        """Keep the message."""
        self.received = string


class Twisted(Int32StringReceiver):
    """Twisted's receiver; keeps the last message."""

    MAX_LENGTH = _MESSAGE_BYTES
    received = b""

    def stringReceived(self, string: bytes) -> None:
        """Keep the message."""
        self.received = string


def _portions(content: bytes) -> list[bytes]:
    return [content[at : at + _PORTION_BYTES] for at in range(0, len(content), _PORTION_BYTES)]


def _receive(protocol: Ours | Twisted, portions: list[bytes]) -> bytes:
    for portion in portions:
        protocol.dataReceived(portion)
    return protocol.received


def _preallocated(portions: list[bytes]) -> memoryview:
    target = memoryview(bytearray(_MESSAGE_BYTES + 8))
    at = 0
    for portion in portions:
        target[at : at + len(portion)] = portion
        at += len(portion)
    return target[8:]


def main() -> None:
    """Measure and print."""
    payload = os.urandom(_MESSAGE_BYTES)
    ours, theirs = _portions(pack(payload)), _portions(len(payload).to_bytes(4, "big") + payload)
    contestants: dict[str, Callable[[], bytes | memoryview]] = {
        "preallocated read": lambda: _preallocated(ours),
        "ours": lambda: _receive(Ours(), ours),
        "Twisted's": lambda: _receive(Twisted(), theirs),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(_ROUNDS):
        for name, receive in contestants.items():
            began = time.perf_counter()
            received = receive()
            seconds[name].append(time.perf_counter() - began)
            assert received == payload, name
            del received  # so that the next one can use the same memory
    floor = statistics.median(seconds["preallocated read"])
    for name, measured in seconds.items():
        median = statistics.median(measured)
        spread = f"{min(measured) * 1e3:.1f} to {max(measured) * 1e3:.1f}"
        print(f"{name:18} {median * 1e3:7.1f} ms ({spread}), {median / floor:5.2f} x the preallocated read")


if __name__ == "__main__":
    main()
