"""Framing: bytes become messages, however they are divided, and within the limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.protocols.test.test_basic import IntNTestCaseMixin
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from twistedcam.wire.framing import (
    JPEG_FIRST_BYTE,
    JSON_FIRST_BYTE,
    PICKLE_FIRST_BYTE,
    PREFIX,
    FramingError,
    Int64StringReceiver,
    LengthLimitError,
    MessageParser,
    MessageReceiver,
    pack,
)

GOLDEN = Path(__file__).parents[1] / "golden"


class Strings(Int64StringReceiver):
    """Keeps what it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.strings: list[bytes] = []

    def stringReceived(self, string: bytes) -> None:
        self.strings.append(string)


class Messages(MessageReceiver):
    """Keeps what it receives, and why it refused the rest."""

    accepted = (JPEG_FIRST_BYTE, JSON_FIRST_BYTE, PICKLE_FIRST_BYTE)

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[bytes] = []
        self.json: list[dict[str, Any]] = []
        self.refused: list[str] = []

    def frameReceived(self, payload: bytes) -> None:
        self.frames.append(payload)

    def jsonReceived(self, payload: bytes) -> None:
        self.json.append(json.loads(payload.rstrip(b"\0") if len(payload) < 60_000 else b"{}"))

    def refuse(self, reason: str) -> None:
        self.refused.append(reason)
        super().refuse(reason)


def portions(content: bytes, size: int) -> list[bytes]:
    """C{content} cut into pieces of C{size} bytes."""
    return [content[at : at + size] for at in range(0, len(content), size)]


def held_bytes(parser: MessageParser) -> int:
    """How many bytes of an unfinished message C{parser} keeps."""
    return sum(map(len, parser._chunks)) + len(parser._small)


class GoldenTests(TestCase):
    """The files of tests/golden, delivered at once, byte by byte, and in between."""

    def received(self, name: str) -> Messages:
        """What is received from a golden file, which is the same for each size of portion."""
        content = (GOLDEN / name).read_bytes()
        results = []
        for size in (len(content), 1, 7, 100):
            protocol = Messages()
            protocol.makeConnection(StringTransport())
            for portion in portions(content, size):
                protocol.dataReceived(portion)
            results.append(protocol)
        first = results[0]
        for other in results[1:]:
            self.assertEqual((first.frames, first.json, first.refused), (other.frames, other.json, other.refused))
        return first

    def test_good(self) -> None:
        """Frames and JSON messages are received as they were sent."""
        got = self.received("good.wire")
        self.assertEqual(got.frames, [(GOLDEN / "frame.jpg").read_bytes(), (GOLDEN / "no-signal.jpg").read_bytes()])
        self.assertEqual(got.json, [{"type": "pong", "sent": 1.5, "clock": 1795487331.5}])
        self.assertEqual(got.refused, [])

    def test_truncated(self) -> None:
        """What is not complete is not delivered."""
        got = self.received("truncated.wire")
        self.assertEqual((len(got.frames), got.refused), (1, []))

    def test_over_the_cap(self) -> None:
        """An announcement above the limit ends the connection; what came before it is delivered."""
        got = self.received("over-the-cap.wire")
        self.assertEqual(len(got.frames), 1)
        self.assertEqual(got.refused, ["a message of 67108865 bytes was announced, the limit is 67108864"])

    def test_two_to_the_63(self) -> None:
        """An absurd announcement is refused once, and nothing after it is read."""
        got = self.received("two-to-the-63.wire")
        self.assertEqual(len(got.refused), 1)
        self.assertIn(str(2**63), got.refused[0])

    def test_garbage(self) -> None:
        """A message of an unknown kind is refused, and the error names its first byte."""
        got = self.received("garbage.wire")
        self.assertEqual((len(got.frames), len(got.refused)), (1, 1))
        self.assertIn("byte 47", got.refused[0])

    def test_broken_jpeg_is_framed_well(self) -> None:
        """To framing, a JPEG that is broken inside is a message like any other."""
        got = self.received("broken-jpeg.wire")
        self.assertEqual((len(got.frames), got.refused), (2, []))


class TwistedStrings(Int64StringReceiver):
    """A receiver as Twisted's own tests expect it: it keeps what it receives, and closes when too much is announced."""

    MAX_LENGTH = 50

    def __init__(self) -> None:
        super().__init__()
        self.received: list[bytes] = []
        self.closed = 0

    def stringReceived(self, string: bytes) -> None:
        self.received.append(string)

    def lengthLimitExceeded(self, length: int) -> None:
        self.transport.loseConnection()  # as Twisted's do; ours aborts

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed = 1


class TwistedsSuite(IntNTestCaseMixin, TestCase):
    """Twisted's own tests of its receivers, passed by ours."""

    protocol = TwistedStrings
    strings = [b"a", b"b" * 16]
    illegalStrings = [PREFIX.pack(2**60) + b"aaaaaa"]  # noqa: N815
    partialStrings = [b"\x00\x00\x00", b"hello there", b""]  # noqa: N815


