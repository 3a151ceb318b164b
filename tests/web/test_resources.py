"""The web face over real sockets: what it answers, what it refuses, and its pace."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.processes import turn
from twistedcam.access.admission import LoginThrottle
from twistedcam.access.guards import PasswordGuard, make_portal
from twistedcam.access.share import load
from twistedcam.access.sharekey import make_secret, web_token
from twistedcam.capture.encoder import ENCODING_JPEG, ENCODINGS
from twistedcam.capture.service import Capture
from twistedcam.codec import encode_jpeg
from twistedcam.frame import BOUNDARY, Frame, stamp
from twistedcam.hub import Hub
from twistedcam.pacing.transport_sink import PROGRESS_SECONDS
from twistedcam.testing import FakeCamera, RecordingSink
from twistedcam.web import metrics, status
from twistedcam.web.authenticators import BasicAuthenticator, NoAuthentication, RequestAuthenticator, TokenAuthenticator
from twistedcam.web.resources import WebFace
from twistedcam.web.site import AuthenticatedSite
from twistedcam.web.stream import SNAPSHOT_SECONDS

PICTURE = encode_jpeg(np.zeros((48, 64, 3), np.uint8))


def frame(sequence: int, size: int = 0, ago: float = 0.0) -> Frame:
    """A frame taken C{ago} seconds ago; C{size} bytes larger than it has to be."""
    whole = stamp(PICTURE, "desk", sequence, time.time() - ago)
    return Frame(whole.payload + bytes(size), "desk", sequence, whole.captured, width=64, height=48)


class Exchange(Protocol):
    """One request, and what comes back."""

    def __init__(self, request: bytes) -> None:
        self.received = b""
        self.lost = False
        self._request = request

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    @property
    def status(self) -> int:
        """The answer's code."""
        return int(self.received.split(b" ", 2)[1])

    @property
    def head(self) -> str:
        """The answer's headers, in small letters."""
        return self.received.partition(b"\r\n\r\n")[0].decode().lower()

    @property
    def body(self) -> bytes:
        """What follows them."""
        return self.received.partition(b"\r\n\r\n")[2]

    def frames(self) -> list[Frame]:
        """The whole frames of a stream."""
        found, rest = [], self.body
        assert not rest or rest.startswith(b"--" + BOUNDARY + b"\r\n"), rest[:50]
        rest = rest[len(BOUNDARY) + 4 :]
        while match := re.match(
            rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\nX-Timestamp: [\d.]+\r\n\r\n", rest
        ):
            end = match.end() + int(match[1])
            if not rest[end:].startswith(b"\r\n--" + BOUNDARY + b"\r\n"):
                break
            found.append(Frame.from_jpeg(rest[match.end() : end]))
            rest = rest[end + len(BOUNDARY) + 6 :]
        return found


