"""The server's wiring: what it does when it is constructed, started, stopped and started again."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from tests.server.peers import connect
from twistedcam.access.share_folder import ShareFolder
from twistedcam.app import service
from twistedcam.app.config import make_config, parse_cameras
from twistedcam.app.listener import StartError
from twistedcam.app.service import Server
from twistedcam.server.factory import ViewerServerFactory


class ServerTestCase(TestCase):
    """Servers on a reactor in memory."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.folder = Path(self.mktemp())

    def make(self, *cameras: str, **given: Any) -> Server:
        """A server with this configuration."""
        sources = parse_cameras(cameras or ["test"])
        names = {keyword.replace("_", "-"): value for keyword, value in given.items()}
        return Server(make_config(self.reactor, sources, names), self.reactor)

    def start(self, server: Server) -> None:
        """Start it as twistd does."""
        server.privilegedStartService()
        server.startService()

    @property
    def ports(self) -> list[int]:
        """The ports that were listened on."""
        return [port for port, *_ in self.reactor.tcpServers]

    def key(self) -> str:
        """The key that is kept."""
        return ShareFolder(self.folder).load().key.reveal()


class StartTests(ServerTestCase):
    """When things happen."""

    async def test_constructed(self) -> None:
        """A server that is only constructed has made no key, listens on nothing and has nothing to do."""
        self.make(share=True, state_dir=self.folder)
        self.assertFalse(self.folder.exists())
        self.assertEqual((self.ports, self.reactor.getDelayedCalls()), ([], []))

    async def test_privileged_start(self) -> None:
        """The privileged start makes the key and listens, so that privileges can be dropped; the start adds nothing."""
        server = self.make(share=True, state_dir=self.folder)
        server.privilegedStartService()
        self.assertTrue(self.folder.exists())
        self.assertEqual(self.ports, [9999, 8080])
        server.startService()
        self.assertEqual(self.ports, [9999, 8080])
        await server.stopService()

    async def test_start_alone(self) -> None:
        """A start without a privileged one, as twist has it, does the same."""
        server = self.make(share=True, state_dir=self.folder)
        server.startService()
        self.assertTrue(self.folder.exists())
        self.assertEqual(self.ports, [9999, 8080])
        await server.stopService()

    async def test_restart(self) -> None:
        """A server that is stopped releases everything, and listens again when it is started again."""
        server = self.make(http="off", open=True)
        self.start(server)
        await server.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.start(server)
        self.assertEqual(self.ports, [9999, 9999])
        await server.stopService()

    async def test_renew_once(self) -> None:
        """A key is renewed by the first start, and not again by those that follow."""
        ShareFolder(self.folder).load_or_make(time.time)
        old = self.key()
        server = self.make(share=True, renew=True, state_dir=self.folder)
        self.assertEqual(self.key(), old)
        self.start(server)
        new = self.key()
        self.assertNotEqual(new, old)
        await server.stopService()
        self.start(server)
        self.assertEqual(self.key(), new)
        await server.stopService()

    async def test_not_renewed_in_vain(self) -> None:
        """A server that cannot listen leaves the key as it is, on each of its ports and under twist as well."""
        ShareFolder(self.folder).load_or_make(time.time)
        old, listen = self.key(), self.reactor.listenTCP
        for busy in (9999, 8081):

            def maybe(port: int, *args: Any, busy: int = busy, **keywords: Any) -> Any:
                if port == busy:
                    raise CannotListenError("", port, OSError(98, "Address already in use"))
                return listen(port, *args, **keywords)

            self.reactor.listenTCP = maybe  # type: ignore[method-assign]
            for start in (Server.privilegedStartService, Server.startService):
                server = self.make(share=True, renew=True, state_dir=self.folder, http="tcp:8081")
                self.assertRaisesRegex(StartError, "in use", start, server)
                self.assertEqual(self.key(), old)

    async def test_not_stored(self) -> None:
        """A renewed key that cannot be stored keeps the server from starting."""
        self.folder.write_text("a file")
        server = self.make(share=True, renew=True, state_dir=self.folder)
        self.assertRaisesRegex(StartError, "^--share: .* is not a folder", server.privilegedStartService)

    async def test_broken_key(self) -> None:
        """A key that cannot be used keeps the server from starting, before anything is listened on."""
        self.folder.mkdir(0o700)
        (self.folder / "share-key.txt").touch(0o600)
        (self.folder / "share-key.txt").write_text("nonsense")
        server = self.make(share=True, state_dir=self.folder)
        self.assertRaisesRegex(StartError, "^--share: .* damaged", server.privilegedStartService)
        self.assertEqual(self.ports, [])

    async def test_preview_without_display(self) -> None:
        """The window is opened by the start, and not before."""
        config = make_config(self.reactor, parse_cameras(["test"]), {"http": "off", "open": True})
        server = Server(dataclasses.replace(config, preview=True), self.reactor)
        self.patch(os, "environ", {})
        self.assertRaisesRegex(StartError, "^--preview: ", self.start, server)