class MessageParserTests(TestCase):
    """The parser, which has no transport."""

    def test_pull(self) -> None:
        """Messages are given one by one, and None while there is none."""
        parser = MessageParser(100)
        self.assertIsNone(parser.next_message())
        parser.receive(pack(b"one") + pack(b"") + pack(b"two")[:9])
        self.assertEqual([parser.next_message() for _ in range(3)], [b"one", b"", None])
        self.assertTrue(parser.is_amid_message)
        parser.receive(b"wo")
        self.assertEqual((parser.next_message(), parser.next_message()), (b"two", None))
        self.assertFalse(parser.is_amid_message)

    def test_bytes_received_before_the_last_were_taken(self) -> None:
        """Bytes that are received while a message has not been taken yet follow it."""
        parser = MessageParser(100)
        parser.receive(pack(b"one") + pack(b"two"))
        self.assertEqual(parser.next_message(), b"one")
        parser.receive(pack(b"three"))
        self.assertEqual([parser.next_message() for _ in range(3)], [b"two", b"three", None])

    def test_errors(self) -> None:
        """A message that is too long and an unexpected first byte are different errors."""
        parser = MessageParser(3)
        parser.receive(PREFIX.pack(4))
        self.assertEqual(self.assertRaises(LengthLimitError, parser.next_message).length, 4)
        parser = MessageParser(100, accepted=b"{")
        parser.receive(PREFIX.pack(100) + b"G")
        self.assertIn("byte 47", str(self.assertRaises(FramingError, parser.next_message)))
        self.assertEqual(held_bytes(parser), 0)

    def test_unfinished_prefix(self) -> None:
        """The bytes of an incomplete length can be read: they may be a TLS alert."""
        parser = MessageParser(100)
        parser.receive(b"\x15\x03\x03")
        self.assertIsNone(parser.next_message())
        self.assertEqual(parser.unfinished_prefix, b"\x15\x03\x03")


class Int64StringReceiverTests(TestCase):
    """Twisted's IntNStringReceiver interface."""

    def setUp(self) -> None:
        self.protocol = Strings()
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def test_send_string(self) -> None:
        """What is sent is what is received."""
        self.protocol.sendString(b"hello")
        self.assertEqual(self.transport.value(), b"\x05\0\0\0\0\0\0\0hello")
        self.protocol.dataReceived(self.transport.value())
        self.assertEqual(self.protocol.strings, [b"hello"])

    def test_empty_string(self) -> None:
        """A message may be empty."""
        self.protocol.dataReceived(pack(b"") + pack(b"x"))
        self.assertEqual(self.protocol.strings, [b"", b"x"])

    def test_nothing_is_allocated_for_an_announcement(self) -> None:
        """64 MiB announced and not sent cost nothing."""
        self.protocol.dataReceived(PREFIX.pack(64 * 1024 * 1024) + b"\xff")
        self.assertEqual(held_bytes(self.protocol._parser), 1)

    def test_single_bytes_are_gathered(self) -> None:
        """A sender of single bytes makes us hold bytes, not an object for each of them."""
        content = bytes(range(256)) * 200
        for portion in portions(pack(content), 1)[:-1]:
            self.protocol.dataReceived(portion)
        self.assertLess(len(self.protocol._parser._chunks), 20)
        self.protocol.dataReceived(content[-1:])
        self.assertEqual(self.protocol.strings, [content])

    def test_paused_between_messages(self) -> None:
        """A paused receiver delivers nothing, even of what it has, until it is resumed."""

        def pause(string: bytes) -> None:
            Strings.stringReceived(self.protocol, string)
            self.protocol.pauseProducing()

        self.patch(self.protocol, "stringReceived", pause)
        self.protocol.dataReceived(pack(b"one") + pack(b"two") + pack(b"three"))
        self.assertEqual(self.protocol.strings, [b"one"])
        self.protocol.dataReceived(pack(b"four"))
        self.protocol.resumeProducing()
        self.protocol.resumeProducing()
        self.assertEqual(self.protocol.strings, [b"one", b"two", b"three"])
        self.protocol.resumeProducing()
        self.assertEqual(self.protocol.strings, [b"one", b"two", b"three", b"four"])

    def test_refused_while_delivering(self) -> None:
        """After a refusal nothing of the same portion is delivered either."""

        def refuse(string: bytes) -> None:
            Strings.stringReceived(self.protocol, string)
            self.protocol.refuse("enough")

        self.patch(self.protocol, "stringReceived", refuse)
        self.protocol.dataReceived(pack(b"one") + pack(b"two"))
        self.protocol.dataReceived(pack(b"three"))
        self.assertEqual(self.protocol.strings, [b"one"])
        self.assertTrue(self.transport.disconnected)


class MessageReceiverTests(TestCase):
    """The kinds of messages."""

    def receive(self, *payloads: bytes) -> Messages:
        """What these messages lead to."""
        protocol = Messages()
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(b"".join(map(pack, payloads)))
        return protocol

    def test_empty(self) -> None:
        """An empty message has no kind, and is refused."""
        self.assertEqual(self.receive(b"").refused, ["an empty message came"])

    def test_refused_at_its_first_byte(self) -> None:
        """Of a large message of an unknown kind not even the second byte is kept."""
        protocol = Messages()
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(PREFIX.pack(1000000) + b"G")
        self.assertEqual(len(protocol.refused), 1)

    def test_large_json(self) -> None:
        """JSON that is announced with more than 64 kB is refused at its first byte; a frame of that size is not."""
        protocol = self.receive(b"{" + bytes(65_536 - 1), b"\xff" + bytes(70_000))
        self.assertEqual((len(protocol.frames), protocol.refused), (1, []))
        protocol.dataReceived(PREFIX.pack(65_537) + b"{")
        self.assertEqual(protocol.refused, ["a JSON message of 65537 bytes was announced, the limit is 65536"])
