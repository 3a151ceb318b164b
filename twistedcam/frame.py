"""
A frame: one encoded picture and its metadata.

A JPEG frame carries its metadata as compact JSON in a comment segment. A saved frame therefore opens in every program,
and still says which camera took it and when.
"""

from __future__ import annotations

import json
import re
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from twistedcam.errors import TwistedcamError
from twistedcam.wire.fields import MAX_TEXT, FieldError, as_count, as_name, as_remark, as_seconds, load_object
from twistedcam.wire.framing import pack

LIVE = "live"
NO_SIGNAL = "no-signal"

BOUNDARY = b"twistedcam-frame"  # between the parts of a multipart HTTP stream, and before the first
PART_HEAD = b"Content-Type: image/jpeg\r\n\r\n"  # of a part in a stream for browsers

_SOI = b"\xff\xd8"
_APP0, _COM, _SOS, _EOI = 0xE0, 0xFE, 0xDA, 0xD9
# SOF0..SOF15 without DHT, JPG and DAC, which share the range.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SIZE = struct.Struct(">HH")

# Ordinary headers have about ten segments; a profile or a thumbnail takes up to 64 kB each. More would cost time: the
# header is read in the reactor's thread.
MAX_HEADER_BYTES = 256 * 1024
MAX_SEGMENTS = 100
# Fill bytes, a marker and its length. RST and TEM, which have no length, are refused: decoders skip them, and so would
# read a different header.
_SEGMENT = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])(..)", re.DOTALL)

_to_json = json.JSONEncoder(separators=(",", ":")).encode  # made once: json.dumps would make one each time


class FrameError(TwistedcamError, ValueError):
    """A payload is not a valid frame; the text says what is wrong with it."""


@dataclass(frozen=True)
class Frame:
    """
    One encoded picture: C{captured} and C{since} in seconds since the epoch, sizes in pixels.

    C{captured} is None if it is unknown. C{reason} and C{since} belong to the state C{no-signal}. C{scale}
    is the factor by which the picture was made smaller. C{clock} returns the current time of day by the clock that
    C{captured} was read from, or None if that is unknown.
    """

    payload: bytes
    camera: str = ""
    sequence: int = 0
    captured: float | None = None
    state: str = LIVE
    reason: str = ""
    since: float | None = None
    scale: int = 1
    width: int = 0
    height: int = 0
    clock: Callable[[], float | None] = field(default=time.time, compare=False, repr=False)

    @property
    def age(self) -> float | None:
        """Seconds since the picture was taken, or None if that is unknown."""
        now = self.clock()
        return None if now is None or self.captured is None else now - self.captured

    @cached_property
    def message(self) -> bytes:
        """The bytes of the frame on the wire, made once for all viewers."""
        return pack(self.payload)

    @cached_property
    def part(self) -> bytes:
        """The bytes of the frame in a multipart HTTP stream, made once for all viewers; see L{BOUNDARY}."""
        captured = self.captured or 0.0
        head = f"Content-Type: image/jpeg\r\nContent-Length: {len(self.payload)}\r\nX-Timestamp: {captured:.6f}\r\n\r\n"
        # The boundary is sent right after a picture, not only with the next one: readers that ignore Content-Length
        # know only then that the picture is whole.
        return b"".join((head.encode(), self.payload, b"\r\n--", BOUNDARY, b"\r\n"))

    @cached_property
    def part_for_browsers(self) -> bytes:
        """
        As L{part}, but the head of the next part, L{PART_HEAD}, follows at once; it can say nothing about that part.

        Chromium shows a picture only when it has read the next head.
        """
        return b"".join((self.payload, b"\r\n--", BOUNDARY, b"\r\n", PART_HEAD))

    @classmethod
    def from_jpeg(cls, payload: bytes, clock: Callable[[], float | None] = time.time) -> Frame:
        """The frame in C{payload}, which may be a JPEG without our metadata. Raises L{FrameError}."""
        header = _read_header(payload)
        metadata: dict[str, Any] = {}
        for comment in header.comments:
            metadata = _parse_metadata(comment) or metadata
        return cls(payload, **metadata, width=header.width, height=header.height, clock=clock)


