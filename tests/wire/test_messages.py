"""The messages: what is parsed, what is refused, and what is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.secret import Secret
from twistedcam.wire.fields import FieldError
from twistedcam.wire.framing import pack as pack_bytes
from twistedcam.wire.messages import (
    Cameras,
    CamerasRequest,
    Challenge,
    FromServer,
    FromViewer,
    Hello,
    Ping,
    Pong,
    Refused,
    pack,
    parse_from_server,
    parse_from_viewer,
    to_json,
)

_VIEWERS: list[FromViewer] = [
    Hello(),
    Hello("desk", 12.5, False, "n" * 16, "0f" * 32, "me", Secret("secret")),
    Ping(),
    Ping(1.5),
    Ping("a text"),
    CamerasRequest(),
]
_SERVERS: list[FromServer] = [
    Challenge("n" * 100, "0f" * 32),
    Pong(1.5, 1795487331.5),
    Pong(None, 0.0),
    Cameras(("desk", "Türe")),
    Refused("the server is full", True),
    Refused("no"),
]


def as_bytes(message: dict[str, Any]) -> bytes:
    """A JSON object's bytes."""
    return json.dumps(message).encode()


class RoundTripTests(SynchronousTestCase):
    """What is sent is what is parsed."""

    def test_from_viewer(self) -> None:
        """Each message of a viewer is parsed as it was sent."""
        for message in _VIEWERS:
            self.assertEqual(parse_from_viewer(to_json(message)), message)

    def test_from_server(self) -> None:
        """Each message of a server is parsed as it was sent."""
        for message in _SERVERS:
            self.assertEqual(parse_from_server(to_json(message)), message)

    def test_golden(self) -> None:
        """The bytes that older peers know stay the same: compact, and without default values."""
        self.assertEqual(to_json(Hello()), b'{"type":"hello"}')
        self.assertEqual(to_json(Hello("desk", adapt=False)), b'{"type":"hello","camera":"desk","adapt":false}')
        self.assertEqual(to_json(Ping(1.5)), b'{"type":"ping","sent":1.5}')
        self.assertEqual(to_json(CamerasRequest()), b'{"type":"cameras"}')
        self.assertEqual(to_json(Pong(1.5, 2.0)), b'{"type":"pong","sent":1.5,"clock":2.0}')
        self.assertEqual(to_json(Cameras(("a", "b"))), b'{"type":"cameras","cameras":["a","b"]}')
        self.assertEqual(pack(Ping(1.5)), pack_bytes(to_json(Ping(1.5))))

    def test_sent_comes_back_as_it_was(self) -> None:
        """A ping's time stamp is returned with the type in which it came."""
        for sent in (12, 12.5, "12", "x" * 3000, None):
            ping = parse_from_viewer(as_bytes({"type": "ping", "sent": sent}))
            assert isinstance(ping, Ping)
            self.assertEqual(json.loads(to_json(Pong(ping.sent, 0.0)))["sent"], sent)
            self.assertIs(type(ping.sent), type(sent))

    def test_credentials_stay_out_of_logs(self) -> None:
        """The representation of a hello contains the camera, but no credentials."""
        text = repr(Hello("desk", user="me", password=Secret("secret"), proof="0f"))
        self.assertIn("desk", text)
        self.assertNotIn("secret", text)
        self.assertNotIn("0f", text)


