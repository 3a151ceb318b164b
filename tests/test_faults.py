"""Faults, with real processes and sockets: each is survived, and reported in one line."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
from twisted.application.service import MultiService
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from tests.processes import ProcessTestCase, Running, turn
from tests.raw_messages import pack_json
from tests.server.peers import frame
from twistedcam.client.address import Address
from twistedcam.client.app import Program
from twistedcam.client.connector import Connector
from twistedcam.client.session import Session
from twistedcam.client_tap import Options as ViewerOptions
from twistedcam.codec import encode_jpeg
from twistedcam.frame import stamp
from twistedcam.hub import Hub
from twistedcam.pacing.transport_sink import PROGRESS_SECONDS
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.testing import RecordingDisplay
from twistedcam.wire.framing import PREFIX, pack

_SMALL_JPEG = encode_jpeg(np.zeros((8, 8, 3), np.uint8))


class FaultTestCase(ProcessTestCase):
    """Processes that have to end cleanly."""

    async def ends_cleanly(self, running: Running, name: str = "TERM") -> None:
        """C{running} ends soon after the signal, by that signal, without a traceback in its output."""
        running.signal(name)
        running.ended.addTimeout(10, reactor)
        await running.ended
        self.assertEqual(running.signalled, signal.Signals[f"SIG{name}"])
        self.assertIn("Server Shut Down", running.output)
        self.assert_clean(running)

    def assert_clean(self, running: Running) -> None:
        """Check that no traceback was printed."""
        for word in ("Traceback", "Unhandled"):
            self.assertNotIn(word, running.output)

    async def port_of(self, server: Running) -> int:
        """The port on which C{server} listens on 127.0.0.1."""
        return int((await server.said(r"listening on 127\.0\.0\.1:(\d+)"))[1])

    def serve_tcp(self, *options: str, shell: str = "") -> Running:
        """A server of the test card on a port of the kernel's choice."""
        listen = ("--listen", "tcp:0:interface=127.0.0.1")
        return self.start("twistd", "-n", "camstream", "--camera", "test", *listen, *options, shell=shell)

    def knock(self, port: int, said: bytes = b"") -> socket.socket:
        """A connection to C{port} that sends C{said}; whether it has been made is not waited for."""
        connection = socket.socket()
        self.addCleanup(connection.close)
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", port))
        if said:
            with contextlib.suppress(OSError):
                connection.send(said)
        return connection


class CameraFaultTests(FaultTestCase):
    """Cameras with faults."""

    async def test_hanging(self) -> None:
        """A read that never returns: the camera is lost after 5 s, opened anew, shown again, and delays no end."""
        server = self.serve("--camera", "plugin:hanging")
        await server.said("listening on")
        viewer = self.watch()
        await server.said("no signal: it has given no picture for 5 s")
        await server.said(r"(?s): live.*: live")
        await self.ends_cleanly(server)
        viewer.signal("TERM")
        await viewer.ended
        self.assert_clean(viewer)

    async def test_broken_pictures(self) -> None:
        """None, no array, no pixels, seven channels, half a JPEG: skipped and logged, and the rest is shown."""
        server = self.serve("--camera", "plugin:breaking")
        await server.said("listening on")
        viewer = self.watch("--frames", "30")
        self.assertEqual(await viewer.ended, 0)
        self.assertIn(" 0 dropped", viewer.output)
        for told in ("is not a numpy array", r"shape \(0, 4, 3\)", "7 channels", "half a JPEG"):
            self.assertRegex(server.output, f"skipping a broken picture: .*{told}")
        self.assertNotIn("no signal", server.output)
        await self.ends_cleanly(server)

    async def test_size_changes(self) -> None:
        """Pictures may change their size at any time, down to a single pixel."""
        server = self.serve("--camera", "plugin:resizing")
        await server.said("listening on")
        viewer = self.watch("--frames", "50")
        self.assertEqual(await viewer.ended, 0)
        self.assertIn(" 0 dropped", viewer.output)
        await self.ends_cleanly(server)

    async def test_unforeseen(self) -> None:
        """A camera that raises an unexpected exception is lost and tried again, with its traceback in the log."""
        server = self.serve("--camera", "plugin:failing")
        await server.said("listening on")
        self.watch()
        await server.said("no signal: ZeroDivisionError: the camera's own mistake")
        await server.said(r"(?s): live.*: live")


