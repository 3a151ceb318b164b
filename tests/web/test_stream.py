"""Streams and single pictures over HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

from twisted.internet import reactor
from zope.interface.verify import verifyClass

from tests.processes import turn
from tests.web.browser import PICTURE, Exchange, WebTestCase, frame
from twistedcam.access.admission import Admission
from twistedcam.access.share import make_share, over_tls
from twistedcam.encodings import ENCODING_JPEG
from twistedcam.frame import Frame, stamp
from twistedcam.hub import Hub
from twistedcam.interfaces import ISink
from twistedcam.pacing.transport_sink import PROGRESS_SECONDS
from twistedcam.testing import RecordingSink
from twistedcam.web.stream import SNAPSHOT_SECONDS, Snapshot
from twistedcam.wire.framing import JPEG_FIRST_BYTE, MAX_BYTES_FROM_SERVER, MessageParser


class StreamTests(WebTestCase):
    """Streams, at their real pace."""

    def make_clock(self) -> Any:
        return reactor

    async def have(self, count: int, *streams: Exchange) -> None:
        """Wait until each of C{streams} has C{count} frames."""
        await self.until(lambda: all(len(stream.frames()) == count for stream in streams))

    async def watched(self, hub: Hub) -> None:
        """Wait until C{hub} is watched."""
        await self.until(lambda: hub.is_watched)

    async def test_stream(self) -> None:
        """Each viewer is sent each frame whole, under our paths and mjpg-streamer's."""
        await self.serve()
        paths = ("/stream", "/stream/", "/stream/desk", "/?action=stream")
        streams = [await self.send(path) for path in paths]
        await self.until(lambda: len(self.hub) == len(paths))
        for sequence in range(10):
            self.hub.publish(frame(sequence, size=100 if sequence % 2 else 200_000))
            await self.have(sequence + 1, *streams)
        for stream in streams:
            self.assertEqual([got.sequence for got in stream.frames()], list(range(10)))
            self.assertIn("multipart/x-mixed-replace; boundary=twistedcam-frame", stream.head)

    async def test_other_camera(self) -> None:
        """A camera's name may hold characters that have to be quoted."""
        await self.serve()
        await self.send("/stream/front%20door")
        await self.until(lambda: self.cameras["front door"].hubs[ENCODING_JPEG].is_watched)

    async def test_sizes(self) -> None:
        """A viewer that asks for a width is sent the next larger of the sizes that are shared."""
        await self.serve()
        hubs = self.cameras["desk"].hubs
        for width, encoding in ((320, ENCODING_JPEG), (1000, ENCODING_JPEG), (100, "jpeg/2"), (40, "jpeg/8")):
            stream = await self.send(f"/stream?width={width}")
            await self.watched(hubs[encoding])
            assert stream.transport is not None
            stream.transport.abortConnection()  # type: ignore[attr-defined]
            await self.until(lambda: not self.admission.viewers.taken)

    async def test_rate(self) -> None:
        """A viewer may limit its frame rate."""
        await self.serve()
        stream = await self.send("/stream?fps=1")
        await self.until(lambda: self.hub.is_watched)
        for sequence in range(8):
            self.hub.publish(frame(sequence, ago=2 - sequence / 4))
            if not sequence:
                await self.have(1, stream)
        await self.have(2, stream)
        self.assertEqual([got.sequence for got in stream.frames()], [0, 4])

    async def test_newest_wins(self) -> None:
        """A viewer that was slow is sent what was begun, whole, and then the newest; a stalled one is disconnected."""
        await self.serve()
        stream = await self.send("/stream")
        await self.until(lambda: self.hub.is_watched)
        assert stream.transport is not None
        stream.transport.pauseProducing()  # type: ignore[attr-defined]
        for sequence in range(300):
            self.hub.publish(frame(sequence, 100_000))
            await turn()
        stream.transport.resumeProducing()  # type: ignore[attr-defined]
        await self.until(lambda: stream.frames() and stream.frames()[-1].sequence == 299)
        self.assertLess(len(stream.frames()), 200)
        stream.transport.pauseProducing()  # type: ignore[attr-defined]
        for sequence in range(300, 600):
            self.hub.publish(frame(sequence, 100_000))
            await turn()
        (there,) = self.face.streams
        self.assertFalse(there.has_stalled(reactor.seconds() + PROGRESS_SECONDS - 1))
        self.assertTrue(there.has_stalled(reactor.seconds() + PROGRESS_SECONDS + 1))
        there.end()
        await self.until(lambda: not self.hub.is_watched)
        self.assertEqual(self.face.streams, set())

    async def test_leaving(self) -> None:
        """A viewer that leaves in the middle of a frame leaves nothing behind, here or in the log."""
        await self.serve()
        for _ in range(5):
            stream = await self.send("/stream")
            await self.until(lambda: self.hub.is_watched)
            self.hub.publish(frame(1, 5_000_000))
            while len(stream.received) < 1000:
                await turn()
            assert stream.transport is not None
            stream.transport.abortConnection()  # type: ignore[attr-defined]
            await self.until(lambda: not self.hub.is_watched)
        self.assertEqual((self.face.streams, self.flushLoggedErrors()), (set(), []))

    async def test_full(self) -> None:
        """One viewer above the limit is told to try again later; streams of all cameras count."""
        self.admission.viewers.limit = 1
        await self.serve()
        stream = await self.send("/stream/desk")
        await self.watched(self.hub)
        for path in ("/stream", "/stream/front%20door"):
            answer = await self.ask(path)
            self.assertEqual(answer.status, 503)
            self.assertIn("retry-after", answer.head)
            self.assertEqual(answer.body, b"the viewer limit of 1 has been reached, try again later\n")
        assert stream.transport is not None
        stream.transport.abortConnection()  # type: ignore[attr-defined]
        await self.until(lambda: not self.admission.viewers.taken)
        self.assertEqual((await self.ask("/stream", "HEAD")).status, 200)
        self.assertEqual(self.admission.viewers.taken, 0)

    async def test_stopped(self) -> None:
        """When the service stops, streams end, and a request that was let in only then is not served."""
        await self.serve()
        stream = await self.send("/stream")
        await self.watched(self.hub)
        self.addCleanup(self.face.startService)
        self.face.stopService()
        await self.until(lambda: stream.lost)
        answer = await self.ask("/stream")
        self.assertEqual((answer.status, answer.body), (503, b"the server is stopping\n"))
        self.assertFalse(self.hub.is_watched)
        self.assertEqual((self.admission.viewers.taken, self.face.streams), (0, set()))

    async def test_tls(self) -> None:
        """Over TLS, too, frames are whole and the newest is sent next; plain HTTP is answered with advice."""
        share = make_share(0)
        self.wrap = lambda factory: over_tls(factory, lambda: share, b"HTTP/1.0 400 Bad Request\r\n\r\nwrite https\n")
        await self.serve()
        self.assertIn(b"write https", (await self.ask("/")).body)
        self.is_tls = True
        stream = await self.send("/stream")
        await self.until(lambda: self.hub.is_watched)
        for sequence in range(10):
            self.hub.publish(frame(sequence, 300_000))
            await self.have(sequence + 1, stream)
        assert stream.transport is not None
        stream.transport.pauseProducing()  # type: ignore[attr-defined]
        for sequence in range(10, 200):
            self.hub.publish(frame(sequence, 300_000))
            await turn()
        stream.transport.resumeProducing()  # type: ignore[attr-defined]
        await self.until(lambda: stream.frames()[-1].sequence == 199)
        self.assertLess(len(stream.frames()), 150)


