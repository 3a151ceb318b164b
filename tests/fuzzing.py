"""
Arbitrary input to everything that reads what others send: python -m tests.fuzzing [--inputs 1000000]

Each check is given that many inputs, which hypothesis makes from scratch and from the golden files; a sample of them is
part of the tests. Only a documented error or a result may come out.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.ssl import KeyPair
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twistedcam import codec
from twistedcam.access.credentials import KeyCredentials
from twistedcam.access.sharekey import KeyTextError, read_key, write_key
from twistedcam.client.connection import _UNPROVED, ServerConnectionFactory
from twistedcam.client.session import Session
from twistedcam.codec import CodecError
from twistedcam.frame import Frame, FrameError
from twistedcam.hub import Hub
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.wire.framing import JPEG_FIRST_BYTE, JSON_FIRST_BYTE, PICKLE_FIRST_BYTE, MessageReceiver, pack

_WRONG_KEY = "the server does not have this key: compare it with the one that the server shows"

GOLDEN = Path(__file__).parent / "golden"


def golden(pattern: str) -> list[bytes]:
    """The golden files of a kind."""
    return [path.read_bytes() for path in sorted(GOLDEN.glob(pattern))]


@st.composite
def mutated(draw: Callable[..., Any], originals: list[bytes]) -> bytes:
    """One of C{originals} with a few bytes changed, removed, inserted or cut off."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        end = at + draw(st.integers(0, 8))
        content[at:end] = draw(st.binary(max_size=8))
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)


# Including lone surrogates, which JSON can spell and nothing can encode, and what terminals act on.
_texts = st.text(max_size=20) | st.text("a\x1b\r\n\u202e\ud800\udfff", max_size=5)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=8,
)
_words = ("type", "camera", "fps", "user", "password", "nonce", "proof", "sent", "clock", "again", "reason", "cameras")
_kinds = st.sampled_from(("hello", "ping", "pong", "challenge", "refused", "cameras"))
_plain = st.fixed_dictionaries({"type": _kinds | _values}, optional=dict.fromkeys(_words[1:], _values))
_messages = st.tuples(_plain, st.dictionaries(_texts, _values, max_size=2)).map(lambda two: two[1] | two[0])
# The nonce and the proof of a challenge as a server may send them: valid, or nearly.
_hex = st.text("0123456789abcdef", min_size=14, max_size=102)
_challenges = st.fixed_dictionaries(
    {"type": st.just("challenge")}, optional={"nonce": _hex | _values, "proof": _hex | _values, "cameras": _values}
)


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


@st.composite
def hostile_jpegs(draw: Callable[..., Any]) -> bytes:
    """A JPEG of any size and process, with any segments and scans, whose decoding may cost much."""
    tables = golden("plain.jpg")[0][2:].partition(b"\xff\xc0")[0]
    side = st.sampled_from((0, 1, 8, 640, 4096, 65_500)) | st.integers(0, 65_535)
    components = draw(st.sampled_from((1, 3, 4)) | st.integers(0, 5))
    sizes = b"".join(
        bytes((number + 1, draw(st.sampled_from((0x11, 0x22, 0x44, 0))), 0)) for number in range(components)
    )
    frame = b"\x08" + draw(side).to_bytes(2, "big") + draw(side).to_bytes(2, "big") + bytes((components,)) + sizes
    begin = _segment(draw(st.sampled_from((0xC2, 0xC0)) | st.integers(0xC0, 0xCF)), frame)
    scan = _segment(
        0xDA, draw(st.sampled_from((b"\x01\x01\x00\x00\x00\x00", b"\x01\x01\x00\x01\x3f\x00")) | st.binary(max_size=12))
    )
    other = st.builds(_segment, st.integers(0, 255), st.binary(max_size=20))
    extra = b"".join(draw(st.lists(other, max_size=4))) * draw(st.sampled_from((0, 1, 30, 300)))
    scans = (scan + draw(st.binary(max_size=8))) * draw(st.sampled_from((0, 1, 10, 99, 101, 2000)))
    return b"".join((b"\xff\xd8", tables, extra, begin, scans, draw(st.sampled_from((b"", b"\xff\xd9")))))


class Keeping(MessageReceiver):
    """Keeps what was received, and why it stopped."""

    accepted = (JPEG_FIRST_BYTE, JSON_FIRST_BYTE, PICKLE_FIRST_BYTE)
    MAX_LENGTH = 4096

    def __init__(self) -> None:
        super().__init__()
        self.got: list[object] = []
        self.makeConnection(StringTransport())

    def frameReceived(self, payload: bytes) -> None:
        self.got.append(payload)

    def jsonReceived(self, payload: bytes) -> None:
        self.got.append(payload)

    def refuse(self, reason: str) -> None:
        self.got.append(reason)
        super().refuse(reason)


