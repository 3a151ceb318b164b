"""A small RTSP server for tests: one H.264 stream over the connection itself."""

from __future__ import annotations

import base64
import itertools
import struct
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.protocols.basic import LineReceiver

_LARGEST = 60000  # bytes of a packet
_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
_SDP += "a=fmtp:96 packetization-mode=1\r\na=control:track\r\n"


def encoded_units(count: int, width: int = 64, height: int = 48) -> list[list[bytes]]:
    """The NAL units of each of C{count} pictures."""
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.framerate = width, height, "yuv420p", 25
    context.options = {"tune": "zerolatency", "bf": "0", "g": "5", "x264-params": "repeat-headers=1:threads=1"}
    pictures = (np.full((height, width, 3), n * 5 % 250, np.uint8) for n in range(count))
    frames = (av.VideoFrame.from_ndarray(picture, format="bgr24") for picture in pictures)
    packets = [bytes(packet) for frame in frames for packet in context.encode(frame)]
    return list(map(split_units, packets))


def split_units(packet: bytes) -> list[bytes]:
    """The NAL units of a packet in Annex B format."""
    return [unit for unit in packet.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]


def _fragments(unit: bytes) -> list[bytes]:
    """A NAL unit as it is, or in fragments (FU-A) if it is too large for one packet."""
    if len(unit) <= _LARGEST:
        return [unit]
    head, content = unit[0], unit[1:]
    starts = range(0, len(content), _LARGEST)
    return [
        bytes((head & 0xE0 | 28, (at == 0) << 7 | (at == starts[-1]) << 6 | head & 0x1F)) + content[at : at + _LARGEST]
        for at in starts
    ]


class RTSP(LineReceiver):
    """One client."""

    factory: RTSPFactory

    def connectionMade(self) -> None:
        """Wait for requests."""
        self._head: list[str] = []
        self._units: Iterator[list[bytes]] = iter(())
        self._loop = LoopingCall(self._send_picture)
        self._sequence = self._time = 0

    def dataReceived(self, data: bytes) -> None:
        """Pass over what a client reports between requests."""
        if data[:1] != b"$":
            super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Collect a request."""
        if line:
            self._head.append(line.decode())
        elif self._head:
            head, self._head = self._head, []
            self._answer(head)

    def _answer(self, head: list[str]) -> None:
        method = head[0].split()[0]
        fields = dict(line.lower().split(": ", 1) for line in head[1:])
        asked, given = self.factory.login, fields.get("authorization", "")
        if asked and base64.b64encode(asked.encode()).decode().lower() not in given:
            self._reply(fields, "401 Unauthorized", 'WWW-Authenticate: Basic realm="test"')
        elif method == "DESCRIBE":
            self._reply(fields, "200 OK", "Content-Type: application/sdp", body=_SDP)
        elif method == "SETUP":
            self._reply(fields, "200 OK", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1")
        elif method == "PLAY":
            self._reply(fields, "200 OK", "Session: 1")
            units = self.factory.units
            self._units = itertools.cycle(units) if self.factory.repeats else iter(units)
            self._loop.start(self.factory.seconds)
        else:
            self._reply(fields, "200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")

    def _reply(self, fields: dict[str, str], status: str, *more: str, body: str = "") -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {fields.get('cseq', '1')}", *more, f"Content-Length: {len(body)}"]
        assert self.transport is not None
        self.transport.write("\r\n".join([*lines, "", body]).encode())

    def _send_picture(self) -> None:
        assert self.transport is not None
        units = next(self._units, None)
        if units is None:
            self.transport.loseConnection()
            return
        parts = [part for unit in units for part in _fragments(unit)]
        for unit in parts:
            mark = 0x80 if unit is parts[-1] else 0
            rtp = struct.pack(">BBHII", 0x80, mark | 96, self._sequence & 0xFFFF, self._time, 7) + unit
            self.transport.write(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
            self._sequence += 1
        self._time += round(self.factory.seconds * 90000)

    def connectionLost(self, reason: object = None) -> None:
        """Send no more."""
        if self._loop.running:
            self._loop.stop()


class RTSPFactory(Factory):
    """Sends C{units}, one list for each picture, every C{seconds}, for ever with C{repeats}; C{login} has a colon."""

    protocol = RTSP  # type: ignore[assignment]

    def __init__(self, units: list[list[bytes]], seconds: float = 0.04, login: str = "", repeats: bool = False) -> None:
        self.units = units
        self.seconds = seconds
        self.login = login
        self.repeats = repeats
