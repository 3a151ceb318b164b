"""HTTP connections: how long they may wait, and answers that nobody reads."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyClass

from tests.processes import ProcessTestCase, turn
from tests.web.browser import Exchange, WebTestCase, frame
from twistedcam.access.admission import Admission
from twistedcam.access.connections import WAIT_SECONDS
from twistedcam.access.share import make_share, over_tls
from twistedcam.pacing.transport_sink import PROGRESS_SECONDS
from twistedcam.testing import RecordingSink
from twistedcam.web import channel
from twistedcam.web.responses import DynamicResource

_LARGE = 8_000_000  # more than the buffers of the kernel hold
_TWO_PORTS = r"(?s)listening on 127\.0\.0\.1:(\d+).*listening on 127\.0\.0\.1:(\d+)"


class ChannelTestCase(WebTestCase):
    """Connections that a test keeps open."""

    async def open(self, sent: bytes = b"") -> Exchange:
        """A connection that has sent these bytes, which are counted."""
        before = len(self.admission.connections)
        exchange = await self.send_bytes(sent)
        await self.until(lambda: len(self.admission.connections) > before or exchange.lost)
        return exchange

    def request(self, path: str, *headers: str, method: str = "GET") -> bytes:
        """The bytes of a request."""
        lines = (f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", "")
        return "\r\n".join(lines).encode()

    def deaf(self, sent: bytes) -> None:
        """Open a connection that sends these bytes and reads nothing."""
        connection = socket.socket()
        self.addCleanup(connection.close)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", self.port))
        connection.sendall(sent)

    async def settle(self) -> None:
        """Let everything that can happen happen."""
        for _ in range(30):
            await turn()


class HalfClosedTests(ChannelTestCase):
    """Peers that close their side of the connection after their requests, as C{nc -N} does."""

    def make_clock(self) -> Any:
        return reactor

    async def half_close(self, sent: bytes) -> Exchange:
        """A connection that has sent these bytes and then closed its side."""
        exchange = await self.open(sent)
        assert exchange.transport is not None
        exchange.transport.loseWriteConnection()  # type: ignore[attr-defined]
        return exchange

    async def until_lost(self, exchange: Exchange) -> Exchange:
        """Wait until the connection has ended."""
        await self.until(lambda: exchange.lost)
        return exchange

    async def test_answers(self) -> None:
        """They get their answers, however large and however long these take, and then the connection ends."""
        await self.serve()
        self.face.root.putChild(b"large", DynamicResource(lambda request: ("text/plain", bytes(_LARGE))))
        for path, status, length in (("/state", 200, 100), ("/large", 200, _LARGE), ("/nothing", 404, 10)):
            answer = await self.until_lost(await self.half_close(self.request(path)))
            self.assertEqual((answer.status, len(answer.body) >= length), (status, True))
        exchange = await self.half_close(self.request("/snapshot"))
        await self.until(lambda: self.hub.is_watched)
        await self.settle()
        self.hub.publish(frame(1))
        await self.until(lambda: exchange.lost)
        self.assertIn(frame(1).payload[-100:], exchange.body)

    async def test_pipelined(self) -> None:
        """Each of several requests is answered."""
        await self.serve()
        exchange = await self.half_close(self.request("/healthz") * 3)
        await self.until(lambda: exchange.lost)
        self.assertEqual(exchange.received.count(b"\r\n\r\n"), 3)

    async def test_stream(self) -> None:
        """A stream goes on; a peer that is gone is noticed when something is sent to it."""
        await self.serve()
        exchange = await self.half_close(self.request("/stream"))
        await self.until(lambda: self.hub.is_watched)
        for sequence in range(3):
            await self.settle()
            self.hub.publish(frame(sequence))
        await self.until(lambda: len(exchange.frames()) == 3)
        exchange.abort()
        while self.hub.is_watched:
            self.hub.publish(frame(3))
            await turn()
        self.assertEqual(self.admission.viewers.taken, 0)

    async def test_nothing_asked(self) -> None:
        """Without a whole request there is nothing to answer."""
        await self.serve()
        for sent in (b"", self.request("/state")[:-2], self.request("/healthz") + b"GET"):
            await self.until_lost(await self.half_close(sent))
        await self.until(lambda: not len(self.admission.connections))


class WaitingTests(ChannelTestCase):
    """How long a connection may wait."""

    async def test_silent(self) -> None:
        """A connection that says nothing, or a header line now and then, is ended 10 s after it came."""
        await self.serve()
        silent, slow = await self.open(), await self.open(b"GET / HTTP/1.1\r\n")
        self.clock.advance(WAIT_SECONDS - 1)
        slow.write(b"X-Slow: 1\r\n")
        await self.settle()
        self.assertFalse(silent.lost or slow.lost)
        self.clock.advance(1)
        await self.until(lambda: silent.lost and slow.lost)
        self.assertEqual((len(self.admission.connections), self.clock.getDelayedCalls()[2:]), (0, []))

    async def test_kept_alive(self) -> None:
        """A connection that goes on to other requests has 10 s for each of them."""
        await self.serve()
        kept = await self.open()
        for count in range(1, 4):
            self.clock.advance(WAIT_SECONDS - 1)
            kept.write(self.request("/healthz"))
            await self.until(lambda: kept.received.count(b"\nok\n") == count)  # noqa: B023
            await self.settle()
        self.clock.advance(WAIT_SECONDS)
        await self.until(lambda: kept.lost)

    async def test_stream_stays(self) -> None:
        """A stream is let in, and does not wait."""
        await self.serve()
        stream = await self.open(self.request("/stream"))
        await self.until(lambda: self.hub.is_watched)
        self.clock.advance(WAIT_SECONDS)
        await self.settle()
        self.assertFalse(stream.lost)
        self.assertEqual((len(self.admission.connections), self.admission.connections.waiting), (1, 0))

    async def test_full(self) -> None:
        """A new connection takes the place of one that waits; if all were let in, it is ended at once."""
        self.admission = Admission(self.clock, max_viewers=100, max_connections=8)
        await self.serve()
        streams = []
        for _ in range(6):
            streams.append(await self.open(self.request("/stream")))
            await self.until(lambda: len(self.hub) == len(streams))
        first, second = await self.open(), await self.open()
        third = await self.send_bytes(self.request("/healthz"))
        await self.until(lambda: first.lost and third.received)
        self.assertFalse(second.lost)
        self.assertFalse(any(stream.lost for stream in streams))

    async def test_answer_not_taken(self) -> None:
        """An ordinary answer that is not taken within 10 s ends its connection."""
        await self.serve()
        self.face.root.putChild(b"large", DynamicResource(lambda request: ("text/plain", bytes(_LARGE))))
        self.deaf(self.request("/large"))
        await self.until(lambda: len(self.admission.connections))
        await self.settle()
        self.clock.advance(WAIT_SECONDS - 1)
        await self.settle()
        self.assertEqual(len(self.admission.connections), 1)
        self.clock.advance(1)
        await self.until(lambda: not len(self.admission.connections))


class BackPressureTests(ChannelTestCase):
    """Requests that are sent without reading the answers."""

    def test_producer(self) -> None:
        """What waits for an answer to leave is a pull producer."""
        verifyClass(IPullProducer, channel._Departure)

    async def large_picture(self) -> None:
        """Serve a picture that does not fit into the buffers."""
        await self.serve()
        self.hub.attach(RecordingSink())
        self.hub.publish(frame(1, _LARGE))

    async def test_one_at_a_time(self) -> None:
        """Of snapshots that nobody reads, one is begun; it holds a place and at most a portion, for 30 s."""
        await self.large_picture()
        self.deaf(self.request("/snapshot?max_age=3600") * 100)
        await self.until(lambda: self.admission.snapshots.taken)
        await self.settle()
        (entry,) = self.admission.connections._all
        there: Any = entry._end.__self__  # type: ignore[attr-defined]
        self.assertEqual((self.admission.snapshots.taken, there._answers), (1, 0))
        self.assertLess(len(there.transport.dataBuffer) + there.transport._tempDataLen, 64 * 1024)
        self.clock.advance(PROGRESS_SECONDS - 1)
        await self.settle()
        self.assertEqual(self.admission.snapshots.taken, 1)
        self.clock.advance(1)
        await self.until(lambda: not self.admission.snapshots.taken)
        await self.until(lambda: not len(self.admission.connections))

    async def test_leaving_slowly(self) -> None:
        """A slow reader gets its whole answer: its time for the next request begins when that has nearly arrived."""
        await self.serve()
        self.hub.attach(RecordingSink())
        self.hub.publish(frame(1, 1_000_000))  # which fits into the kernel's usual queue
        kept = await self.send_bytes(b"")
        kept.transport.pauseProducing()  # type: ignore[union-attr]
        kept.write(self.request("/snapshot?max_age=3600"))
        await self.until(lambda: self.admission.snapshots.taken)
        self.clock.advance(PROGRESS_SECONDS - 1)
        await self.settle()
        self.assertEqual(self.admission.snapshots.taken, 1)
        kept.transport.resumeProducing()  # type: ignore[union-attr]
        await self.until(lambda: len(kept.body) == len(frame(1, 1_000_000).payload))
        await self.until(lambda: not self.admission.snapshots.taken)

    async def test_pipeline(self) -> None:
        """Pipelined requests are all answered, in their order, whatever they are."""
        await self.large_picture()
        for is_tls in (False, True):
            if is_tls:
                await self.serve_tls()
            kept = await self.open(
                self.request("/snapshot?max_age=3600")
                + self.request("/snapshot?max_age=3600", method="HEAD")
                + self.request("/nothing")
                + self.request("/nothing", method="HEAD")
                + self.request("/healthz", "Content-Length: 3")
                + b"abc"
                + self.request("/healthz", method="DELETE")
                + self.request("/snapshot?max_age=3600")
                + self.request("/healthz", "Connection: close")
                + self.request("/state")
            )
            await self.until(lambda: kept.lost)  # noqa: B023
            picture = self.hub.newest
            assert picture is not None
            codes = [int(part[:3]) for part in kept.received.split(b"HTTP/1.1 ")[1:]]
            self.assertEqual(codes, [200, 200, 404, 404, 200, 405, 200, 200])
            self.assertEqual(kept.received.count(picture.payload), 2)
            self.assertTrue(kept.received.endswith(b"\r\n\r\nok\n"))
            self.assertEqual((self.admission.snapshots.taken, self.flushLoggedErrors()), (0, []))

    async def serve_tls(self) -> None:
        """Serve the same over TLS."""
        share = make_share(0)
        self.wrap = lambda factory: over_tls(factory, lambda: share)
        await self.serve()
        self.is_tls = True

    async def test_gone(self) -> None:
        """A client that goes while its answer leaves gives its place back, and leaves nothing in the log."""
        await self.large_picture()
        for is_tls in (False, True):
            if is_tls:
                await self.serve_tls()
            leaver = await self.send_bytes(self.request("/snapshot?max_age=3600") * 5)
            await self.until(lambda: len(leaver.received) > 1000)  # noqa: B023
            leaver.abort()
            await self.until(lambda: not len(self.admission.connections))
            self.assertEqual((self.admission.snapshots.taken, self.flushLoggedErrors()), (0, []))

    async def test_too_long(self) -> None:
        """After a request whose body is refused nothing is answered, nor after one that cannot be read."""
        await self.serve()
        for is_tls in (False, True):
            if is_tls:
                await self.serve_tls()
            for refused, code in (
                (
                    self.request("/", "Content-Length: 5000", "Expect: 100-continue", method="POST") + bytes(5000),
                    b"413",
                ),
                (self.request("/", "Transfer-Encoding: chunked") + b"0\r\n\r\n", b"413"),
                (self.request("/", "No colon"), b"400"),
                (b"BREW\r\n\r\n", b"400"),
            ):
                answer = await self.send_bytes(refused + self.request("/healthz") * 3)
                await self.until(lambda: answer.lost)  # noqa: B023
                self.assertTrue(answer.received.startswith(b"HTTP/1.1 " + code), answer.received[:100])
                self.assertEqual(answer.received.count(b"HTTP/1.1 "), 1)

    async def test_heads_are_not_logged(self) -> None:
        """Answers to HEAD have no body of ours, but its length; Twisted would log a line for each body."""
        lines: list[str] = []

        @implementer(ILogObserver)
        def observer(event: Any) -> None:
            lines.append(formatEvent(event) or "")

        await self.serve()
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for path in ("/", "/page.js", "/state", "/metrics", "/healthz", "/nothing", "/stream/nowhere", "/stream?fps=x"):
            (head, whole) = (await self.ask(path, "HEAD"), await self.ask(path))
            self.assertEqual((head.status, head.body), (whole.status, b""))
            self.assertIn("content-length:", head.head)
        self.assertNotIn("HEAD", "".join(lines))


class CrowdTests(ProcessTestCase):
    """A crowd of strangers, and a server that may open few files."""

    async def test_slow_heads(self) -> None:
        """245 connections with half a request, where 256 files may be open, keep nobody out of either port."""
        here = "tcp:0:interface=127.0.0.1"
        options = ("--camera", "test", "--listen", here, "--http", here, "--auth", "memory:me:secret")
        server = self.start("twistd", "-n", "camstream", *options, shell="ulimit -n 256")
        ports = [int(port) for port in (await server.said(_TWO_PORTS)).groups()]
        for _ in range(245):
            connection = socket.create_connection(("127.0.0.1", ports[1]))
            self.addCleanup(connection.close)
            connection.sendall(b"GET / HTTP/1.1\r\n")
        answers = [await self.ask_once(ports[1])]
        while not answers[-1].received and len(answers) < 5:  # the server may accept more at once than it can open
            answers.append(await self.ask_once(ports[1]))
        self.assertEqual(answers[-1].status, 200)
        Path(self.folder, "password").write_text("secret\n")
        login = ("--user", "me", "--password-file", "password", "--port", str(ports[0]))
        viewer = self.twistd("camstream-client", "--headless", "--frames", "3", *login)
        self.assertEqual(await viewer.ended, 0)
        self.assertNotIn("Traceback", server.output)

    async def ask_once(self, port: int) -> Exchange:
        """An answer, which is empty if the server ends the connection."""
        endpoint: Any = HostnameEndpoint(reactor, "127.0.0.1", port)
        request = b"GET /healthz HTTP/1.1\r\nAuthorization: Basic bWU6c2VjcmV0\r\nConnection: close\r\n\r\n"
        answer: Exchange = await endpoint.connect(Factory.forProtocol(lambda: Exchange(request)))
        while not answer.lost:
            await turn()
        return answer