class SignalTests(FaultTestCase):
    """The three signals that end a program."""

    async def test_every_state(self) -> None:
        """TERM, INT and HUP end server and viewer cleanly and by that signal: idle, live, without camera or server."""
        for name in ("TERM", "INT", "HUP"):
            for camera, state in (("test", ""), ("test", ": live"), ("/dev/video63", "no signal")):
                server = self.serve("--camera", camera)
                await server.said("listening on")
                if state:
                    viewer = self.watch()
                    await server.said(state)
                    await viewer.said("connected to")
                    await self.ends_cleanly(viewer, name)
                await self.ends_cleanly(server, name)
            alone = self.watch()
            await alone.said("nothing listens|No such file")
            await self.ends_cleanly(alone, name)

    async def test_twice(self) -> None:
        """A second signal, from somebody who is impatient, is no error."""
        server = self.serve("--camera", "test")
        await server.said("listening on")
        for name in ("TERM", "INT", "TERM"):
            server.signal(name)
        await server.ended
        self.assertNotIn("Traceback", server.output)

    async def test_nohup(self) -> None:
        """A process that was started with SIGHUP ignored goes on."""
        words = ("-n", "camstream", "--camera", "test", "--listen", "unix:camera")
        server = self.start("twistd", *words, shell="trap '' HUP")
        await server.said("listening on")
        server.signal("HUP")
        self.assertEqual(await self.watch("--frames", "3").ended, 0)


class ClockTests(FaultTestCase):
    """The time of day is set while server and viewer run."""

    def skewed(self, *words: str) -> Running:
        """C{twistd -n} whose time of day the file "skew" sets."""
        return self.start("skewed_twistd.py", "-n", *words)

    def set_back(self) -> None:
        """Set the time of day back by an hour."""
        partial = Path(self.folder, "skew.new")
        partial.write_text("-3600")
        partial.rename(Path(self.folder, "skew"))

    async def test_server(self) -> None:
        """Set back on the server: frames go on, and their ages are right."""
        server = self.skewed("camstream", "--camera", "test", "--listen", "unix:camera")
        await server.said("listening on")
        viewer = self.watch("--frames", "90")
        await server.said(": live")
        self.set_back()
        self.assertEqual(await viewer.ended, 0)
        self.assertRegex(viewer.output, r"age [\d.]{3,6} ms \(p99 [\d.]{3,6} ms\)")  # neither an hour nor negative

    async def test_viewer(self) -> None:
        """Set back on the viewer: pings, ages and reconnecting go on."""
        server = self.serve("--camera", "test")
        await server.said("listening on")
        viewer = self.skewed("camstream-client", "--endpoint", "unix:camera", "--headless", "--frames", "90")
        await viewer.said("connected to")
        await server.said(": live")
        self.set_back()
        server.signal("STOP")
        await viewer.said("reconnecting: nothing was heard from the server")
        server.signal("CONT")
        self.assertEqual(await viewer.ended, 0)
        self.assertRegex(viewer.output, r"age [\d.]{3,6} ms \(p99 [\d.]{3,6} ms\)")


