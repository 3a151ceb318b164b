"""Files, pictures and URLs as cameras: each at its own times, and with its own reason if it cannot be had."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from twisted.web.static import File

from tests.capture.rtsp_server import RTSPFactory, encoded_units
from tests.capture.videos import encode_video, grey
from twistedcam.capture.clips import open_clip, open_pictures
from twistedcam.capture.live_camera import LiveCamera
from twistedcam.capture.media import Media
from twistedcam.capture.mode import Mode
from twistedcam.capture.stored_camera import StoredCamera
from twistedcam.capture.target import Target, plain_target
from twistedcam.codec import encode_jpeg
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera
from twistedcam.secret import Secret


class Time:
    """A clock that is only moved by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class StoredTests(SynchronousTestCase):
    """The times at which the pictures of files are given."""

    def setUp(self) -> None:
        self.time = Time()
        self.folder = self.mktemp()
        os.mkdir(self.folder)

    def play(self, path: str, seconds: float) -> list[tuple[float, int]]:
        """When pictures are given during C{seconds}, and how light they are."""

        def open_media() -> Media:
            return Media(plain_target(path), Mode())

        camera = StoredCamera(open_media(), open_media, monotonic=self.time.monotonic, sleep=self.time.sleep)
        self.addCleanup(camera.close)
        given = []
        while self.time.now < 1000 + seconds:
            at = camera.grab()
            given.append((round(at - 1000, 3), round(float(camera.retrieve().mean()) / 40)))
        return given

    def video(self, name: str, milliseconds: list[int], codec: str = "libx264") -> str:
        """A video whose pictures are given at these times, each lighter than the one before."""
        path = os.path.join(self.folder, name)
        encode_video(path, [grey(n * 40 % 250) for n in range(len(milliseconds))], milliseconds, codec)
        return path

    def test_variable_rate(self) -> None:
        """Each picture is given at its own time."""
        given = self.play(self.video("a.mkv", [0, 100, 150, 700]), 0.69)
        self.assertEqual(given, [(0.0, 0), (0.1, 1), (0.15, 2), (0.7, 3)])

    def test_again(self) -> None:
        """A file begins again at its end, at an even pace, whatever its container."""
        for name, codec in (("a.mkv", "libx264"), ("a.ts", "libx264"), ("a.mp4", "libx264"), ("a.gif", "gif")):
            self.time.now = 1000.0
            given = self.play(self.video(name, [0, 200, 400, 600], codec), 1.95)
            levels = [level for _, level in given]
            self.assertEqual(levels[:8], [0, 1, 2, 3, 0, 1, 2, 3], name)
            steps = [after[0] - before[0] for before, after in itertools.pairwise(given)]
            self.assertTrue(all(step < 0.25 for step in steps), (name, given))

    def test_long_delay(self) -> None:
        """A picture that is shown for long is given once a second."""
        given = self.play(self.video("a.mkv", [0, 3500, 3600]), 3.55)
        self.assertEqual(given, [(0.0, 0), (1.0, 0), (2.0, 0), (3.0, 0), (3.5, 1), (3.6, 2)])

    def test_still(self) -> None:
        """A picture is given once a second, and read anew each time."""
        path = Path(self.folder, "a.jpg")
        path.write_bytes(encode_jpeg(grey(80)))
        self.assertEqual(self.play(str(path), 3), [(0.0, 2), (1.0, 2), (2.0, 2), (3.0, 2)])
        path.unlink()
        with self.assertRaisesRegex(CameraError, "No such file"):
            self.play(str(path), 1)

    def test_slow_machine(self) -> None:
        """When pictures are taken late, those that are overdue are passed over, and the clip keeps its pace."""
        path = self.video("a.mkv", list(range(0, 6000, 40)))
        media = Media(plain_target(path), Mode())
        camera = StoredCamera(media, lambda: media, monotonic=self.time.monotonic, sleep=self.time.sleep)
        for _ in range(20):
            camera.grab()
            self.time.now += 0.1
        self.assertLess(abs(camera._due(camera._next or camera._last) - self.time.now), 0.5)  # type: ignore[arg-type]
        camera.close()

    def test_folder(self) -> None:
        """The pictures of a folder play in order, at the rate that was asked for, and new ones are found."""
        for name, level in (("b2.jpg", 80), ("b10.jpg", 120), ("b1.jpg", 40), ("damaged.jpg", 0)):
            Path(self.folder, name).write_bytes(encode_jpeg(grey(level)) if level else b"no picture")
        camera = open_pictures(plain_target(self.folder), Mode(fps=1000))
        self.addCleanup(camera.close)
        levels = []
        for _ in range(7):
            camera.grab()
            levels.append(round(float(camera.retrieve().mean()) / 40))  # type: ignore[union-attr]
        self.assertEqual(levels, [1, 2, 3, 1, 2, 3, 1])

    def test_no_pictures(self) -> None:
        """A folder without pictures says so."""
        with self.assertRaisesRegex(CameraError, "has no pictures: .jpg, .jpeg"):
            open_pictures(plain_target(self.folder), Mode())


