"""
Length-prefixed messages: bytes in, whole messages out, in linear time and with a limit.

A message is an 8-byte little-endian unsigned length and then that many bytes (what C{struct.pack("Q", n)} gives on
every PC and Raspberry Pi). The first byte of a message says what it is: see L{MessageReceiver}.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.protocols.basic import StringTooLongError

PREFIX = struct.Struct("<Q")
# What other programs write before each message, by the names that Python's struct has for it; the first one is ours.
OTHER_PREFIXES = ("<Q", ">Q", "<L", ">L")

MAX_BYTES_FROM_VIEWER = 4 * 1024
MAX_BYTES_FROM_SERVER = 64 * 1024 * 1024
MAX_JSON_BYTES = 64 * 1024

JPEG_FIRST_BYTE, JSON_FIRST_BYTE, PICKLE_FIRST_BYTE = 0xFF, 0x7B, 0x80

_LIMITS = {JSON_FIRST_BYTE: MAX_JSON_BYTES}  # for messages that begin with this byte; max_length holds for all

# The first bytes of a TLS connection, and of the alert that TLS sends to a peer that does not speak it.
TLS_HANDSHAKE, TLS_ALERT = b"\x16\x03", b"\x15\x03"

# Chunks below this size are gathered before they are kept, so that a peer that
# sends single bytes makes us hold bytes and not as many Python objects.
_SMALL_CHUNK_BYTES = 4 * 1024


class FramingError(ValueError):
    """A stream that breaks the protocol; the text says how."""


class LengthLimitError(FramingError):
    """A message longer than the limit was announced; C{length} is in bytes."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"a message of {length} bytes was announced, the limit is {limit}")
        self.length = length


class MessageParser:
    """
    The messages in a stream of bytes, without a transport: L{receive} takes bytes, L{next_message} gives messages.

    Each byte is copied once, however it arrives, and no memory is allocated for a length that was only announced. Of a
    message whose first byte is not in C{accepted} (None accepts all) not even the second byte is kept. An error is
    final: the stream cannot be read on. C{prefix} is another form of the length.
    """

    def __init__(
        self, max_length: int, accepted: Collection[int] | None = None, prefix: struct.Struct = PREFIX
    ) -> None:
        self.max_length = max_length
        self._form = prefix
        self._accepted = accepted
        self._data = b""  # received, and parsed up to _position
        self._position = 0
        self._prefix = b""
        self._missing: int | None = None  # bytes of the message still to come; None between messages
        self._chunks: list[bytes] = []
        self._small = bytearray()

    @property
    def is_amid_message(self) -> bool:
        """Whether the beginning of a message has been parsed, and its end has not arrived."""
        return bool(self._prefix) or self._missing is not None

    @property
    def unfinished_prefix(self) -> bytes:
        """The bytes of a length that is not complete."""
        return self._prefix if self._missing is None else b""

    def receive(self, data: bytes) -> None:
        """Take the stream's next bytes."""
        self._data = data if self._position == len(self._data) else self._data[self._position :] + data
        self._position = 0

    def next_message(self) -> bytes | None:
        """The next complete message, or None until more bytes have arrived. Raises L{FramingError}."""
        while self._position < len(self._data):
            message = self._take_prefix() if self._missing is None else self._take_payload(self._missing)
            if message is not None:
                return message
        return None

    def _take_prefix(self) -> bytes | None:
        end = self._position + self._form.size - len(self._prefix)
        self._prefix += self._data[self._position : end]
        self._position = min(end, len(self._data))
        if len(self._prefix) < self._form.size:
            return None
        (length,) = self._form.unpack(self._prefix)
        if length > self.max_length:
            raise LengthLimitError(length, self.max_length)
        if length == 0:
            self._prefix = b""
            return b""
        self._missing = length
        return None

    def _take_payload(self, missing: int) -> bytes | None:
        position, data = self._position, self._data
        if self._prefix:  # kept until the first byte of the payload is here
            self._prefix = b""
            self._check_first(data[position], missing)
        end = min(position + missing, len(data))
        is_whole = position == 0 and end == len(data)
        self._keep(data if is_whole else data[position:end])
        self._position = end
        self._missing = missing - (end - position) or None
        return self._collect() if self._missing is None else None

    def _check_first(self, first: int, length: int) -> None:
        if self._accepted is not None and first not in self._accepted:
            raise FramingError(f"a message began with byte {first:02X}, which no message to us begins with")
        limit = _LIMITS.get(first, length)
        if length > limit:
            raise FramingError(f"a JSON message of {length} bytes was announced, the limit is {limit}")

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


