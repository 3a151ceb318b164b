"""
Length-prefixed messages: bytes in, whole messages out, in linear time and capped.

A message is an 8-byte little-endian unsigned length and then that many bytes
(what C{struct.pack("Q", n)} gives on every PC and Raspberry Pi). The first byte
of a message says what it is: see L{MessageReceiver}.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.protocols.basic import StringTooLongError

PREFIX = struct.Struct("<Q")

MAX_BYTES_FROM_VIEWER = 4 * 1024
MAX_BYTES_FROM_SERVER = 64 * 1024 * 1024

JPEG_FIRST_BYTE, JSON_FIRST_BYTE, PICKLE_FIRST_BYTE = 0xFF, 0x7B, 0x80

# How TLS begins, where it meets somebody who does not speak it.
TLS_HANDSHAKE, TLS_ALERT = b"\x16\x03", b"\x15\x03"

# Chunks below this size are gathered before they are kept, so that a peer who
# sends single bytes makes us hold bytes and not as many Python objects.
_SMALL_CHUNK_BYTES = 4 * 1024


class Int64StringReceiver(Protocol):
    """
    Twisted's C{IntNStringReceiver} interface for 8-byte little-endian lengths.

    Every byte is copied once however it arrives, where Twisted's own receiver
    copies all it holds at each delivery; nothing is allocated for a length
    above C{MAX_LENGTH}, and nothing is read after L{refuse}.
    """

    structFormat = PREFIX.format
    prefixLength = PREFIX.size
    MAX_LENGTH = MAX_BYTES_FROM_SERVER

    paused = False

    transport: Any  # as in Twisted's own interface, whatever can write

    _refused = False
    _unprocessed = b""
    _prefix = b""
    _missing: int | None = None  # bytes of the message still to come; None between messages

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._small = bytearray()

    def stringReceived(self, string: bytes) -> None:
        """A whole message has come, without its prefix: to be overridden."""
        raise NotImplementedError

    def stringBegun(self, length: int, first: int) -> None:
        """The first byte of a message of C{length} bytes is here; L{refuse} it now or get it later."""

    def lengthLimitExceeded(self, length: int) -> None:
        """A message above C{MAX_LENGTH} bytes was announced: end the connection."""
        self.refuse(f"a message of {length} bytes was announced, the limit is {self.MAX_LENGTH}")

    def refuse(self, reason: str) -> None:
        """Read nothing more of this connection and end it at once; C{reason} is for whoever overrides this."""
        self._refused = True
        self._chunks.clear()
        self._small.clear()
        if self.transport is not None:
            self.transport.abortConnection()

    def sendString(self, string: bytes) -> None:
        """Send one message of fewer than 2**64 bytes, prefix and all."""
        if len(string) >= 2**64:
            raise StringTooLongError(f"a message of {len(string)} bytes does not fit an 8-byte length")
        self.transport.write(pack(string))

    def pauseProducing(self) -> None:
        """Stop reading and deliver nothing until L{resumeProducing}."""
        self.paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver what had come already, then read on."""
        self.paused = False
        self.transport.resumeProducing()
        self.dataReceived(b"")

    @property
    def is_amid_message(self) -> bool:
        """Whether a part of a message has come, and its end has not."""
        return bool(self._prefix) or self._missing is not None

    @property
    def unfinished_prefix(self) -> bytes:
        """What has come of a length of which not all has."""
        return self._prefix

    def dataReceived(self, data: bytes) -> None:
        """Take bytes as they come and deliver each message they complete."""
        if self._unprocessed:
            data, self._unprocessed = self._unprocessed + data, b""
        position = 0
        while position < len(data) and not self._refused:
            if self.paused:
                self._unprocessed = data[position:]
                return
            if self._missing is None:
                position = self._take_prefix(data, position)
            else:
                position = self._take_payload(data, position, self._missing)

    def _take_prefix(self, data: bytes, position: int) -> int:
        end = position + self.prefixLength - len(self._prefix)
        self._prefix += data[position:end]
        if len(self._prefix) < self.prefixLength:
            return end
        (length,) = PREFIX.unpack(self._prefix)
        if length > self.MAX_LENGTH:
            self.lengthLimitExceeded(length)
            self._refused = True
        elif length == 0:
            self._prefix = b""
            self.stringReceived(b"")
        else:
            self._missing = length
        return end

    def _take_payload(self, data: bytes, position: int, missing: int) -> int:
        if self._prefix:  # kept until the first byte of the payload is here
            self._prefix = b""
            self.stringBegun(missing, data[position])
            if self._refused:
                return position
        end = min(position + missing, len(data))
        whole = position == 0 and end == len(data)
        self._keep(data if whole else data[position:end])
        self._missing = missing - (end - position)
        if not self._missing:
            self._missing = None
            self.stringReceived(self._collect())
        return end

    def _keep(self, chunk: bytes) -> None:
        if len(chunk) >= _SMALL_CHUNK_BYTES:
            self._gather()
            self._chunks.append(chunk)
            return
        self._small += chunk
        if len(self._small) >= _SMALL_CHUNK_BYTES:
            self._gather()

    def _gather(self) -> None:
        if self._small:
            self._chunks.append(bytes(self._small))
            self._small.clear()

    def _collect(self) -> bytes:
        self._gather()
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class MessageReceiver(Int64StringReceiver):
    """
    Tells messages apart by their first byte: C{FF} a JPEG, C{{} a JSON object, C{80} a pickle.

    Whatever is not in C{accepted} is refused at its first byte, before the rest of it is kept.
    """

    accepted: tuple[int, ...] = (JSON_FIRST_BYTE,)

    def frameReceived(self, payload: bytes) -> None:
        """A JPEG or a pickle has come, neither of them looked into yet."""
        raise NotImplementedError

    def jsonReceived(self, message: dict[str, Any]) -> None:
        """A JSON object has come; its C{type} says what it is about."""
        raise NotImplementedError

    def sendJSON(self, message: dict[str, Any]) -> None:
        """Send C{message} as compact JSON."""
        self.transport.write(pack_json(message))

    def stringBegun(self, length: int, first: int) -> None:
        if first not in self.accepted:
            self.refuse(f"a message began with byte {first:02X}, which is nothing we were to be sent")

    def stringReceived(self, string: bytes) -> None:
        if not string:
            self.refuse("an empty message came")
        elif string[0] == JSON_FIRST_BYTE:
            self._json(string)
        else:
            self.frameReceived(string)

    def _json(self, string: bytes) -> None:
        try:
            message = json.loads(string)
        except (ValueError, RecursionError) as error:
            self.refuse(f"a message is not JSON: {error}")
            return
        self.jsonReceived(message)


def pack(payload: bytes) -> bytes:
    """The message of C{payload}: its prefix and itself."""
    return PREFIX.pack(len(payload)) + payload


def pack_json(message: dict[str, Any]) -> bytes:
    """The message of a JSON object, compact."""
    return pack(json.dumps(message, separators=(",", ":")).encode())