class BrowserTests(WebTestCase):
    """Streams as browsers ask for them."""

    def make_clock(self) -> Any:
        return reactor

    async def published(self, path: str, headers: dict[str, str]) -> Exchange:
        """A stream that has been sent two frames."""
        stream = await self.send(path, **headers)  # type: ignore[arg-type]
        await self.until(lambda: self.hub.is_watched)
        self.hub.publish(frame(0))
        await self.until(lambda: stream.body.count(PICTURE[-100:]) == 1)
        self.hub.publish(frame(1))
        await self.until(lambda: stream.body.count(PICTURE[-100:]) == 2)
        return stream

    async def test_image(self) -> None:
        """After each picture the head of the next part follows at once: only then does Chromium show the picture."""
        await self.serve()
        accept = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
        for path, headers in (
            ("/stream", {"Accept": accept}),
            ("/stream", {"Sec-Fetch-Dest": "image"}),
            ("/stream?advance_headers=1", {}),
        ):
            stream = await self.published(path, headers)
            separator = b"--twistedcam-frame\r\nContent-Type: image/jpeg\r\n\r\n"
            nothing, first, second, nothing_yet = stream.body.split(separator)
            self.assertEqual((nothing, nothing_yet), (b"", b""))
            self.assertEqual([Frame.from_jpeg(part[:-2]).sequence for part in (first, second)], [0, 1])
            stream.abort()
            await self.until(lambda: not self.hub.is_watched)

    async def test_other_programs(self) -> None:
        """Programs that are no browsers are sent each part's length before it, whatever they accept."""
        await self.serve()
        for accept in ("*/*", "image/jpeg", "multipart/x-mixed-replace"):
            stream = await self.published("/stream", {"Accept": accept})
            self.assertEqual([got.sequence for got in stream.frames()], [0, 1])
            self.assertIn("x-accel-buffering: no", stream.head)
            stream.abort()
            await self.until(lambda: not self.hub.is_watched)

    async def test_document(self) -> None:
        """Opened as a page of its own, a stream is an image as large as the window, whose pictures fit the link."""
        await self.serve()
        accept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
        for path, source, root in (
            ("/stream", "?adapt=1", ""),
            ("/stream/", "?adapt=1", "../"),
            ("/stream/front%20door?fps=5&amp;x", "?fps=5&amp;amp;x&amp;adapt=1", "../"),
            ("/?action=stream", "?action=stream&amp;adapt=1", ""),
            ("/stream/desk?adapt=0", "?adapt=0", "../"),
        ):
            answer = await self.ask(path, Accept=accept)
            self.assertEqual(answer.status, 200)
            self.assertIn("content-type: text/html", answer.head)
            page = answer.body.decode()
            self.assertIn(f'<img src="{source}" alt="Camera ', page)
            self.assertIn(f'href="{root}stream.css"', page)
        self.assertEqual((await self.ask("/stream?fps=x", Accept=accept)).status, 400)
        self.assertFalse(self.hub.is_watched)