class Int64StringReceiver(Protocol):
    """
    Twisted's C{IntNStringReceiver} interface for 8-byte little-endian lengths, over a L{MessageParser}.

    It takes linear time, where Twisted's own receiver copies all it holds at each delivery. After L{refuse} it reads
    nothing more. C{accepted} are the first bytes that a message may have, None for any.
    """

    structFormat = PREFIX.format
    prefixLength = PREFIX.size
    MAX_LENGTH = MAX_BYTES_FROM_SERVER

    accepted: Collection[int] | None = None
    prefix = PREFIX  # of the messages that are received

    paused = False

    transport: Any  # as in Twisted's own interface, whatever can write

    _refused = False

    def __init__(self) -> None:
        self._parser = MessageParser(self.MAX_LENGTH, self.accepted, self.prefix)

    def stringReceived(self, string: bytes) -> None:
        """A whole message was received, without its prefix; to be overridden."""
        raise NotImplementedError

    def lengthLimitExceeded(self, length: int) -> None:
        """A message above C{MAX_LENGTH} bytes was announced: end the connection."""
        self.refuse(str(LengthLimitError(length, self.MAX_LENGTH)))

    def refuse(self, reason: str) -> None:
        """Read nothing more of this connection and end it at once; C{reason} is for subclasses."""
        self._stop_reading()
        if self.transport is not None:
            self.transport.abortConnection()

    def _stop_reading(self) -> None:
        self._refused = True
        self._parser = MessageParser(self.MAX_LENGTH, self.accepted, self.prefix)  # which holds nothing

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
        """Deliver what was received already, then continue to read."""
        self.paused = False
        self.transport.resumeProducing()
        self.dataReceived(b"")

    def dataReceived(self, data: bytes) -> None:
        """Take bytes as they arrive and deliver each message that they complete."""
        if self._refused:
            return
        self._parser.receive(data)
        self._parser.max_length = self.MAX_LENGTH
        try:
            self._deliver()
        except LengthLimitError as error:
            self._stop_reading()
            self.lengthLimitExceeded(error.length)
        except FramingError as error:
            self.refuse(str(error))

    def _deliver(self) -> None:
        while not self.paused and not self._refused:
            message = self._parser.next_message()
            if message is None:
                return
            self.stringReceived(message)


class MessageReceiver(Int64StringReceiver):
    """
    Tells messages apart by their first byte: C{FF} a JPEG, C{E{lb}} a JSON object, C{80} a pickle.

    A message whose first byte is not in C{accepted} is refused at that byte, before the rest of it is kept.
    """

    accepted: Collection[int] | None = (JSON_FIRST_BYTE,)

    def frameReceived(self, payload: bytes) -> None:
        """A JPEG or a pickle was received, which has not been checked."""
        raise NotImplementedError

    def jsonReceived(self, payload: bytes) -> None:
        """A JSON object was received, which has not been parsed; see L{twistedcam.wire.messages}."""
        raise NotImplementedError

    def stringReceived(self, string: bytes) -> None:
        if not string:
            self.refuse("an empty message came")
        elif string[0] == JSON_FIRST_BYTE:
            self.jsonReceived(string)
        else:
            self.frameReceived(string)


def guess_prefix(start: bytes, max_length: int) -> str:
    """
    The one of L{OTHER_PREFIXES} with which C{start}, the first 8 bytes of a stream, begins; empty if it is none.

    A length of four bytes has to be followed by the beginning of a JPEG or of a pickle.
    """
    for form in OTHER_PREFIXES[1:]:
        prefix = struct.Struct(form)
        (length,) = prefix.unpack(start[: prefix.size])
        rest = start[prefix.size :]
        if 0 < length <= max_length and (not rest or rest[0] in (JPEG_FIRST_BYTE, PICKLE_FIRST_BYTE)):
            return form
    return ""


def read_prefix(text: str) -> struct.Struct:
    """The length that C{text} stands for, as Python's struct names it: one of 4 or 8 bytes. Raises ValueError."""
    order, kind = text[:-1], text[-1:].upper()
    if order and order in "<>!=" and kind in ("Q", "L", "I"):
        # Lengths that are signed look the same, as far as they are valid.
        return struct.Struct(order + kind)
    raise ValueError(
        f"{text!r:.60} is not the form of a length: write the order of its bytes and then Q for eight or L for four, "
        "such as '>L' or '<Q'"
    )


def pack(payload: bytes) -> bytes:
    """The message of C{payload}: its prefix and itself."""
    return PREFIX.pack(len(payload)) + payload
