"""The viewer's program, with a real server in the same process and a display of the test's."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from twistedcam.client import snapshot
from twistedcam.client.app import Program
from twistedcam.client_tap import Options
from twistedcam.codec import encode_jpeg
from twistedcam.frame import stamp
from twistedcam.hub import Hub
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.testing import RecordingDisplay


class ProgramTests(TestCase):
    """What is shown and done, from the connection to the end."""

    timeout = 30

    def setUp(self) -> None:
        self.path = os.path.relpath(self.mktemp())
        self.display = RecordingDisplay()
        self.left: Deferred[int] = Deferred()
        self.hub, self.door = Hub(), Hub()
        self.sequence = 0

    async def serve(self) -> Any:
        """A server of two cameras."""
        hubs = {"desk": self.hub, "door": self.door}
        factory = ViewerServerFactory(reactor, hubs, self.hub)  # type: ignore[arg-type]
        port: Any = await serverFromString(reactor, f"unix:{self.path}").listen(factory)
        self.addCleanup(port.stopListening)
        return port

    def program(self, *words: str) -> Program:
        """The viewer, started."""
        self.patch(os, "environ", {**os.environ, "WAYLAND_DISPLAY": "none"})
        options = Options()
        options.parseOptions(["--endpoint", f"unix:{self.path}", *words])
        program = Program(options, reactor, self.left.callback, self.display)
        program.startService()
        self.addCleanup(program.stopService)
        return program

    def publish(self, lightness: int) -> None:
        """One more frame."""
        image = np.full((48, 64, 3), lightness, np.uint8)
        self.hub.publish(stamp(encode_jpeg(image), "desk", self.sequence, reactor.seconds()))  # type: ignore
        self.sequence += 1

    async def until(self, condition: Any) -> None:
        """Let the reactor turn until C{condition} holds."""
        while not condition():
            await deferLater(reactor, 0.001)  # type: ignore[arg-type]

    def shows(self, lightness: int) -> bool:
        """Whether a picture of this lightness is shown, without anything written on it."""
        image = self.display.images[-1]
        return abs(float(image.mean()) - lightness) < 1 and int(image.max()) - int(image.min()) < 3

    async def test_show_and_quit(self) -> None:
        """The window says that it waits for a picture, shows those that come, and q ends with status 0."""
        await self.serve()
        program = self.program()
        await self.until(lambda: program.viewer.state == "connected")
        self.assertEqual(program._notice(), "waiting for the first picture")
        self.publish(100)
        await self.until(lambda: self.shows(100))
        self.assertEqual(program._notice(), "")
        self.display.keys.append("q")
        self.assertEqual(await self.left, 0)

    async def test_status(self) -> None:
        """The overlay tells camera, state, rate, age and what was dropped."""
        await self.serve()
        program = self.program()
        await self.until(lambda: self.hub.is_watched)
        self.publish(100)
        self.sequence += 3
        self.publish(110)
        await self.until(lambda: self.shows(110) and program.viewer.newest.age is not None)  # type: ignore
        name, fps, age, dropped = program._status(program.viewer.newest)
        self.assertEqual((name, fps), ("desk: live", "1.0 fps"))
        self.assertRegex(age, r"^age \d+ ms$")
        self.assertEqual(dropped, f"{5 - program.window.shown} frames dropped")  # type: ignore[union-attr]

    async def test_next_camera(self) -> None:
        """Key n goes on to the server's next camera, and round to the first; a new connection stays with it."""
        port = await self.serve()
        program = self.program()
        await self.until(lambda: program.viewer.cameras == ["desk", "door"])
        self.publish(100)
        await self.until(lambda: self.shows(100))
        self.display.keys.append("n")
        await self.until(lambda: self.door.is_watched and not self.hub.is_watched)
        self.door.publish(stamp(encode_jpeg(np.full((48, 64, 3), 50, np.uint8)), "door", 500, 1.0))
        await self.until(lambda: program.viewer.newest is not None)
        self.assertEqual((program.viewer.newest.camera, program.viewer.dropped), ("door", 0))  # type: ignore
        await port.stopListening()
        await self.until(lambda: program.viewer.state == "reconnecting")
        await self.serve()
        await self.until(lambda: self.door.is_watched and not self.hub.is_watched)
        self.door.publish(stamp(encode_jpeg(np.full((48, 64, 3), 50, np.uint8)), "door", 501, 1.0))
        await self.until(lambda: program.viewer.newest is not None and program.viewer.cameras)
        self.display.keys.append("n")
        await self.until(lambda: self.hub.is_watched and not self.door.is_watched)

    async def test_record(self) -> None:
        """Key r records until it is pressed again, and the picture says so meanwhile."""
        path = self.mktemp() + ".mkv"
        self.patch(snapshot, "name_for", lambda frame, suffix: path)
        await self.serve()
        program = self.program()
        await self.until(lambda: self.hub.is_watched)
        self.publish(100)
        await self.until(lambda: self.shows(100))
        self.display.keys.append("r")
        await self.until(lambda: program._recorder.is_recording)
        for _ in range(5):
            received = program.viewer.received
            self.publish(120)
            await self.until(lambda received=received: program.viewer.received > received)
        await self.until(lambda: not self.shows(120) and self.display.images[-1].mean() > 100)
        self.display.keys.append("r")
        await self.until(lambda: not program._recorder.is_recording)
        self.assertGreater(os.path.getsize(path), 500)

    async def test_reconnecting(self) -> None:
        """When the server goes, the picture says so; when another comes, the first old picture is not taken for new."""
        port = await self.serve()
        program = self.program()
        await self.until(lambda: self.hub.is_watched)
        self.publish(100)
        await self.until(lambda: self.shows(100))
        await port.stopListening()
        await self.until(lambda: program._notice().startswith("reconnecting: "))
        await self.until(lambda: not self.shows(100))
        await self.serve()
        await self.until(lambda: program.viewer.state == "connected")
        self.assertEqual(program._notice(), "waiting for the first picture")
        self.publish(120)
        await self.until(lambda: self.shows(120))

    async def test_closed(self) -> None:
        """Closing the window is the end, with status 0."""
        await self.serve()
        self.program()
        self.display.open = False
        self.assertEqual(await self.left, 0)

    async def test_unknown_camera(self) -> None:
        """What cannot be had ends the program with status 1."""
        await self.serve()
        self.program("--camera", "cellar")
        self.assertEqual(await self.left, 1)

    async def test_snapshot_folder_gone(self) -> None:
        """A snapshot that cannot be written after all ends with status 1."""
        await self.serve()
        folder = self.mktemp()
        os.mkdir(folder)
        self.program("--snapshot", os.path.join(folder, "x.jpg"))
        os.rmdir(folder)
        await self.until(lambda: self.hub.is_watched)
        self.publish(100)
        self.assertEqual(await self.left, 1)