class FewFilesTests(ServerTestCase):
    """A process that may not open as many files as viewers are asked for."""

    async def test_warning(self) -> None:
        """It says how many can watch, and what to do."""
        self.patch(service, "connection_limit", lambda cameras: 220)
        for viewers, lines in ((165, 0), (166, 1)):
            with capturedLogs() as events:
                server = self.make(http="off", open=True, max_viewers=viewers)
                self.start(server)
                await server.stopService()
            told = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
            self.assertEqual(len(told), lines)
        self.assertIn("only 165 viewers can watch, not 166: raise the limit on open files (ulimit -n)", told)


class WiringTests(ServerTestCase):
    """How endpoints, access and cameras are connected."""

    async def test_open_and_local(self) -> None:
        """Other machines are let in if that was asked for, in any of the ways."""
        self.assertRaisesRegex(StartError, "to other machines", self.start, self.make(listen="tcp:1", http="off"))
        for given in ({"open": True}, {"auth": "memory:me:secret"}, {"share": True, "state_dir": self.folder}):
            server = self.make(listen="tcp:1", http="off", **given)
            self.start(server)
            await server.stopService()

    async def test_tls(self) -> None:
        """A shared camera is behind TLS over TCP and HTTP; others speak their protocols at once."""
        server = self.make(share=True, state_dir=self.folder)
        self.start(server)
        for _, factory, *_ in self.reactor.tcpServers:
            self.assertIsInstance(factory, TLSMemoryBIOFactory)
        await server.stopService()
        self.reactor.tcpServers.clear()
        server = self.make(http="off", open=True)
        self.start(server)
        self.assertIsInstance(self.reactor.tcpServers[0][1], ViewerServerFactory)
        await server.stopService()

    async def test_web(self) -> None:
        """The web server knows the names and the origin that were given, and all connections the proxies."""
        server = self.make(
            open=True, allow_host="cam.example", allow_origin="http://a.example", trusted_proxy="10.0.0.1"
        )
        self.start(server)
        site = self.reactor.tcpServers[-1][1]
        for head, code in (
            ("Host: cam.example", 200),
            ("Host: evil.example", 421),
            ("Sec-Fetch-Site: cross-site\r\nReferer: http://a.example/", 200),
            ("Sec-Fetch-Site: cross-site\r\nReferer: http://b.example/", 403),
        ):
            transport = StringTransport(peerAddress=IPv4Address("TCP", "10.0.0.1", 4711))
            connection: Any = site.buildProtocol(transport.getPeer())
            connection.makeConnection(transport)
            connection.dataReceived(f"GET /healthz HTTP/1.0\r\n{head}\r\n\r\n".encode())
            self.assertEqual(transport.value().split()[1], str(code).encode(), head)
        self.assertTrue(server._admission.connections.is_shared("10.0.0.1"))
        self.assertFalse(server._admission.connections.is_shared("10.0.0.2"))
        await server.stopService()

    async def test_renewed_by_another(self) -> None:
        """Within 2 s after another server has renewed the key, the connections of the old one have ended."""
        server = self.make(share=True, http="off", state_dir=self.folder)
        self.start(server)
        factory: Any = self.reactor.tcpServers[0][1]
        viewers = [connect(factory.wrappedFactory)[1] for _ in range(3)]
        other = self.make(share=True, renew=True, http="off", state_dir=self.folder)
        self.start(other)
        self.assertEqual([viewer.disconnecting or viewer.disconnected for viewer in viewers], [False] * 3)
        self.reactor.pump([0.5] * 4)
        self.assertEqual([viewer.disconnecting or viewer.disconnected for viewer in viewers], [True] * 3)
        late = connect(factory.wrappedFactory)[1]
        self.reactor.pump([0.5] * 4)
        self.assertFalse(late.disconnecting or late.disconnected)
        self.reactor.pump([1] * 10)
        await server.stopService()
        await other.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cameras(self) -> None:
        """Each camera can be found by its name, in order, and has not been opened."""
        server = self.make("desk=test", "door=test")
        self.assertEqual(
            [(name, camera.state) for name, camera in server.cameras.items()], [("desk", "closed"), ("door", "closed")]
        )
