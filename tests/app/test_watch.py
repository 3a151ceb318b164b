"""Frames for your own Python: in the reactor's own thread, and in real scripts."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError, ConnectionRefusedError, DNSLookupError  # noqa: A004
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from tests.client.fakes import FakeServer, gray, messages
from tests.processes import ProcessTestCase, Running, turn
from tests.raw_messages import pack_json
from tests.test_recording import times
from twistedcam.app import watch as watching
from twistedcam.app.watch import Client, WatchError, watch
from twistedcam.errors import TwistedcamError
from twistedcam.frame import NO_SIGNAL, Frame
from twistedcam.hub import Hub
from twistedcam.server.factory import ViewerServerFactory

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
UNKNOWN_HOST = "the host of no-such-host.invalid:9999 is not known: check the spelling, or use its IP address"

_T = TypeVar("_T")


class WatchTests(SynchronousTestCase):
    """The async iterator, in memory: the test plays the server."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = FakeServer()

    def next(self, frames: AsyncIterator[Frame]) -> Deferred[Frame]:
        """The next frame."""
        return Deferred.fromCoroutine(anext(frames))  # type: ignore[arg-type]

    def failure(self, frames: AsyncIterator[Frame]) -> str:
        """Why there is no next frame."""
        waiting = self.next(frames)
        self.clock.advance(0)
        error = self.failureResultOf(waiting, WatchError).value
        self.assertIsInstance(error, TwistedcamError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return str(error)

    def test_newest(self) -> None:
        """Each iteration gives the newest frame; those that came in between are skipped."""
        frames = watch(self.clock, self.server)
        waiting = self.next(frames)
        self.server.send(gray(50, 1).message)
        self.assertEqual(self.successResultOf(waiting).sequence, 1)
        self.server.send(gray(50, 2).message, gray(50, 3).message)
        self.assertEqual(self.successResultOf(self.next(frames)).sequence, 3)
        self.successResultOf(Deferred.fromCoroutine(frames.aclose()))
        self.clock.advance(0)
        self.assertTrue(self.server.transport.disconnecting)
        self.server.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_camera(self) -> None:
        """The camera that was named is asked for."""
        self.next(watch(self.clock, self.server, "door")).addErrback(lambda _: None)
        self.assertEqual(messages(self.server.transport)[0], {"type": "hello", "camera": "door"})

    def test_server_away(self) -> None:
        """A server that cannot be reached is tried again."""
        self.server.error = ConnectionRefusedError()
        waiting = self.next(watch(self.clock, self.server))
        self.clock.advance(10)
        self.assertGreater(self.server.attempts, 1)
        self.server.error = None
        self.clock.advance(10)
        self.server.send(gray(50, 1).message)
        self.assertEqual(self.successResultOf(waiting).sequence, 1)

    def test_unknown_host(self) -> None:
        """An unknown host is an error with the same message as the command's, and is not tried again."""
        self.server.error = DNSLookupError("no results")
        self.assertEqual(
            self.failure(watch(self.clock, self.server)), UNKNOWN_HOST.replace("no-such-host.invalid", "desk")
        )
        self.assertEqual(self.server.attempts, 1)

    def test_refused(self) -> None:
        """A refusal by the server is an error, too."""
        frames = watch(self.clock, self.server, "cellar")
        waiting = self.next(frames)
        self.server.send(pack_json({"type": "refused", "reason": "there is no camera 'cellar' here"}))
        self.server.lose()
        self.clock.advance(0)
        error = self.failureResultOf(waiting, WatchError).value
        self.assertEqual(str(error), "the server refuses us: there is no camera 'cellar' here")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_wrong_arguments(self) -> None:
        """An address or a camera that is not valid is a ValueError, of the call and not of the first iteration."""
        for address in ("desk:0", "carrier-pigeon:x", "", "http://desk", None, b"desk"):
            self.assertRaises(ValueError, watch, self.clock, address)
        self.assertRaises(ValueError, watch, self.clock, "desk", 5)
        self.assertRaises(ValueError, watch, self.clock, "desk", "\n")

    def test_dropped(self) -> None:
        """An iterator that is dropped ends its connection, also one that is not connected yet."""
        frames = watch(self.clock, self.server)
        waiting = self.next(frames)
        self.server.send(gray(50, 1).message)
        self.successResultOf(waiting)
        del frames, waiting
        gc.collect()
        self.clock.advance(0)
        self.assertTrue(self.server.transport.disconnecting)
        self.server.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_left_loop(self) -> None:
        """A loop that is left ends its connection."""

        async def first() -> int:
            async for frame in watch(self.clock, self.server):
                return frame.sequence
            return 0

        found = Deferred.fromCoroutine(first())
        self.server.send(gray(50, 1).message)
        self.assertEqual(self.successResultOf(found), 1)
        gc.collect()
        self.clock.advance(0)
        self.assertTrue(self.server.transport.disconnecting)

    def test_timeout(self) -> None:
        """An iteration can be given a timeout, which ends the connection."""
        self.server.answers = False
        waiting = self.next(watch(self.clock, self.server))
        waiting.addTimeout(3, self.clock)
        self.clock.advance(3)
        self.failureResultOf(waiting, TimeoutError)
        self.clock.advance(0)
        self.assertEqual((self.server.cancelled, self.clock.getDelayedCalls()), (1, []))


class RealServerTests(TestCase):
    """A real server in the same process."""

    timeout = 120

    def setUp(self) -> None:
        self.hub = Hub()
        self.factory = ViewerServerFactory(reactor, {"desk": self.hub}, self.hub)

    async def serve(self, endpoint: Any) -> Any:
        """Start a server, which is closed at the end; return its port."""
        port: Any = await endpoint.listen(self.factory)
        self.addCleanup(port.stopListening)
        return port

    def publish_soon(self, *frames: Frame) -> None:
        """Publish C{frames} when somebody watches."""
        if not self.hub.is_watched:
            reactor.callLater(0.001, self.publish_soon, *frames)
            return
        for frame in frames:
            self.hub.publish(frame)

    async def in_thread(self, script: Callable[[], _T]) -> _T:
        """Run C{script} in a thread other than the reactor's, and return its result."""
        result: _T = await deferToThread(script)
        return result

    async def test_watch(self) -> None:
        """Frames come over TCP, and leaving ends the connection."""
        port = await self.serve(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))
        self.publish_soon(gray(50, 7))
        async with aclosing(watch(reactor, f"127.0.0.1:{port.getHost().port}")) as frames:
            async for frame in frames:
                self.assertEqual(frame.sequence, 7)
                break
        while self.factory.viewers:
            await turn()

    async def test_client(self) -> None:
        """Frames come into a script; a card is not a picture, but says why there is none."""
        path = os.path.relpath(self.mktemp())
        port = await self.serve(serverFromString(reactor, f"unix:{path}"))

        def script() -> list[Any]:
            with Client(f"unix:{path}", timeout=0.5) as client:
                done, image = client.read()
                assert done and image is not None and client.frame is not None
                found = [image.shape, client.frame.sequence, client.problem, client.isOpened()]
                reactor.callFromThread(self.hub.publish, card)  # type: ignore[attr-defined]
                found += [client.read(), client.frame.reason, client.problem]
                reactor.callFromThread(port.stopListening)  # type: ignore[attr-defined]
                reactor.callFromThread(self.drop_viewers)  # type: ignore[attr-defined]
                found += [client.read(), client.problem]
            return [*found, client.isOpened(), client.read(), client.problem]

        card = gray(50, 8, state=NO_SIGNAL, reason="no such camera", since=0.0)
        self.publish_soon(gray(50, 7))
        found = await self.in_thread(script)
        self.assertEqual(found[:4], [(48, 64, 3), 7, "", True])
        self.assertEqual(found[4:7], [(False, None), "no such camera", "no such camera"])
        self.assertEqual(found[7], (False, None))
        self.assertNotEqual(found[8], "")
        self.assertEqual(found[9:], [False, (False, None), "the client was closed"])

    def drop_viewers(self) -> None:
        """End each connection."""
        for viewer in tuple(self.factory.viewers):
            viewer.transport.abortConnection()

    async def test_server_away(self) -> None:
        """Without a server a read ends after the timeout, and C{problem} says why."""
        path = os.path.relpath(self.mktemp())

        self.assertRegex(await self.problem(f"unix:{path}"), f"^unix:{path}: .*No such file")

    async def problem(self, address: str) -> str:
        """The client's problem at C{address}, after the first attempt has failed."""

        def script() -> str:
            with Client(address, timeout=0.1) as client:
                while client.problem.startswith("connecting to"):
                    self.assertEqual(client.read(), (False, None))
                return client.problem

        return await self.in_thread(script)

    async def test_nothing_listens(self) -> None:
        """If nothing listens, C{problem} says so."""
        port = await self.serve(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))
        address = f"127.0.0.1:{port.getHost().port}"
        await port.stopListening()
        self.assertEqual(await self.problem(address), f"nothing listens at {address}, is the server running?")

    async def test_unknown_host(self) -> None:
        """For an unknown host the first read raises an error, and C{problem} says so."""

        def script() -> tuple[str, str, bool]:
            with Client("no-such-host.invalid", timeout=25) as client:
                error = self.assertRaises(WatchError, client.read)
                return str(error), client.problem, client.isOpened()

        self.assertEqual(await self.in_thread(script), (UNKNOWN_HOST, UNKNOWN_HOST, False))

    async def refused(self, *args: Any, **keywords: Any) -> str:
        """The one line of the error for these arguments of Client; nothing is started."""

        def script() -> str:
            error = self.assertRaises(ValueError, Client, *args, **keywords)
            self.assertIsInstance(error, TwistedcamError)
            return str(error)

        message = await self.in_thread(script)
        self.assertNotIn("\n", message)
        return message

    async def test_wrong_arguments(self) -> None:
        """Arguments that are not valid are a ValueError in one line that says what to write."""
        for address in ("desk:0", "desk:99999", "", "http://desk", None, b"desk", "carrier-pigeon:x", "::1:99999"):
            self.assertRegex(await self.refused(address), "write|from 1 to 65535")
        wrong: tuple[Any, ...] = (-1, float("nan"), "5", b"5", [], 1j, -(10**400))
        for timeout in wrong:
            self.assertRegex(await self.refused(timeout=timeout), "^timeout: .* is not a number of seconds >= 0; None")
        for camera in (5, "\n", b"desk"):
            self.assertRegex(await self.refused(camera=camera), "^camera: ")
        await self.refused(key="1")

    async def test_timeouts(self) -> None:
        """Without a timeout, or with an endless one, a read waits as long as it takes; with 0 it does not wait."""
        port = await self.serve(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))

        def script(timeout: float | None) -> bool:
            with Client(f"127.0.0.1:{port.getHost().port}", timeout=timeout) as client:
                return client.read()[0]

        for timeout in (None, float("inf"), 1e300, 10**400):
            self.publish_soon(gray(50, 7))
            self.assertTrue(await self.in_thread(partial(script, timeout)))
            while self.factory.viewers:
                await turn()
        self.assertFalse(await self.in_thread(partial(script, 0)))

    async def test_no_picture(self) -> None:
        """While there is a connection over which no picture comes, C{problem} says so, until one has come."""
        port = await self.serve(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))

        def script() -> list[str]:
            with Client(f"127.0.0.1:{port.getHost().port}", timeout=0.3) as client:
                while client.problem.startswith("connecting"):
                    self.assertFalse(client.read()[0])
                client.read()
                found = [client.problem]
                reactor.callFromThread(self.hub.publish, gray(50, 9))  # type: ignore[attr-defined]
                while not client.read()[0]:
                    pass
                found.append(client.problem)
            return [*found, client.problem]

        silent, live, closed = await self.in_thread(script)
        self.assertRegex(silent, "no picture has come within 0.3 s|nothing has come")
        self.assertEqual((live, closed), ("", "the client was closed"))

    async def test_ipv6(self) -> None:
        """A server at an IPv6 address."""
        try:
            port = await self.serve(TCP6ServerEndpoint(reactor, 0, interface="::1"))
        except CannotListenError as error:
            raise SkipTest("this machine has no IPv6") from error

        def script() -> bool:
            with Client(f"[::1]:{port.getHost().port}") as client:
                return client.read()[0]

        self.publish_soon(gray(50, 7))
        self.assertTrue(await self.in_thread(script))

    def test_properties(self) -> None:
        """The numbers of the properties are OpenCV's."""
        self.assertEqual(
            (watching._WIDTH, watching._HEIGHT, watching._FPS),
            (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS),
        )