class Answer(Resource):
    """Answers with a status, headers and a body; without an end it leaves the answer open."""

    isLeaf = True

    def __init__(
        self, status: int, body: bytes = b"", kind: str = "text/html", ends: bool = True, **headers: str
    ) -> None:
        super().__init__()
        self._answer = (status, body, kind, ends)

    def render_GET(self, request: Request) -> Any:
        """Answer."""
        status, body, kind, ends = self._answer
        request.setResponseCode(status)
        request.setHeader("Content-Type", kind)
        request.write(body)
        if ends:
            request.finish()
        return NOT_DONE_YET


class URLTestCase(TestCase):
    """URLs of servers in this process."""

    async def serve(self, factory: Any) -> int:
        """The port at which it is served until the test ends."""
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def in_thread(self, url: str, function: Callable[[ICamera], Any], mode: Mode = Mode()) -> Deferred[Any]:
        """The result of the function with the camera at the URL, in a thread."""

        def work() -> Any:
            camera = open_clip(Target("the camera", Secret(url)), mode)
            try:
                return function(camera)
            finally:
                camera.close()

        return deferToThread(work)

    async def problem(self, url: str) -> str:
        """Why the camera at the URL cannot be had."""
        try:
            await self.in_thread(url, lambda camera: [camera.grab() for _ in range(10000)])
        except CameraError as error:
            return str(error)
        raise AssertionError("no error")


class HTTPTests(URLTestCase):
    """Clips, stills and streams over HTTP."""

    async def serve_web(self, **children: Resource) -> str:
        """The URL of a web server with these resources."""
        root = Resource()
        for name, child in children.items():
            root.putChild(name.encode(), child)
        return f"http://127.0.0.1:{await self.serve(Site(root))}"

    async def test_clip(self) -> None:
        """A file at a URL is stored, plays at its own pace and begins again."""
        path = self.mktemp() + ".mp4"
        encode_video(path, [grey(n * 40) for n in range(4)], [0, 20, 40, 60])
        url = await self.serve_web(clip=File(path))

        def play(camera: ICamera) -> list[int]:
            self.assertIsInstance(camera, StoredCamera)
            levels = []
            for _ in range(9):
                camera.grab()
                levels.append(round(float(camera.retrieve().mean()) / 40))  # type: ignore[union-attr]
            return levels

        self.assertEqual(await self.in_thread(f"{url}/clip", play), [0, 1, 2, 3, 0, 1, 2, 3, 0])

    async def test_still(self) -> None:
        """A picture at a URL is stored too, whether or not the server tells its size."""
        jpeg = encode_jpeg(grey(80))
        path = self.mktemp() + ".jpg"
        Path(path).write_bytes(jpeg)
        url = await self.serve_web(sized=File(path), unsized=Answer(200, jpeg, "image/jpeg"))
        for name in ("sized", "unsized"):
            stored = await self.in_thread(f"{url}/{name}", lambda camera: (camera.grab(), type(camera)))
            self.assertIs(stored[1], StoredCamera)

    async def test_multipart(self) -> None:
        """A stream of JPEGs is live, and says so when it ends."""
        part = b"--b\r\nContent-Type: image/jpeg\r\n\r\n" + encode_jpeg(grey(80)) + b"\r\n"
        url = await self.serve_web(live=Answer(200, part * 5, "multipart/x-mixed-replace; boundary=b"))
        kind = await self.in_thread(f"{url}/live", lambda camera: (camera.grab(), type(camera))[1])
        self.assertIs(kind, LiveCamera)
        self.assertEqual(await self.problem(f"{url}/live"), "the camera has ended the stream")

    async def test_refused(self) -> None:
        """Each refusal has its own reason, without the password."""
        url = await self.serve_web(**{str(code): Answer(code) for code in (401, 403, 404, 418, 500)})
        url = url.replace("://", "://me:secret@")
        for code, words in (
            (401, "asks for a user name and password"),
            (403, "does not allow it"),
            (404, "has nothing at this path"),
            (418, "refuses the request"),
            (500, "fails with an error of its own"),
        ):
            self.assertIn(words, await self.problem(f"{url}/{code}?token=secret"))

    async def test_no_video(self) -> None:
        """A page is not a video."""
        url = await self.serve_web(page=Answer(200, b"<html>no video</html>" * 100))
        self.assertRegex(await self.problem(f"{url}/page"), "not with a video|is not a video")