class MessageTests(WebTestCase):
    """Several cameras over one connection, as messages of the wire protocol."""

    def make_clock(self) -> Any:
        return reactor

    def messages(self, stream: Exchange) -> list[bytes]:
        """The whole messages that came."""
        parser = MessageParser(MAX_BYTES_FROM_SERVER)
        parser.receive(stream.body)
        return list(iter(parser.next_message, None))

    def frames(self, stream: Exchange) -> list[Frame]:
        """The frames that came."""
        return [Frame.from_jpeg(message) for message in self.messages(stream) if message[0] == JPEG_FIRST_BYTE]

    async def test_all(self) -> None:
        """The state of all cameras comes first and then once a second, with the number of viewers; frames between."""
        await self.serve()
        stream = await self.send("/messages")
        await self.until(lambda: all(camera.hubs[ENCODING_JPEG].is_watched for camera in self.cameras.values()))
        for name, camera in self.cameras.items():
            camera.hubs[ENCODING_JPEG].publish(stamp(PICTURE, name, 3, time.time()))
        await self.until(lambda: sum(message[:1] == b"{" for message in self.messages(stream)) == 2)
        self.assertEqual([(got.camera, got.sequence) for got in self.frames(stream)], [("desk", 3), ("front door", 3)])
        first, *_, last = [json.loads(message) for message in self.messages(stream) if message[:1] == b"{"]
        self.assertEqual(
            [(first["type"], camera["name"]) for camera in first["cameras"]],
            [
                ("state", "desk"),
                ("state", "front door"),
            ],
        )
        self.assertEqual([camera["viewers"] for camera in last["cameras"]], [1, 1])
        self.assertLess(abs(last["clock"] - time.time()), 60)
        self.assertEqual(self.admission.viewers.taken, 1)
        stream.abort()
        await self.until(lambda: not self.admission.viewers.taken)
        self.assertFalse(any(hub.is_watched for camera in self.cameras.values() for hub in camera.hubs.values()))

    async def test_choice(self) -> None:
        """The cameras, and each one's width and rate, can be chosen; smaller pictures are for slow links."""
        await self.serve()
        stream = await self.send("/messages?camera=front%20door&camera=desk&width=150&width=40&fps=0&fps=1")
        door, desk = (self.cameras[name].hubs for name in ("front door", "desk"))
        await self.until(lambda: door["jpeg/2"].is_watched and desk["jpeg/8"].is_watched)
        for sequence in range(8):
            desk["jpeg/8"].publish(frame(sequence, ago=2 - sequence / 4))
            if not sequence:
                await self.until(lambda: len(self.frames(stream)) == 1)
        await self.until(lambda: len(self.frames(stream)) == 2)
        self.assertEqual([got.sequence for got in self.frames(stream)], [0, 4])

    async def test_mistakes(self) -> None:
        """A wrong query is answered with one line."""
        await self.serve()
        for query, code, text in (
            ("camera=cellar", 404, b"no camera 'cellar' here; the cameras are: desk, front door"),
            ("camera=desk&camera=front%20door&width=1&width=2&width=3", 400, b"width is given 3 times"),
            ("camera=desk&width=wide", 400, b"width=wide is not a number"),
            ("fps=-1", 400, b"fps=-1 is not a number from 0 to 1000"),
        ):
            answer = await self.ask(f"/messages?{query}")
            self.assertEqual((answer.status, answer.body.count(b"\n")), (code, 1))
            self.assertIn(text, answer.body)
        self.assertEqual((await self.ask("/messages", "HEAD")).status, 200)
        self.assertEqual(self.admission.viewers.taken, 0)

    async def test_slow(self) -> None:
        """A viewer that was slow is sent the newest of each camera, and what was begun whole."""
        await self.serve()
        stream = await self.send("/messages")
        await self.until(lambda: self.hub.is_watched)
        assert stream.transport is not None
        stream.transport.pauseProducing()  # type: ignore[attr-defined]
        for sequence in range(300):
            for name, camera in self.cameras.items():
                payload = stamp(PICTURE, name, sequence, time.time()).payload + bytes(100_000)
                camera.hubs[ENCODING_JPEG].publish(Frame(payload, name, sequence))
            await turn()
        stream.transport.resumeProducing()  # type: ignore[attr-defined]
        await self.until(lambda: [got.sequence for got in self.frames(stream)[-2:]] == [299, 299])
        self.assertEqual({got.camera for got in self.frames(stream)[-2:]}, set(self.cameras))
        self.assertLess(len(self.frames(stream)), 200)