def check_framing(given_: tuple[bytes, list[int]]) -> None:
    """However a stream is cut into pieces, the same messages come out of it, or the same refusal."""
    stream, cuts = given_
    whole, pieces = Keeping(), Keeping()
    whole.dataReceived(stream)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(stream)], strict=True):
        pieces.dataReceived(stream[start:end])
    assert whole.got == pieces.got, (whole.got, pieces.got)


def check_frame(payload: bytes) -> None:
    """A damaged JPEG is a FrameError, a frame whose picture is a CodecError, or a picture."""
    with contextlib.suppress(FrameError, CodecError):
        image = codec.decode(Frame.from_jpeg(payload))
        assert image.ndim == 3


def check_pickle(payload: bytes) -> None:
    """A damaged pickle is a CodecError or an image."""
    with contextlib.suppress(CodecError):
        image = codec.decode_pickle(payload)
        assert image.dtype == "uint8" and image.shape[2] == 3


def check_server(messages: list[dict[str, Any]]) -> None:
    """Whatever a viewer sends as JSON, the server answers, ignores or refuses it."""
    hub = Hub()
    factory = ViewerServerFactory(Clock(), {"desk": hub}, hub)
    viewer = factory.buildProtocol(None)
    viewer.makeConnection(StringTransport())
    for message in messages:
        viewer.dataReceived(pack(json.dumps(message).encode()))


def check_viewer(messages: list[dict[str, Any]]) -> None:
    """Whatever a server sends as JSON, the viewer accepts or ignores it, or gives up."""
    clock = Clock()
    session = Session(clock.seconds, lambda frame: None, lambda reason: None)
    connection = ServerConnectionFactory(session, clock).buildProtocol(None)
    connection.makeConnection(StringTransport())
    for message in messages:
        connection.dataReceived(pack(json.dumps(message).encode()))


@functools.cache
def certificate() -> Any:
    """The certificate that a server shows, as OpenSSL's."""
    return KeyPair.generate(size=2048).selfSignedCert(1, CN="camera").original


def check_stranger(messages: list[dict[str, Any]]) -> None:
    """Until the server has proved that it has the key, nothing it sends is shown, or answered after our nonce."""
    clock, failures = Clock(), list[str]()
    session = Session(clock.seconds, lambda frame: failures.append("a frame"), failures.append)
    factory = ServerConnectionFactory(session, clock, make_credentials=lambda: KeyCredentials(5))
    connection, transport = factory.buildProtocol(None), StringTransport()
    handle = SimpleNamespace(get_peer_certificate=certificate)
    transport.getHandle = lambda: handle  # type: ignore[attr-defined]
    connection.makeConnection(transport)
    greeting = transport.value()
    for message in messages:
        connection.dataReceived(pack(json.dumps(message).encode()))
    assert transport.value() == greeting, transport.value()
    assert (session.cameras, session.server_time(), session.received) == ((), None, 0)
    assert set(failures) <= {_UNPROVED, _WRONG_KEY}, failures


def check_key(text: str) -> None:
    """Whatever is typed as a key is a key or a KeyTextError."""
    with contextlib.suppress(KeyTextError):
        assert read_key(write_key(read_key(text))) == read_key(text)


_streams = (mutated(golden("*.wire")) | st.binary(max_size=200)).flatmap(
    lambda stream: st.tuples(st.just(stream), st.lists(st.integers(0, len(stream)), max_size=5))
)

CHECKS: dict[str, tuple[Callable[[Any], None], st.SearchStrategy[Any]]] = {
    "framing": (check_framing, _streams),
    "frame": (check_frame, mutated(golden("*.jpg")) | st.binary(max_size=200)),
    "pickle": (check_pickle, mutated(golden("*.pickle")) | st.binary(max_size=200)),
    "server": (check_server, st.lists(_messages, max_size=5)),
    "viewer": (check_viewer, st.lists(_messages, max_size=5)),
    "stranger": (check_stranger, st.lists(_challenges | _messages, max_size=3)),
    "hostile": (check_frame, hostile_jpegs()),
    "key": (check_key, st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZILOU- ", max_size=30) | st.text(max_size=30)),
}


def fuzz(name: str, inputs: int, derandomize: bool = False) -> None:
    """Give the check called C{name} C{inputs} inputs. Raises what it raises, with the input that caused it."""
    check, strategy = CHECKS[name]
    bounds = settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        derandomize=derandomize,
        suppress_health_check=list(HealthCheck),
    )

    @bounds
    @given(strategy)
    def run(given_: Any) -> None:
        check(given_)

    run()


def main() -> None:
    """Run all checks at length, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for all checks together")
    inputs = parser.parse_args().inputs // len(CHECKS)
    for name in CHECKS:
        began = time.monotonic()
        fuzz(name, inputs)
        print(f"{name}: up to {inputs} inputs in {time.monotonic() - began:.0f} s, nothing unforeseen", flush=True)


if __name__ == "__main__":
    main()
