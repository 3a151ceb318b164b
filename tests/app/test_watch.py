"""Frames for your own Python: in the reactor's own thread, and in real scripts."""

from __future__ import annotations

import gc
import math
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, serverFromString
from twisted.internet.error import ConnectionRefusedError, DNSLookupError  # noqa: A004
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.client.fakes import FakeServer, gray, messages
from tests.processes import ProcessTestCase, Running, turn
from tests.raw_messages import pack_json
from tests.test_recording import times
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

    def test_wrong_address(self) -> None:
        """An address that is not valid is a ValueError."""
        for address in ("desk:0", "carrier-pigeon:x"):
            self.assertRaises(ValueError, watch, self.clock, address)

    def test_forgotten(self) -> None:
        """An iterator that is left and forgotten ends its connection."""

        async def first() -> int:
            async for frame in watch(self.clock, self.server):
                return frame.sequence
            return 0

        waiting = Deferred.fromCoroutine(first())
        self.server.send(gray(50, 1).message)
        self.assertEqual(self.successResultOf(waiting), 1)
        gc.collect()
        self.assertTrue(self.server.transport.disconnecting)


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
        self.assertEqual(found[4:7], [(False, None), "no such camera", ""])
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

    async def test_wrong_arguments(self) -> None:
        """An address, a key or a timeout that is not valid is a ValueError, at once."""
        wrong: list[dict[str, Any]] = [{"key": "1"}]
        wrong += [{"address": address} for address in ("desk:0", "carrier-pigeon:x", "", "http://desk", None, b"desk")]
        wrong += [{"timeout": seconds} for seconds in (-1, math.nan, "5", True)]
        for arguments in wrong:
            with self.assertRaises(ValueError):
                await self.in_thread(partial(Client, **arguments))

    async def test_endless_timeout(self) -> None:
        """A read may wait without an end."""
        path = os.path.relpath(self.mktemp())
        await self.serve(serverFromString(reactor, f"unix:{path}"))

        def script() -> list[Any]:
            with Client(f"unix:{path}", timeout=None) as one, Client(f"unix:{path}", timeout=math.inf) as other:
                return [client.read()[0] for client in (one, other)]

        reading = self.in_thread(script)
        self.publish_soon(gray(50, 7))
        self.assertEqual(await reading, [True, True])

    async def test_like_a_capture(self) -> None:
        """What scripts call on cv2.VideoCapture works: the size is known before the first read."""
        path = os.path.relpath(self.mktemp())
        await self.serve(serverFromString(reactor, f"unix:{path}"))

        def script() -> list[Any]:
            with Client(f"unix:{path}") as client:
                size = [client.get(name) for name in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
                before = client.retrieve()
                grabbed = client.grab(), *client.retrieve(), client.retrieve()[1]
                rate = client.get(cv2.CAP_PROP_FPS), client.get(cv2.CAP_PROP_FRAME_COUNT)
                refused = client.set(cv2.CAP_PROP_FRAME_WIDTH, 640)
                return [size, before, grabbed, rate, refused, client.getBackendName()]

        self.publish_soon(gray(50, 7))
        size, before, (is_there, done, image, again), rate, refused, backend = await self.in_thread(script)
        self.assertEqual(
            (size, before, is_there, done, image.shape), ([64, 48], (False, None), True, True, (48, 64, 3))
        )
        self.assertIs(image, again)
        self.assertEqual((rate, refused, backend), ((0.5, 0.0), False, "TWISTEDCAM"))

    async def test_forgotten(self) -> None:
        """A client that is forgotten ends its connection, also if it was left in the middle of an iteration."""
        path = os.path.relpath(self.mktemp())
        await self.serve(serverFromString(reactor, f"unix:{path}"))

        def script() -> None:
            for _ in range(3):
                assert Client(f"unix:{path}").read()[0]
            for _ in Client(f"unix:{path}"):
                break

        reading = self.in_thread(script)
        self.publish_soon(gray(50, 7))
        await reading
        while self.factory.viewers:
            gc.collect()
            await turn()

    async def test_in_the_reactor(self) -> None:
        """In the reactor's thread, where it would wait for ever, a client says so; it can be closed there."""
        await turn()  # a test may begin before the reactor runs
        path = os.path.relpath(self.mktemp())
        await self.serve(serverFromString(reactor, f"unix:{path}"))
        self.assertRaisesRegex(WatchError, "use twistedcam.watch", Client, f"unix:{path}")
        client = await self.in_thread(lambda: Client(f"unix:{path}"))
        for wait in (client.read, client.grab, lambda: client.get(cv2.CAP_PROP_FPS), lambda: next(iter(client))):
            self.assertRaisesRegex(WatchError, "use twistedcam.watch", wait)
        client.close()
        while self.factory.viewers:
            await turn()


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

    async def test_forgotten(self) -> None:
        """Clients that a script has made and forgotten watch no more, and do not keep it from ending."""
        address = await self.server()
        script = self.script(
            "import sys, time, twistedcam\n"
            "twistedcam.Client(sys.argv[1]).read()\n"
            "kept = [twistedcam.Client(sys.argv[1]) for _ in range(2)]\n"
            "for client in kept: client.read()\n"
            "print('read', flush=True)\n",
            address,
        )
        self.assertEqual(await script.ended, 0, script.output)
        self.assertEqual(script.output, "read\n")

    async def test_fork(self) -> None:
        """A forked process says at once that it cannot watch by its parent's reactor; one without a parent's can."""
        address = await self.server()
        script = self.script(
            "import os, sys, twistedcam\n"
            "def in_child(work):\n"
            "    child = os.fork()\n"
            "    if not child:\n"
            "        try:\n"
            "            print(work(), flush=True)\n"
            "        except Exception as error:\n"
            "            print(type(error).__name__, error, flush=True)\n"
            "        os._exit(0)\n"
            "    os.waitpid(child, 0)\n"
            "in_child(lambda: twistedcam.Client(sys.argv[1]).read()[0])\n"
            "client = twistedcam.Client(sys.argv[1])\n"
            "in_child(client.read)\n"
            "in_child(client.close)\n"
            "in_child(lambda: twistedcam.Client(sys.argv[1]))\n"
            "in_child(lambda: twistedcam.serve([]))\n"
            "print(client.read()[0])\n",
            address,
        )
        self.assertEqual(await script.ended, 0, script.output)
        forked = "this process was forked from one whose connections run in a thread"
        lines = [line for line in script.output.splitlines() if "listening" not in line and "Warning" not in line]
        for line, start in zip(
            lines,
            ("True", f"WatchError {forked}", "None", f"WatchError {forked}", f"ServeError {forked}", "True"),
            strict=True,
        ):
            self.assertTrue(line.startswith(start), line)
        self.assertIn('multiprocessing.set_start_method("spawn")', script.output)

    async def test_asyncio(self) -> None:
        """The examples for asyncio: a client that is read in a thread, and frames in asyncio's own loop."""
        address = await self.server()
        for name in ("asyncio_thread.py", "asyncio_reactor.py"):
            example = self.example(name, address, "5")
            self.assertEqual(await example.ended, 0, example.output)
            self.assertEqual(
                len(re.findall(r"^test #\d+, \d+ ms old$", example.output, re.MULTILINE)), 5, example.output
            )

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