class WebTestCase(TestCase):
    """A web face of two cameras that the test plays."""

    timeout = 30

    def make_clock(self) -> Any:
        """What the web face takes for time."""
        return Clock()

    def setUp(self) -> None:
        self.clock = self.make_clock()
        self.cameras = {
            name: Capture(self.clock, name, FakeCamera, {encoding: Hub() for encoding in ENCODINGS})
            for name in ("desk", "front door")
        }
        self.hub = self.cameras["desk"].hubs[ENCODING_JPEG]
        self.has_room = True
        self.door: RequestAuthenticator = NoAuthentication()
        self.origin = ""
        self.wrap: Callable[[Any], Any] = lambda factory: factory
        self.is_tls = False
        self.metrics = metrics.Metrics(self.clock)
        for camera in self.cameras.values():
            self.metrics.watch_over(camera)
        self.metrics.startService()
        self.addCleanup(self.metrics.stopService)

    async def serve(self) -> None:
        """Listen on a port of the kernel's choice."""
        self.face = WebFace(
            self.clock,
            self.cameras,
            lambda: self.has_room,
            lambda: status.state(self.cameras),
            self.metrics.render,
        )
        self.face.startService()
        site = self.wrap(AuthenticatedSite(self.face.root, self.door, self.origin, reactor))
        port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
        self.port = port.getHost().port
        self.addCleanup(port.stopListening)
        self.addCleanup(self.face.stopService)

    async def send(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Exchange:
        """Ask, without waiting for the answer."""
        lines = {"Host": f"127.0.0.1:{self.port}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        request = f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode() + body
        endpoint: Any = HostnameEndpoint(reactor, "127.0.0.1", self.port)
        if self.is_tls:
            endpoint = wrapClientTLS(CertificateOptions(verify=False), endpoint)
        exchange: Exchange = await endpoint.connect(Factory.forProtocol(lambda: Exchange(request)))  # type: ignore
        self.addCleanup(exchange.transport.abortConnection)  # type: ignore[union-attr]
        return exchange

    async def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Exchange:
        """Ask, and wait for the whole answer."""
        exchange = await self.send(path, method, body, Connection="close", **headers)
        await self.until(lambda: exchange.lost)
        return exchange

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let the reactor turn until C{condition} holds."""
        while not condition():
            await turn()


class PageTests(WebTestCase):
    """What is not pictures."""

    async def test_page(self) -> None:
        """The page and its files are there, with what keeps others' pages and scripts out of it."""
        await self.serve()
        for path, kind in (("/", "text/html"), ("/page.js", "javascript"), ("/style.css", "css"), ("/icon.svg", "svg")):
            answer = await self.ask(path)
            self.assertEqual(answer.status, 200)
            self.assertIn(f"content-type: {kind}" if "/" in kind else kind, answer.head)
            for header in ("x-content-type-options: nosniff", "cache-control: no-store", "default-src 'none'"):
                self.assertIn(header, answer.head)
            self.assertNotIn("access-control", answer.head)
            self.assertIn("cross-origin-resource-policy: same-origin", answer.head)

    async def test_state(self) -> None:
        """The state tells of each camera and of each viewer, also of one that has been sent nothing yet."""
        await self.serve()
        stream = await self.send("/stream/desk")
        await self.until(lambda: self.hub.is_watched)
        self.hub.publish(frame(1))
        await self.until(stream.frames)
        self.cameras["desk"].hubs["jpeg/2"].attach(None, "somebody")  # type: ignore[arg-type]
        said = json.loads((await self.ask("/state")).body)
        self.assertLess(abs(said["clock"] - time.time()), 5)
        self.assertEqual([camera["name"] for camera in said["cameras"]], ["desk", "front door"])
        first, second = said["cameras"][0]["viewers"]
        self.assertEqual((first["encoding"], first["sent"], first["dropped"]), ("jpeg", 1, 0))
        self.assertRegex(first["address"], r"http 127\.0\.0\.1:\d+")
        self.assertTrue(0 <= first["age"] < 5)
        self.assertEqual((second["address"], second["age"]), ("somebody", None))
        self.assertIn("twisted", said["versions"])

    async def test_metrics(self) -> None:
        """What Prometheus reads is what happened."""
        await self.serve()
        stream = await self.send("/stream")
        await self.until(lambda: self.hub.is_watched)
        self.hub.publish(frame(1))
        await self.until(stream.frames)
        self.metrics.on_encoded("desk")(0.004)
        self.clock.advance(1)
        text = (await self.ask("/metrics")).body.decode()
        found = {
            (sample.name, sample.labels.get("camera"), sample.labels.get("encoding")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        self.assertEqual(found["twistedcam_frames_sent_total", "desk", None], 1)
        self.assertEqual(found["twistedcam_viewers", "desk", "jpeg"], 1)
        self.assertEqual(found["twistedcam_viewers", "front door", "jpeg"], 0)
        self.assertEqual(found["twistedcam_capture_seconds_count", "desk", None], 1)
        self.assertEqual(found["twistedcam_viewer_age_seconds_count", "desk", None], 1)
        self.assertGreater(found["twistedcam_sent_bytes_total", "desk", None], len(PICTURE))
        self.assertEqual((await self.ask("/healthz")).body, b"ok\n")

    async def test_mistakes(self) -> None:
        """What cannot be answered is told in one line, with what can be."""
        await self.serve()
        for path, code, text in (
            ("/stream/cellar", 404, "no camera 'cellar' here; there is: desk, front door"),
            ("/snapshot/cellar", 404, "there is: desk, front door"),
            ("/stream/desk/more", 404, "no camera 'more'"),
            ("/nothing", 404, "there is: /, /stream"),
            ("/../../etc/passwd", 404, "there is: /, /stream"),
            ("/stream/..%2f..%2fetc", 404, "no camera"),
            ("/stream?fps=fast", 400, "fps=fast is not a number from 0 to 1000"),
            ("/stream?fps=-1", 400, "fps=-1"),
            ("/stream?fps=nan", 400, "fps=nan"),
            ("/stream?width=0", 400, "width=0 is not a number from 1"),
            ("/snapshot?max_age=x", 400, "max_age=x"),
            ("/?action=dance", 400, "stream or snapshot"),
        ):
            answer = await self.ask(path)
            self.assertEqual((answer.status, answer.body.count(b"\n")), (code, 1), path)
            self.assertIn(text, answer.body.decode())
            self.assertIn("content-type: text/plain", answer.head)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_methods(self) -> None:
        """Only GET and HEAD are of use here, and bodies and endless lines of none."""
        await self.serve()
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
            answer = await self.ask("/stream", method)
            self.assertEqual(answer.status, 405)
            self.assertIn("allow: get, head", answer.head)
        for path in ("/", "/stream", "/stream/desk"):
            answer = await self.ask(path, "HEAD")
            self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertFalse(self.hub.is_watched)
        self.assertEqual((await self.ask("/", "POST", b"x", Content_Length="1000000000")).status, 413)
        self.assertEqual((await self.ask("/", "POST", b"x", Transfer_Encoding="chunked")).status, 413)
        self.assertIn((await self.ask("/" + "a" * 20_000)).received[:12], (b"", b"HTTP/1.1 400"))
        self.assertIn((await self.ask("/", Long="a" * 20_000)).received[:12], (b"", b"HTTP/1.1 400"))

    async def test_rebinding(self) -> None:
        """A page elsewhere whose name leads to this machine is told nothing."""
        await self.serve()
        for name in (
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "localhost.evil.example",
        ):
            self.assertEqual((await self.ask("/state", Host=name)).status, 421, name)
        for name in ("localhost", "127.0.0.1:80", "[::1]:80", "LOCALHOST:8080", "cam.localhost"):
            self.assertEqual((await self.ask("/state", Host=name)).status, 200, name)

    async def test_other_origins(self) -> None:
        """Pages of an origin that was asked for may read what is served."""
        self.origin = "http://dashboard.example"
        await self.serve()
        answer = await self.ask("/state")
        self.assertIn("access-control-allow-origin: http://dashboard.example", answer.head)
        self.assertIn("cross-origin-resource-policy: cross-origin", answer.head)


class StreamTests(WebTestCase):
    """Frames without end, at their real pace."""

    def make_clock(self) -> Any:
        return reactor

    async def have(self, count: int, *streams: Exchange) -> None:
        """Wait until each of C{streams} has so many frames."""
        await self.until(lambda: all(len(stream.frames()) == count for stream in streams))

    async def watched(self, hub: Hub) -> None:
        """Wait until somebody watches C{hub}."""
        await self.until(lambda: hub.is_watched)

    async def test_stream(self) -> None:
        """Each viewer gets each frame whole, under its own name or mjpg-streamer's."""
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
        """A camera's name may hold what has to be quoted."""
        await self.serve()
        await self.send("/stream/front%20door")
        await self.until(lambda: self.cameras["front door"].hubs[ENCODING_JPEG].is_watched)

    async def test_sizes(self) -> None:
        """Who asks for smaller pictures gets those of the next larger size that all share."""
        await self.serve()
        hubs = self.cameras["desk"].hubs
        for width, encoding in ((320, ENCODING_JPEG), (1000, ENCODING_JPEG), (100, "jpeg/2"), (40, "jpeg/8")):
            stream = await self.send(f"/stream?width={width}")
            await self.watched(hubs[encoding])
            assert stream.transport is not None
            stream.transport.abortConnection()  # type: ignore[attr-defined]
            await self.until(lambda: not status.count_viewers(self.cameras))

    async def test_rate(self) -> None:
        """Who asks for fewer frames gets fewer."""
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
        """A reader that stops gets what had begun, whole, and then the newest; one that never reads again is ended."""
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
        there.end_if_stalled(reactor.seconds() + PROGRESS_SECONDS - 1)  # type: ignore[attr-defined]
        self.assertTrue(self.hub.is_watched)
        there.end_if_stalled(reactor.seconds() + PROGRESS_SECONDS + 1)  # type: ignore[attr-defined]
        await self.until(lambda: not self.hub.is_watched)
        self.assertEqual(self.face.streams, set())

    async def test_leaving(self) -> None:
        """Who leaves amid a frame leaves nothing behind, here or in the log."""
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
        """Where as many watch as may, one more is told to come again."""
        self.has_room = False
        await self.serve()
        for path in ("/stream", "/snapshot"):
            answer = await self.ask(path)
            self.assertEqual(answer.status, 503)
            self.assertIn("retry-after", answer.head)

    async def test_tls(self) -> None:
        """Over TLS frames are whole, and the newest wins, too; who speaks plain HTTP is told."""
        share = load(Path(self.mktemp()))
        self.wrap = lambda factory: share.over_tls(factory, b"HTTP/1.0 400 Bad Request\r\n\r\nwrite https\n")
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


class SnapshotTests(WebTestCase):
    """Single pictures."""

    async def test_fresh(self) -> None:
        """A picture that is there and fresh enough is given at once."""
        await self.serve()
        self.hub.attach(RecordingSink())
        self.hub.publish(frame(7, ago=0.5))
        for path in ("/snapshot", "/snapshot/desk", "/?action=snapshot", "/snapshot?max_age=600"):
            answer = await self.ask(path)
            self.assertEqual(answer.status, 200)
            self.assertEqual(Frame.from_jpeg(answer.body).sequence, 7)
            self.assertIn("x-state: live", answer.head)
        self.assertEqual(len(self.hub), 1)

    async def test_woken(self) -> None:
        """Where nobody watched, and where the newest is too old, a new picture is waited for."""
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

    async def test_none(self) -> None:
        """Where no picture comes, that is told after a while, and nobody waits any more."""
        await self.serve()
        answer = await self.send("/snapshot")
        await self.until(lambda: self.hub.is_watched)
        self.clock.advance(SNAPSHOT_SECONDS + 1)
        await self.until(lambda: answer.received)
        self.assertEqual(answer.status, 503)
        self.assertFalse(self.hub.is_watched)

    async def test_leaving(self) -> None:
        """Who does not wait for the picture leaves nothing behind."""
        await self.serve()
        answer = await self.send("/snapshot")
        await self.until(lambda: self.hub.is_watched)
        assert answer.transport is not None
        answer.transport.abortConnection()  # type: ignore[attr-defined]
        await self.until(lambda: not self.hub.is_watched)
        self.clock.advance(SNAPSHOT_SECONDS + 1)
        self.assertEqual(self.flushLoggedErrors(), [])


class DoorTests(WebTestCase):
    """Who is answered."""

    def basic(self, user: str, password: str) -> str:
        """An Authorization header."""
        return "Basic " + b64encode(f"{user}:{password}".encode()).decode()

    async def test_password(self) -> None:
        """Nothing at all is shown without name and password, and failures come ever more slowly."""
        turns = LoginThrottle(self.clock)
        portal = make_portal([InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")])
        self.door = BasicAuthenticator(PasswordGuard(portal), turns)
        await self.serve()
        for path in ("/", "/page.js", "/stream", "/snapshot", "/state", "/metrics", "/healthz", "/nothing"):
            answer = await self.ask(path)
            self.assertEqual(answer.status, 401, path)
            self.assertIn('www-authenticate: basic realm="twistedcam"', answer.head)
        self.assertEqual((await self.ask("/state", Authorization=self.basic("me", "secret"))).status, 200)
        wrong = await self.send("/state", Authorization=self.basic("me", "guess"))
        for _ in range(20):
            await turn()
        self.assertEqual(wrong.received, b"")
        self.clock.advance(1)
        await self.until(lambda: wrong.received)
        self.assertEqual(wrong.status, 401)
        self.clock.advance(700)
        self.assertEqual((await self.ask("/state", Authorization=self.basic("me", "secret"))).status, 200)

    async def test_leaving_while_held_up(self) -> None:
        """Who fails and leaves before it is told makes no error."""
        portal = make_portal([InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")])
        self.door = BasicAuthenticator(PasswordGuard(portal), LoginThrottle(self.clock))
        await self.serve()
        wrong = await self.send("/state", Authorization=self.basic("me", "guess"))
        while not self.clock.getDelayedCalls()[2:]:
            await turn()
        assert wrong.transport is not None
        wrong.transport.abortConnection()  # type: ignore[attr-defined]
        for _ in range(20):
            await turn()
        self.clock.advance(10)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_link(self) -> None:
        """The link becomes a cookie and leaves the address; the token is a password, too; guesses are held up."""
        token = web_token(make_secret())
        self.door = TokenAuthenticator(token, LoginThrottle(self.clock))
        await self.serve()
        self.assertEqual((await self.ask("/")).status, 401)
        answer = await self.ask(f"/?key={token}&fps=5")
        self.assertEqual(answer.status, 303)
        self.assertIn("location: /?fps=5", answer.head)
        for word in ("httponly", "secure", "samesite=lax"):
            self.assertIn(word, answer.head)
        self.assertIn("location: /evil.example/\r\n", (await self.ask(f"//evil.example/?key={token}")).head + "\r\n")
        cookie = re.search(r"set-cookie: (twistedcam=\w+)", answer.head)
        assert cookie is not None
        self.assertEqual((await self.ask("/state", Cookie=cookie[1])).status, 200)
        self.assertEqual((await self.ask("/state", Authorization=self.basic("anybody", token))).status, 200)
        for guess in ("/?key=" + "0" * 32, "/?key=%ff"):
            wrong = await self.send(guess)
            while not wrong.received:
                self.clock.advance(1)
                await turn()
            self.assertEqual(wrong.status, 403)
            self.assertIn("set-cookie: twistedcam=; path=/; max-age=0", wrong.head)


class TokenTests(SynchronousTestCase):
    """The link's token."""

    def test_token(self) -> None:
        """It is always the same for a key, another for another, and shows nothing of the key."""
        secret = make_secret()
        self.assertEqual(web_token(secret), web_token(secret))
        self.assertNotEqual(web_token(secret), web_token(secret + 1))
        self.assertNotIn(f"{secret:x}"[:12], web_token(secret))