class ParsingTests(SynchronousTestCase):
    """Whatever a peer sends is a message, None, or a FieldError."""

    def test_unknown(self) -> None:
        """Types and fields of later versions are ignored, and so is a type that is not text."""
        kinds: list[Any] = ["wave", None, 1, [], {}]
        for kind in kinds:
            self.assertIsNone(parse_from_viewer(as_bytes({"type": kind})))
            self.assertIsNone(parse_from_server(as_bytes({"type": kind})))
        self.assertIsNone(parse_from_viewer(b"{}"))
        self.assertEqual(parse_from_viewer(as_bytes({"type": "hello", "hat": {"a": [1]}})), Hello())

    def test_directions(self) -> None:
        """The messages of one side are unknown when they come from the other."""
        self.assertIsNone(parse_from_viewer(to_json(Refused("no"))))
        self.assertIsNone(parse_from_server(to_json(Ping(1.5))))

    def test_not_json(self) -> None:
        """Damaged, too deep or falsely encoded JSON, and numbers that JSON does not have, are refused."""
        bad = (
            *(b"{", b"{]", b'{"a":' * 2000, b'{"a":\xff}', b"[]", '{"type":"hello"}'.encode("utf-16")),
            *(b'{"type":"ping","sent":NaN}', b'{"type":"ping","sent":-Infinity}', b'{"type":"\xed\xa0\x80"}'),
        )
        for payload in bad:
            self.assertRaises(FieldError, parse_from_viewer, payload)
            self.assertRaises(FieldError, parse_from_server, payload)

    def test_numbers_without_end(self) -> None:
        """Integers of thousands of digits and numbers beyond a float are refused, or come back as they were."""
        kinds = ("hello", "ping", "pong", "cameras", "challenge", "refused")
        for number in ("9" * 60_000, "-" + "9" * 60_000, "1e400", "-1e400", "1e-400", "9" * 4300, "1" + "0" * 400):
            for kind in kinds:
                for name in ("fps", "sent", "clock", "camera", "again", "hat"):
                    payload = f'{{"type":"{kind}","{name}":{number}}}'.encode()
                    for parse in (parse_from_viewer, parse_from_server):
                        self.check_refused_or_sent(parse, payload)

    def check_refused_or_sent(self, parse: Callable[[bytes], Any], payload: bytes) -> None:
        """C{payload} is a message that can be sent, unknown, or a FieldError whose text is short and prints."""
        try:
            message = parse(payload)
        except FieldError as error:
            self.assertTrue(str(error).isprintable() and len(str(error)) < 300, error)
        else:
            if message is not None:
                to_json(message)

    def test_deep(self) -> None:
        """Nesting is refused at any depth that Python does not read, in every kind of field."""
        for depth in (900, 1_100, 30_000):
            for inner in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
                for name in ("type", "camera", "sent", "hat"):
                    payload = f'{{"{name}":{inner}}}'.encode()
                    for parse in (parse_from_viewer, parse_from_server):
                        self.check_refused_or_sent(parse, payload)
                        self.check_refused_or_sent(parse, payload.replace(b"1}", b'"\\u0041"}', 1))

    def test_lone_surrogates(self) -> None:
        """Text that cannot be encoded is refused wherever it is: in a value, a key, or a field that nobody reads."""
        for found in (
            {"type": "\ud800"},
            {"type": "ping", "\udfff": 1},
            {"type": "hello", "hat": [{"a": ["x\ud800"]}]},
        ):
            self.assertRaises(FieldError, parse_from_viewer, as_bytes(found))
            self.assertRaises(FieldError, parse_from_server, as_bytes(found))
        self.assertEqual(parse_from_viewer(as_bytes({"type": "hello", "camera": "\U0001f4f7"})), Hello("\U0001f4f7"))

    def test_bad_values_from_viewers(self) -> None:
        """A value of the wrong type, out of bounds, or that is not valid text is refused, and the error names it."""
        bad: list[tuple[str, dict[str, Any]]] = [
            ("fps", {"type": "hello", "fps": "fast"}),
            ("fps", {"type": "hello", "fps": -1}),
            ("fps", {"type": "hello", "fps": 1e9}),
            ("fps", {"type": "hello", "fps": True}),
            ("fps", {"type": "hello", "fps": 10**400}),
            ("fps", {"type": "hello", "fps": None}),
            ("camera", {"type": "hello", "camera": ["desk"]}),
            ("nonce", {"type": "hello", "nonce": "short"}),
            ("nonce", {"type": "hello", "nonce": "n" * 101}),
            ("proof", {"type": "hello", "proof": 1}),
            ("user", {"type": "hello", "user": {}}),
            ("sent", {"type": "ping", "sent": [1]}),
        ]
        for name, message in bad:
            error = self.assertRaises(FieldError, parse_from_viewer, as_bytes(message))
            self.assertIn(name, str(error))
        self.assertRaises(FieldError, parse_from_viewer, b'{"type":"ping","sent":1e999}')

    def test_bad_values_from_servers(self) -> None:
        """The same holds for the messages of servers."""
        bad: list[tuple[str, dict[str, Any]]] = [
            ("clock", {"type": "pong", "sent": 1.0}),
            ("clock", {"type": "pong", "sent": 1.0, "clock": "noon"}),
            ("clock", {"type": "pong", "sent": 1.0, "clock": 1e13}),
            ("cameras", {"type": "cameras"}),
            ("cameras", {"type": "cameras", "cameras": []}),
            ("cameras", {"type": "cameras", "cameras": "desk"}),
            ("camera", {"type": "cameras", "cameras": ["desk", 1]}),
            ("reason", {"type": "refused", "reason": ["no"]}),
            ("nonce", {"type": "challenge", "proof": "00"}),
            ("proof", {"type": "challenge", "nonce": "n" * 16}),
        ]
        for name, message in bad:
            error = self.assertRaises(FieldError, parse_from_server, as_bytes(message))
            self.assertIn(name, str(error))

    def test_text_that_does_not_print(self) -> None:
        """A name that does not print is refused; a reason is shown with its escape sequences written out."""
        for name in ("\x1b[2J", "a\rb", "\u202eevil"):
            self.assertRaises(FieldError, parse_from_server, as_bytes({"type": "cameras", "cameras": [name]}))
            refused = parse_from_server(as_bytes({"type": "refused", "reason": name}))
            assert isinstance(refused, Refused)
            self.assertTrue(refused.reason.isprintable())

    def test_long_texts(self) -> None:
        """Names and reasons are cut off where a comment segment ends; a proof with text after it is not a proof."""
        refused = parse_from_server(as_bytes({"type": "refused", "reason": "no" * 1000}))
        assert isinstance(refused, Refused)
        self.assertEqual(len(refused.reason), 200)
        hello = parse_from_viewer(as_bytes({"type": "hello", "proof": "0" * 65}))
        assert isinstance(hello, Hello)
        self.assertNotEqual(hello.proof, "0" * 64)