class ScriptTests(ProcessTestCase):
    """Scripts, as people run them."""

    def script(self, text: str, *words: str) -> Running:
        """A script of the test's own."""
        path = Path(self.folder, "script.py")
        path.write_text(text)
        return self.start("python", "script.py", *words)

    def example(self, name: str, *words: str) -> Running:
        """One of the examples in docs."""
        return self.start("python", str(EXAMPLES / name), *words)

    async def server(self, *cameras: str) -> str:
        """The address of a server."""
        words = [word for camera in cameras or ("test",) for word in ("--camera", camera)]
        running = self.twistd("camstream", *words, "--listen", "tcp:0:interface=127.0.0.1")
        return (await running.said(r"listening on (127\.0\.0\.1:\d+)"))[1]

    async def test_client(self) -> None:
        """Client reads as cv2.VideoCapture does, always the newest, with its metadata, and ends when it is closed."""
        address = await self.server("desk=test")
        script = self.script(
            "import sys, time, twistedcam\n"
            "with twistedcam.Client(sys.argv[1], camera='desk') as client:\n"
            "    ok, image = client.read()\n"
            "    first = client.frame\n"
            "    time.sleep(0.5)\n"
            "    ok, image = client.read()\n"
            "    print(ok, image.shape, image.dtype, client.frame.camera, client.frame.state)\n"
            "    print('passed over' if client.frame.sequence - first.sequence > 5 else 'queued')\n"
            "    print('age', client.frame.age < 0.2)\n"
            "    for count, image in enumerate(client):\n"
            "        if count == 5:\n"
            "            break\n"
            "print(client.isOpened(), client.read())\n",
            address,
        )
        self.assertEqual(await script.ended, 0, script.output)
        for line in ("True (240, 320, 3) uint8 desk live", "passed over", "age True", "False (False, None)"):
            self.assertIn(line, script.output)

    async def test_client_without(self) -> None:
        """Without a server a read fails after the timeout; without the camera it raises; with a lost one it fails."""
        address = await self.server("/dev/video63")
        script = self.script(
            "import sys, twistedcam\n"
            "print(twistedcam.Client('unix:nothing', timeout=0.3).read())\n"
            "lost = twistedcam.Client(sys.argv[1], timeout=1)\n"
            "print(lost.read(), lost.frame.reason)\n"
            "try:\n"
            "    twistedcam.Client(sys.argv[1], camera='cellar').read()\n"
            "except twistedcam.WatchError as error:\n"
            "    print(error)\n",
            address,
        )
        self.assertEqual(await script.ended, 0, script.output)
        self.assertIn("(False, None)\n(False, None) /dev/video63: no such camera", script.output)
        self.assertIn("there is no camera 'cellar' here; the cameras are: video63", script.output)
        self.assertNotIn("Traceback", script.output)

    async def test_motion(self) -> None:
        """The example that marks what moves: a camera watched and served again in one script."""
        example = self.example("motion.py", await self.server(), "unix:camera")
        await example.said("listening on camera")
        viewer = self.watch("--camera", "motion", "--frames", "20")
        self.assertEqual(await viewer.ended, 0, example.output)

    async def test_grab(self) -> None:
        """The example that grabs one picture."""
        example = self.example("grab.py", await self.server(), "now.jpg")
        self.assertEqual(await example.ended, 0, example.output)
        self.assertEqual(Frame.from_jpeg(Path(self.folder, "now.jpg").read_bytes()).camera, "test")

    async def test_timelapse(self) -> None:
        """The example that makes a time-lapse: its video shows the pictures 25 a second."""
        example = self.example("timelapse.py", await self.server(), "0.1", "10", "short.mkv")
        self.assertEqual(await example.ended, 0, example.output)
        self.assertEqual(times(Path(self.folder, "short.mkv")), [round(n * 0.04, 3) for n in range(10)])

    async def test_asyncio(self) -> None:
        """The examples for asyncio: with threads, beside another task, and on one event loop with Twisted."""
        address = await self.server()
        for name, line in (
            ("asyncio_client.py", r"\(240, 320, 3\) 0\.\d+ s old"),
            ("asyncio_watch.py", "bytes of JPEG"),
        ):
            example = self.example(name, address, "5")
            self.assertEqual(await example.ended, 0, example.output)
            self.assertEqual(len(re.findall(line, example.output)), 5, example.output)
            self.assertNotIn("Traceback", example.output)
            self.assertEqual("tick" in example.output, name == "asyncio_client.py")

    async def test_asyncio_refused(self) -> None:
        """An error ends the example on one event loop, with its reason."""
        example = self.example("asyncio_watch.py", "unknown.invalid")
        self.assertEqual(await example.ended, 1)
        self.assertIn("WatchError: the host of unknown.invalid:9999 is not known", example.output)