class SnapshotTests(WebTestCase):
    """Single pictures."""

    def test_sink(self) -> None:
        """A snapshot is a sink."""
        verifyClass(ISink, Snapshot)

    async def test_fresh(self) -> None:
        """A picture that is there and fresh enough is sent at once."""
        await self.serve()
        self.hub.attach(RecordingSink())
        self.hub.publish(frame(7, ago=0.5))
        for path in ("/snapshot", "/snapshot/desk", "/?action=snapshot", "/snapshot?max_age=600"):
            answer = await self.ask(path)
            self.assertEqual(answer.status, 200)
            self.assertEqual(Frame.from_jpeg(answer.body).sequence, 7)
            self.assertIn("x-state: live", answer.head)
        self.assertEqual((len(self.hub), self.admission.snapshots.taken), (1, 0))

    async def test_woken(self) -> None:
        """If the camera was not watched, or its newest picture is too old, a new one is waited for."""
        await self.serve()
        answer = await self.send("/snapshot?max_age=0.2")
        await self.until(lambda: self.hub.is_watched)
        self.hub.publish(frame(1, ago=1))
        await turn()
        self.assertEqual(answer.received, b"")
        self.hub.publish(frame(2))
        await self.until(lambda: answer.received)
        self.assertEqual(Frame.from_jpeg(answer.body).sequence, 2)
        self.assertFalse(self.hub.is_watched)
        await self.until(lambda: not self.admission.snapshots.taken)

    async def test_next(self) -> None:
        """With max_age=0 it is the next picture: one that was taken after the request came."""
        await self.serve()
        self.hub.attach(RecordingSink())
        self.hub.publish(frame(1))
        answer = await self.send("/snapshot?max_age=0")
        await self.until(lambda: len(self.hub) == 2)
        self.clock.advance(0.5)
        self.hub.publish(frame(2, ago=1))
        await turn()
        self.assertEqual(answer.received, b"")
        self.hub.publish(frame(3, ago=0.2))
        await self.until(lambda: answer.received)
        self.assertEqual(Frame.from_jpeg(answer.body).sequence, 3)

    async def test_full(self) -> None:
        """Snapshots have places of their own, of which one network may hold half; viewers are not kept out."""
        self.admission = Admission(self.clock, max_viewers=1, max_connections=32)
        await self.serve()
        waiting = [await self.send("/snapshot?max_age=0") for _ in range(2)]
        await self.until(lambda: self.admission.snapshots.taken == 2)
        answer = await self.ask("/snapshot")
        self.assertEqual(answer.status, 503)
        self.assertIn("retry-after", answer.head)
        self.assertIn(b"your address has its share of them: the limit of 4 snapshots", answer.body)
        await self.send("/stream")
        await self.until(lambda: self.admission.viewers.taken)
        self.assertFalse(any(snapshot.lost for snapshot in waiting))

    async def test_stopped(self) -> None:
        """When the service stops, those who wait for a picture are told so at once."""
        await self.serve()
        answer = await self.send("/snapshot")
        await self.until(lambda: self.hub.is_watched)
        self.addCleanup(self.face.startService)
        self.face.stopService()
        await self.until(lambda: answer.received)
        self.assertEqual((answer.status, answer.body), (503, b"the server is stopping\n"))
        self.assertEqual((self.face.snapshots, self.hub.is_watched), (set(), False))

    async def test_none(self) -> None:
        """If no picture comes, the answer says so after a while."""
        await self.serve()
        answer = await self.send("/snapshot")
        await self.until(lambda: self.hub.is_watched)
        self.clock.advance(SNAPSHOT_SECONDS + 1)
        await self.until(lambda: answer.received)
        self.assertEqual(answer.status, 503)
        self.assertFalse(self.hub.is_watched)
        await self.until(lambda: not self.admission.snapshots.taken)

    async def test_leaving(self) -> None:
        """A client that does not wait for the picture leaves nothing behind."""
        await self.serve()
        answer = await self.send("/snapshot")
        await self.until(lambda: self.hub.is_watched)
        assert answer.transport is not None
        answer.transport.abortConnection()  # type: ignore[attr-defined]
        await self.until(lambda: not self.hub.is_watched)
        self.clock.advance(SNAPSHOT_SECONDS + 1)
        self.assertEqual(self.flushLoggedErrors(), [])