class CrowdTests(FaultTestCase):
    """More connections than expected."""

    async def viewer_loses_nothing(self, server: Running, frames: int, crowd: int, *signs: str) -> None:
        """A viewer loses no frame when C{crowd} others connect at once, and there is room when they have gone."""
        port = await self.port_of(server)
        words = ("camstream-client", "--port", str(port), "--headless", "--frames")
        viewer = self.twistd(*words, str(frames))
        await server.said("1 watching")
        others = [self.knock(port) for _ in range(crowd)]
        self.assertEqual(await viewer.ended, 0)
        self.assertIn(" 0 dropped", viewer.output)
        for sign in signs:
            await server.said(sign)
        for connection in others:
            connection.close()
        self.assertEqual(await self.twistd(*words, "5").ended, 0)
        await self.ends_cleanly(server)

    async def test_descriptors_exhausted(self) -> None:
        """With 64 descriptors and 100 connections a viewer loses no frame; when they have gone there is room again."""
        await self.viewer_loses_nothing(self.serve_tcp(shell="ulimit -n 64"), 60, 100)

    async def test_more_descriptors(self) -> None:
        """A server raises a low soft limit on descriptors, so that more viewers than that can connect."""
        server = self.serve_tcp(shell="ulimit -Sn 64")
        port = await self.port_of(server)
        crowd = [self.knock(port) for _ in range(100)]
        await server.said("100 watching")
        for connection in crowd:
            connection.close()
        await self.ends_cleanly(server)

    async def test_a_thousand_connections(self) -> None:
        """A thousand connections at once cost a viewer no frame; those above the limit are refused."""
        server = self.serve_tcp("--max-viewers", "100")
        await self.viewer_loses_nothing(server, 90, 1000, "refused: the viewer limit of 100 has been reached")

    async def test_slow_hellos(self) -> None:
        """500 connections with half a hello keep no viewer out, cost a viewer no frame, and are ended."""
        server = self.serve_tcp("--auth", "memory:me:secret")
        port = await self.port_of(server)
        Path(self.folder, "password").write_text("secret\n")
        words = ("camstream-client", "--port", str(port), "--headless", "--user", "me", "--password-file", "password")
        viewer = self.twistd(*words, "--frames", "60")
        await server.said(": live")
        for _ in range(500):
            self.knock(port, pack_json({"type": "hello"})[:9])
        self.assertEqual(await viewer.ended, 0)
        self.assertIn(" 0 dropped", viewer.output)
        self.assertEqual(await self.twistd(*words, "--frames", "3").ended, 0)
        await server.said("it was not let in within 10 s")
        await self.ends_cleanly(server)

    async def test_garbage(self) -> None:
        """10 MB of garbage and an announced 2^63 bytes end their connections with a reason; nothing is kept."""
        server = self.serve_tcp()
        port = await self.port_of(server)
        for garbage, why in (
            (b"\xa5" * 10_000_000, "bytes was announced, the limit is 4096"),
            (PREFIX.pack(2**63), "a message of 9223372036854775808 bytes was announced"),
            (pack(b"\xff" * 4000), "began with byte FF"),
        ):
            self.knock(port, garbage)
            await server.said(why)
        await self.ends_cleanly(server)


class SoakTests(FaultTestCase):
    """A short form of benchmarks.soak."""

    async def test_nothing_grows(self) -> None:
        """Viewers that come and go, and a camera that is lost again and again, leave no descriptor and no thread."""
        listen = ("--listen", "tcp:0:interface=127.0.0.1")
        server = self.twistd("camstream", "--camera", "plugin:ending", *listen)
        port = await self.port_of(server)
        seen = []
        for number in range(1, 5):
            crowd = [self.knock(port) for _ in range(20)]
            while server.output.count(" came, ") < 20 * number or server.output.count("no signal") < number:
                await turn()
            for connection in crowd:
                connection.close()
            while server.output.count(" gone ") < 20 * number:
                await turn()
            process = f"/proc/{server.transport.pid}"  # type: ignore[union-attr]
            seen.append(len(os.listdir(f"{process}/fd")))
            self.assertLessEqual(len(os.listdir(f"{process}/task")), 8)
        self.assertEqual(seen, seen[:1] * 4)
        await self.ends_cleanly(server)


class SlowViewerTests(TestCase):
    """Viewers that do not take what they are sent, over real sockets, with a clock that the test controls."""

    async def test_bounded_and_ended(self) -> None:
        """A viewer that reads nothing, or a byte a second, costs less than 64 kB of memory however large frames are."""
        clock, hub = Clock(), Hub()
        factory = ViewerServerFactory(clock, {"desk": hub}, hub)
        port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        slow = [socket.create_connection(("127.0.0.1", port.getHost().port)) for _ in range(3)]
        for connection in slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.addCleanup(connection.close)
        while len(factory.viewers) < len(slow):
            await turn()
        for second in range(int(PROGRESS_SECONDS) + 2):
            for sequence in range(3):
                hub.publish(frame(3 * second + sequence, size=5_000_000))
                await turn()
            slow[1].recv(1)
            for viewer in factory.viewers:
                held = len(viewer.transport.dataBuffer) + viewer.transport._tempDataLen
                self.assertLess(held, 64 * 1024)
            clock.advance(1)
            await turn()
        while factory.viewers:
            await turn()
        self.assertFalse(hub.is_watched)