def _remember(found: list[str], ended: threading.Event) -> list[str]:
    ended.set()
    return found


class NetworkTests(URLTestCase):
    """What can be wrong before anything is answered."""

    async def test_unreachable(self) -> None:
        """A closed port, an unknown host and an unknown scheme."""
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Protocol))
        number = port.getHost().port
        await port.stopListening()
        for url, words in (
            (f"http://127.0.0.1:{number}/", "refuses the connection: is it running, and is the port right?"),
            (f"rtsp://127.0.0.1:{number}/", "refuses the connection"),
            ("http://no-such-host.invalid/", "is at a host that cannot be found"),
            ("rtsp://no-such-host.invalid/", "is at a host that cannot be found"),
            ("gopherus://127.0.0.1/", "has a scheme that cannot be read here"),
        ):
            self.assertIn(words, await self.problem(url))

    async def test_dead(self) -> None:
        """One that never answers says so, and keeps no other from opening."""
        self.patch(__import__("twistedcam.capture.media", fromlist=["x"]), "_OPEN_SECONDS", 0.5)
        dead = await self.serve(Factory.forProtocol(Protocol))
        alive = await self.serve(RTSPFactory(encoded_units(100)))
        waiting = [self.problem(f"{scheme}://127.0.0.1:{dead}/") for scheme in ("http", "rtsp", "https")]
        ended = threading.Event()
        problems = gatherResults([Deferred.fromCoroutine(coroutine) for coroutine in waiting])
        problems.addCallback(_remember, ended)
        opened_before = await self.in_thread(
            f"rtsp://127.0.0.1:{alive}/", lambda camera: (camera.grab(), not ended.is_set())[1]
        )
        self.assertTrue(opened_before)
        for problem in await problems:
            self.assertEqual(problem, "the camera has not answered for 0 s")


class RTSPTests(URLTestCase):
    """A camera by RTSP."""

    async def test_live(self) -> None:
        """It is live; each picture was taken when its time says; its end is told."""
        port = await self.serve(RTSPFactory(encoded_units(12), 0.01))

        def watch(camera: ICamera) -> list[float]:
            self.assertIsInstance(camera, LiveCamera)
            times = [camera.grab() for _ in range(5)]
            self.assertEqual(camera.retrieve().shape, (48, 64, 3))  # type: ignore[union-attr]
            return times

        times = await self.in_thread(f"rtsp://127.0.0.1:{port}/", watch)
        self.assertEqual(times, sorted(times))
        self.assertEqual(await self.problem(f"rtsp://127.0.0.1:{port}/"), "the camera has ended the stream")

    async def test_password(self) -> None:
        """The name and password in the URL are used; without them the reason is told."""
        port = await self.serve(RTSPFactory(encoded_units(12), 0.01, "me:secret"))
        await self.in_thread(f"rtsp://me:secret@127.0.0.1:{port}/", lambda camera: camera.grab())
        for login in ("", "me:wrong@"):
            self.assertIn("user name and password", await self.problem(f"rtsp://{login}127.0.0.1:{port}/"))
