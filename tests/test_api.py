"""Frames for people's own Python: watching and serving, in real scripts and in the reactor's own thread."""

from __future__ import annotations

import os
from contextlib import aclosing
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint, serverFromString
from twisted.trial.unittest import SynchronousTestCase, TestCase

import twistedcam
from tests.processes import ProcessTestCase, Running, turn
from tests.test_recording import times
from tests.web.browser import frame
from twistedcam.client.api import WatchError, _endpoint, watch
from twistedcam.frame import Frame
from twistedcam.hub import Hub
from twistedcam.server.factory import ViewerServerFactory

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


class WatchTests(TestCase):
    """Frames as an async iterator."""

    timeout = 30

    def setUp(self) -> None:
        self.hub = Hub()
        self.factory = ViewerServerFactory(reactor, {"desk": self.hub}, self.hub)  # type: ignore[arg-type]

    async def serve(self) -> str:
        """A server; the client endpoint string that leads to it."""
        port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(self.factory)
        self.addCleanup(port.stopListening)
        return f"tcp:127.0.0.1:{port.getHost().port}"

    async def test_newest(self) -> None:
        """Each turn gives the newest frame; those that came meanwhile are passed over; leaving ends the connection."""
        endpoint = await self.serve()
        got = []
        async with aclosing(watch(reactor, endpoint)) as frames:  # type: ignore[type-var]
            reactor.callLater(0, self._publish_soon, 1)  # type: ignore[attr-defined]
            async for seen in frames:
                got.append(seen.sequence)
                if len(got) == 2:
                    break
                for sequence in range(2, 50):
                    self.hub.publish(frame(sequence))
                    await turn()
        self.assertEqual(got, [1, 49])
        while self.factory.viewers:
            await turn()

    def _publish_soon(self, sequence: int) -> None:
        if not self.hub.is_watched:
            reactor.callLater(0.001, self._publish_soon, sequence)  # type: ignore[attr-defined]
            return
        self.hub.publish(frame(sequence))

    async def test_refused(self) -> None:
        """What another attempt would not change is raised."""
        endpoint = await self.serve()
        with self.assertRaisesRegex(WatchError, "there is no camera 'cellar'"):
            async for _ in watch(reactor, endpoint, "cellar"):
                self.fail("a frame came")
        while self.factory.viewers:
            await turn()
        self.assertEqual([call for call in reactor.getDelayedCalls() if "_client_service" in str(call)], [])  # type: ignore

    async def test_over_unix(self) -> None:
        """Any endpoint will do."""
        path = os.path.relpath(self.mktemp())
        port: Any = await serverFromString(reactor, f"unix:{path}").listen(self.factory)
        self.addCleanup(port.stopListening)
        self._publish_soon(7)
        async with aclosing(watch(reactor, f"unix:{path}")) as frames:  # type: ignore[type-var]
            async for seen in frames:
                self.assertEqual(seen.sequence, 7)
                break


class AddressTests(SynchronousTestCase):
    """How a server's address is written."""

    def test_addresses(self) -> None:
        """Host, port, IPv6 and endpoint strings are told apart; a wrong one is a ValueError."""
        for text, host, port in (
            ("desk", "desk", 9999),
            ("desk:80", "desk", 80),
            ("10.0.0.1:99", "10.0.0.1", 99),
            ("[::1]:99", "[::1]", 99),
            ("[::1]", "[::1]", 9999),
        ):
            self.assertEqual(repr(_endpoint(reactor, text)), f"<HostnameEndpoint {host}:{port}>")
        self.assertEqual(type(_endpoint(reactor, "unix:/run/camera")).__name__, "UNIXClientEndpoint")
        self.assertRaises(ValueError, _endpoint, reactor, "nonsense:x")

    def test_lazy(self) -> None:
        """What the package offers is there, and what it does not is an AttributeError."""
        for name in twistedcam.__all__:
            self.assertTrue(callable(getattr(twistedcam, name)))
        self.assertRaises(AttributeError, getattr, twistedcam, "nothing")


class ScriptTests(ProcessTestCase):
    """Scripts, as people run them."""

    def example(self, name: str, *words: str) -> Running:
        """One of the documents' examples."""
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
        """Without a server a read says so after its time; without the camera it raises; with a lost one it has none."""
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