def stamp(
    jpeg: bytes,
    camera: str,
    sequence: int,
    captured: float,
    state: str = LIVE,
    reason: str = "",
    since: float | None = None,
    scale: int = 1,
) -> Frame:
    """A frame of C{jpeg} with this metadata written into it. Raises L{FrameError}."""
    metadata: dict[str, Any] = {
        "camera": camera[:MAX_TEXT],
        "sequence": sequence,
        "captured": round(captured, 6),
        "state": state,
    }
    if state != LIVE:
        metadata |= {"reason": reason[:MAX_TEXT], "since": None if since is None else round(since, 6)}
    if scale != 1:
        metadata["scale"] = scale
    comment = _to_json(metadata).encode()
    segment = bytes((0xFF, _COM)) + struct.pack(">H", len(comment) + 2) + comment
    header = _read_header(jpeg)
    at = header.after_app0  # JFIF requires APP0 to follow SOI directly
    payload = b"".join((jpeg[:at], segment, jpeg[at:]))
    return Frame(payload, **metadata, width=header.width, height=header.height)


class _Header(NamedTuple):
    width: int
    height: int
    after_app0: int
    comments: list[bytes]


def _read_header(jpeg: bytes) -> _Header:
    """The size, the end of APP0 and the comments of a JPEG. Raises L{FrameError}."""
    width = height = 0
    after_app0 = len(_SOI)
    comments = []
    for marker, start, end in segments(jpeg):
        if marker in _START_OF_FRAME and end - start >= 5:
            height, width = _SIZE.unpack_from(jpeg, start + 1)
        elif marker == _COM:
            comments.append(jpeg[start:end])
        elif marker == _APP0 and start == len(_SOI) + 4:
            after_app0 = end
    if not width or not height:
        raise FrameError("the JPEG has no frame header with its size")
    return _Header(width, height, after_app0, comments)


def segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """
    The marker, and start and end of the content, of each segment before the scan.

    Raises L{FrameError}, also for a header of more than L{MAX_HEADER_BYTES} or L{MAX_SEGMENTS}.
    """
    if jpeg[:2] != _SOI:
        raise FrameError("this is not a JPEG: it does not begin with FF D8")
    position = 2
    for _ in range(MAX_SEGMENTS):
        found = _SEGMENT.match(jpeg, position, MAX_HEADER_BYTES)
        if found is None:
            raise FrameError("the JPEG's header is truncated, damaged or too long")
        marker, length = found[1][0], int.from_bytes(found[2], "big")
        if marker in (_SOS, _EOI):
            return
        end = found.start(2) + length
        if length < 2 or end > len(jpeg):
            raise FrameError("the JPEG's header is truncated or damaged")
        yield marker, found.end(), end
        position = end
    raise FrameError(f"the JPEG's header has more than {MAX_SEGMENTS} segments")


def _parse_metadata(comment: bytes) -> dict[str, Any] | None:
    """The metadata in a comment segment, or None if another program wrote it. Raises L{FrameError}."""
    if comment[:1] != b"{":
        return None
    try:
        found = load_object(comment)
        if "sequence" not in found:
            return None
        return {
            "camera": as_name("camera", found.get("camera")),
            "sequence": as_count("sequence", found["sequence"]),
            "captured": _seconds("captured", found.get("captured")),
            "state": as_remark("state", found.get("state")),
            "reason": as_remark("reason", found.get("reason", "")),
            "since": _seconds("since", found.get("since")),
            "scale": as_count("scale", found.get("scale", 1)),
        }
    except FieldError as error:
        raise FrameError(f"the frame's metadata is damaged: {error}") from None


def _seconds(name: str, value: object) -> float | None:
    return None if value is None else as_seconds(name, value)