class RestartTests(FaultTestCase):
    """The server is killed."""

    async def test_fifty_viewers(self) -> None:
        """Fifty viewers are all back after the server was killed and started again."""
        server = self.serve("--camera", "test")
        await server.said("listening on")
        sessions = [Session(time.monotonic, lambda frame: None, self.fail) for _ in range(50)]
        services = MultiService()
        address = Address(endpoint=f"unix:{os.path.join(self.folder, 'camera')}")
        for session in sessions:
            Connector(reactor, address, session).setServiceParent(services)
        services.startService()
        self.addCleanup(services.stopService)
        while not all(session.received for session in sessions):
            await turn()
        await self.finish(server)
        seen = [session.received for session in sessions]
        server = self.serve("--camera", "test")
        while not all(session.received > before for session, before in zip(sessions, seen, strict=True)):
            await turn()
        await self.ends_cleanly(server)


class Flood(Protocol):
    """A server that sends small frames without end, whatever it receives."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.sequence = 0
        self.transport.registerProducer(self, False)  # type: ignore[attr-defined]

    def resumeProducing(self) -> None:
        """Send more of them."""
        assert self.transport is not None
        messages = []
        for _ in range(100):
            self.sequence += 1
            messages.append(stamp(_SMALL_JPEG, "flood", self.sequence, 0.0).message)
        self.transport.write(b"".join(messages))

    def stopProducing(self) -> None:
        """Stop: the connection is gone."""


class HostileServerTests(TestCase):
    """Hostile servers, and our viewer with its window."""

    timeout = 120

    async def program(self, protocol: type[Protocol]) -> tuple[Program, RecordingDisplay, Deferred[int]]:
        """A viewer of a server that speaks C{protocol}, its display, and a Deferred that fires at its end."""
        port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(protocol))
        self.addCleanup(port.stopListening)
        options = ViewerOptions()
        options.parseOptions(["--headless", "--port", str(port.getHost().port)])
        display, ended = RecordingDisplay(), Deferred[int]()
        program = Program(options.config, reactor, time.monotonic, time.time, ended.callback, display)
        program.startService()
        self.addCleanup(program.stopService)
        return program, display, ended

    async def test_flood(self) -> None:
        """Under thousands of frames a second the window shows the newest, and q works."""
        program, display, ended = await self.program(Flood)
        while program.session.received < 10_000:
            await turn()
        assert program.window is not None
        self.assertLess(program.window.shown, program.session.received)
        display.keys.append("q")
        ended.addTimeout(5, reactor)
        self.assertEqual(await ended, 0)

    async def test_bombs(self) -> None:
        """A picture that claims to be huge is skipped, and q works."""
        at = _SMALL_JPEG.index(b"\xff\xc0")
        bomb = _SMALL_JPEG[: at + 5] + b"\xff\xff\xff\xff" + _SMALL_JPEG[at + 9 :]

        class Bomber(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                for sequence in range(100):
                    self.transport.write(stamp(bomb, "bomb", sequence, 0.0).message)

        program, display, ended = await self.program(Bomber)
        while program.session.received < 100:
            await turn()
        assert program.window is not None
        self.assertEqual(program.window.shown, 0)
        display.keys.append("q")
        self.assertEqual(await ended, 0)

    async def test_endless(self) -> None:
        """A message announced as endless ends the connection, with one line, before any of it is kept."""

        class Endless(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(PREFIX.pack(2**64 - 1) + bytes(100_000))

        program, _, ended = await self.program(Endless)
        self.assertEqual(await ended, 1)
        self.assertIn("18446744073709551615 bytes was announced", program.session.problem)


class DiskTests(FaultTestCase):
    """A disk that is full."""

    async def test_snapshot(self) -> None:
        """If only a part of a snapshot can be written, that is reported in one line, and no part of it is left."""
        server = self.serve("--camera", "test", "--width", "640")
        await server.said("listening on")
        words = ("camstream-client", "--endpoint", "unix:camera", "--snapshot", "picture.jpg")
        viewer = self.start("twistd", "-n", *words, shell="ulimit -f 4")
        self.assertEqual(await viewer.ended, 1)
        self.assertRegex(viewer.output, r"no snapshot: .*picture.jpg: File too large")
        self.assert_clean(viewer)
        self.assertEqual([name for name in os.listdir(self.folder) if "snapshot" in name or "picture" in name], [])
