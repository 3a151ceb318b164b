"""Nothing secret, and nothing that acts on a terminal, in any output, with real processes whatever they are sent."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from tests.processes import ProcessTestCase, Running, turn
from tests.raw_messages import pack_json
from twistedcam.access.sharekey import read_key, web_token
from twistedcam.codec import encode_jpeg
from twistedcam.frame import stamp
from twistedcam.wire.framing import PREFIX, pack

SECRET = "planted-secret"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\u202e\u2028\x9b"
HOSTILE = f"{SECRET}{ESCAPES}\ud800"
_JPEG = encode_jpeg(np.zeros((8, 8, 3), np.uint8))


def wire_inputs() -> list[bytes]:
    """What a hostile viewer may say."""
    hellos = [
        {"type": "hello", field: HOSTILE} for field in ("camera", "user", "password", "nonce", "proof", "fps", "adapt")
    ]
    hellos += [{"type": "hello", "user": "me", "password": HOSTILE}, {"type": HOSTILE}, {HOSTILE: HOSTILE}]
    hellos += [{"type": "hello", "user": ESCAPES, "password": SECRET, "camera": ESCAPES}]
    hellos += [{"type": "ping", "sent": HOSTILE}]
    raw = (SECRET + ESCAPES).encode()
    return [
        *map(pack_json, hellos),
        raw,
        pack(raw),
        pack(b"{" + raw),
        PREFIX.pack(2**60) + raw,
        b"\x16\x03\x01\x00\x40" + raw,
        b"\x16\x03\x03" + b"\xff" * 2000,
        b"\xa5" * 5000,
        b"GET /?key=" + raw + b" HTTP/1.1\r\n\r\n",
    ]


def web_inputs() -> list[bytes]:
    """What a hostile browser may ask."""
    quoted, raw = quote(SECRET + ESCAPES), (SECRET + ESCAPES.replace("\r", "")).encode()
    login = b64encode(f"me:{SECRET}{ESCAPES}".encode()).decode()
    heads = [
        *(f"{method} /?key={quoted}" for method in ("GET", "HEAD", "POST", "OPTIONS", "TRACE", ESCAPES.strip())),
        *(f"GET /{path}?key={quoted}&width={quoted}" for path in ("state", "stream", "snapshot", "metrics", quoted)),
        f"HEAD /snapshot?max_age={quoted}&key={quoted}",
        f"GET /?camera={quoted}",
        f"GET //{quoted}/..",
    ]
    asked = [f"{head} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for head in heads]
    headers = [
        b"Host: " + raw,
        b"Accept: " + raw,
        b"Cookie: " + raw,
        b"Origin: " + raw,
        b"Referer: http://x/?key=" + raw,
        b"User-Agent: " + raw,
        b"X-Forwarded-For: " + raw,
        b"Authorization: " + raw,
        f"Authorization: Basic {login}".encode(),
        b"Content-Length: " + raw,
        raw,
        raw + b": " + raw,
        b"X: " + raw * 2000,
    ]
    for path in (b"/", b"/state"):
        asked += [b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + header + b"\r\n\r\n" for header in headers]
    return [*asked, raw, raw + b"\r\n\r\n", b"GET /?key=" + raw + b"\r\n\r\n", b"GET /?key=" + raw + b" HTTP/9\r\n\r\n"]


def send(port: int, said: bytes, tls: bool) -> None:
    """Say this to C{port}, and read what is answered, for a moment."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(0.5)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)
        with connection:
            connection.sendall(said)
            until = time.monotonic() + 1
            while connection.recv(65536) and time.monotonic() < until:
                pass


class OutputTestCase(ProcessTestCase):
    """Outputs of processes, which are searched."""

    timeout = 120

    def assert_harmless(self, output: str, *secrets: str) -> None:
        """Check that C{output} contains no secret and no character that a terminal acts on."""
        for secret in (SECRET, *secrets):
            self.assertNotIn(secret, output)
        for line in output.split("\n"):
            self.assertTrue(line.lstrip("\t").isprintable() and "\ufffd" not in line, repr(line))
        self.assertNotIn("Unhandled", output)

    def assert_files_harmless(self, *secrets: str) -> None:
        """Check the names of all files in the test's folder, and all logs there."""
        for path in Path(self.folder).rglob("*"):
            self.assert_harmless(str(path), *secrets)
            if path.suffix == ".log":
                self.assert_harmless(path.read_text(errors="replace"), *secrets)

    async def attack(self, port: int, inputs: Iterable[bytes], tls: bool = False) -> None:
        """Send each of C{inputs} on a connection of its own."""
        await gatherResults([deferToThread(send, port, said, tls) for said in inputs])

    async def ports(self, server: Running) -> tuple[int, int]:
        """The ports of C{server} for TCP and for HTTP."""
        found = await server.said(r"(?s)listening on [\d.]+:(\d+).*listening on [\d.]+:(\d+)")
        return int(found[1]), int(found[2])

    async def end(self, server: Running) -> None:
        """End C{server}."""
        server.signal("TERM")
        await server.ended


_LISTEN = ("--listen", "tcp:0:interface=127.0.0.1", "--http", "tcp:0:interface=127.0.0.1")


class ServerTests(OutputTestCase):
    """Servers that hostile viewers talk to."""

    async def test_open_to_this_machine(self) -> None:
        """Without login: no output of the server has what was sent."""
        for logger in ((), ("--logger", "twistedcam.journal.observer")):
            server = self.twistd(*logger, "camstream", "--camera", "test", *_LISTEN)
            wire, web = await self.ports(server)
            await self.attack(wire, wire_inputs())
            await self.attack(web, web_inputs())
            await self.attack(web, wire_inputs())
            await self.attack(wire, web_inputs())
            await self.end(server)
            self.assert_harmless(server.output)

    async def test_passwords(self) -> None:
        """With names and passwords: neither the right password nor guessed ones."""
        server = self.twistd("camstream", "--camera", "test", "--auth", "memory:me:right-password", *_LISTEN)
        wire, web = await self.ports(server)
        right = {"type": "hello", "user": "me", "password": "right-password"}
        await self.attack(wire, [*wire_inputs(), pack_json(right)])
        login = b64encode(b"me:right-password").decode()
        asked = f"GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {login}\r\n\r\n".encode()
        await self.attack(web, [*web_inputs(), asked, asked.replace(b"GET", b"HEAD")])
        await self.end(server)
        self.assert_harmless(server.output, "right-password", login)

    async def test_key(self) -> None:
        """With a key: neither the key nor the token of a link, not even where they are right; no terminal is there."""
        words = ("camstream", "--camera", "test", "--share", "--state-dir", "state", *_LISTEN)
        server = self.twistd(*words)
        wire, web = await self.ports(server)
        key = next(found for path in Path(self.folder, "state").iterdir() for found in _keys(path.read_text()))
        token = web_token(read_key(key)).reveal()
        asked = [
            f"{method} {path}?key={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
            for method in ("GET", "HEAD", "POST")
            for path in ("/", "/state", "/nothing")
        ]
        for tls in (True, False):
            await self.attack(wire, wire_inputs(), tls)
            await self.attack(web, [*web_inputs(), *asked], tls)
        viewer = self.twistd("camstream-client", "--port", str(wire), "--key", key, "--headless", "--frames", "3")
        self.assertEqual(await viewer.ended, 0)
        await self.end(server)
        for output in (viewer.output, server.output):
            self.assert_harmless(output, key, key.replace("-", ""), token)

    async def test_background(self) -> None:
        """The log of a server in the background is as harmless."""
        words = ("--pidfile", "camera.pid", "camstream", "--camera", "test", *_LISTEN)
        self.assertEqual(await self.start("twistd", *words).ended, 0)
        log = Path(self.folder, "twistd.log")
        server = Running()
        while log.read_text().count("listening on") < 2:
            await turn()
        server.output = log.read_text()
        wire, web = await self.ports(server)
        await self.attack(wire, wire_inputs())
        await self.attack(web, web_inputs())
        pid = Path(self.folder, "camera.pid")
        os.kill(int(pid.read_text()), signal.SIGTERM)
        while pid.exists():
            await turn()
        self.assertIn("viewer 127.0.0.1", log.read_text())
        self.assert_files_harmless()


def _keys(text: str) -> Iterable[str]:
    """The keys in a file."""
    for word in text.split():
        with contextlib.suppress(ValueError):
            read_key(word)
            yield word


_HTTP_OK = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp4\r\n\r\n"
_UNAUTHORIZED = b"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"


class CameraTests(OutputTestCase):
    """Cameras whose own code is hostile, or careless."""

    async def test_plugin(self) -> None:
        """Whatever a plugin raises, its camera is tried again, and no log, viewer or /state has its text."""
        server = self.twistd("camstream", "--camera", "plugin:hostile", *_LISTEN)
        wire, web = await self.ports(server)
        viewer = self.twistd("camstream-client", "--port", str(wire), "--headless", "--snapshot-every", "0.5")
        states = []
        while server.output.count("no signal: ") < 5:
            states.append(await deferToThread(get, web, "/state"))
            await turn()
        await self.end(viewer)
        await self.end(server)
        for output in (server.output, viewer.output):
            self.assert_harmless(output)
        for state in states:
            told = json.loads(state)
            self.assertNotIn(SECRET, state)
            self.assertTrue(all(text.isprintable() for text in _texts(told)), state)
        self.assert_files_harmless()

    async def test_names_and_urls(self) -> None:
        """Sources whose names act on a terminal, or have a password, are shown harmlessly or refused in one line."""
        for source in (
            f"rtsp://me:{SECRET}@127.0.0.1:1/live",
            f"door=rtsp://me:{SECRET}@127.0.0.1:1/{ESCAPES}",
            f"rtsp://me:{SECRET}@[::1/",
            f"{ESCAPES}=test",
            f"plugin:{ESCAPES}",
            ESCAPES,
            "\udcff",
        ):
            words = ("camstream", "--camera", source, "--listen", "unix:camera")
            server = self.twistd(*words)
            if source.endswith("/live"):
                viewer = self.watch("--snapshot-every", "0.5")
                await server.said("no signal: ")
                await viewer.said("connected to")
                await self.end(viewer)
                await self.end(server)
                self.assert_harmless(viewer.output)
            else:
                await server.ended  # with status 0 until Twisted 24.10
                self.assertIn("--camera: ", server.output)
                self.assertNotIn("Traceback", server.output)
            self.assert_harmless(server.output)
        self.assert_files_harmless()

    async def test_planted(self) -> None:
        """No output has a secret of a camera's URL, wherever in it that is, and however its server answers."""
        answers = {"ends": _HTTP_OK, "garbage": b"\0garbage\xff" * 500, "login": _UNAUTHORIZED, "refuses": None}
        for kind, answer in answers.items():
            scheme, port = "rtsp" if kind in ("garbage", "refuses") else "http", await self.answering(answer)
            server = await self.look_at(
                [
                    f"{kind}-1={scheme}://me:{SECRET}@127.0.0.1:{port}/live",
                    f"{kind}-2={scheme}://127.0.0.1:{port}/live?token={SECRET}",
                    f"{kind}-3={scheme}://127.0.0.1:{port}/{SECRET}/live.mjpg",
                ]
            )
            self.assertEqual(server.output.count("the command line has a password of"), 1)

    async def test_hidden_from_the_process_list(self) -> None:
        """A URL in a file or in the environment variable is not in the list of processes either."""
        port = await self.answering(_HTTP_OK)
        url = f"http://me:{SECRET}@127.0.0.1:{port}/{SECRET}?key={SECRET}"
        Path(self.folder, "source").write_text(url + "\n")
        for words, variable in ((["a=@source", "@source,rotate=180"], ""), ([], f"a={url}\nb={url},width=100\n")):
            server = await self.look_at(words, variable)
            self.assertNotIn("the command line has a password", server.output)

    async def answering(self, answer: bytes | None) -> int:
        """A port at which each connection is answered so, and closed; with None it is refused."""

        class Answering(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None and answer is not None
                self.transport.write(answer)
                self.transport.loseConnection()

        listening: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            Factory.forProtocol(Answering)
        )
        port = int(listening.getHost().port)
        if answer is None:
            await listening.stopListening()
        else:
            self.addCleanup(listening.stopListening)
        return port

    async def look_at(self, cameras: Sequence[str], variable: str = "") -> Running:
        """Watch C{cameras}, or those in the variable, until each is lost, and check all that anybody is shown."""
        words = [word for camera in cameras for word in ("--camera", camera)]
        shell = f"export TWISTEDCAM_CAMERA={shlex.quote(variable)}" if variable else ""
        server = self.start("twistd", "-n", "camstream", *words, *_LISTEN, shell=shell)
        wire, web = await self.ports(server)
        listed = Path(f"/proc/{server.transport.pid}/cmdline").read_text()  # type: ignore[union-attr]
        told = json.loads(await deferToThread(get, web, "/state"))
        names = [camera["name"] for camera in told["cameras"]]
        viewers = [
            self.twistd("camstream-client", "--port", str(wire), "--headless", "--camera", name) for name in names
        ]
        shown = ""
        for name, viewer in zip(names, viewers, strict=True):
            await server.said(f"{re.escape(name)}: no signal: ")
            await viewer.said("connected to")
            shown += await deferToThread(get, web, f"/snapshot?camera={quote(name)}", "latin-1")
        for path in ("/state", "/metrics", "/"):
            shown += await deferToThread(get, web, path)
        for running in (*viewers, server):
            await self.end(running)
            self.assert_harmless(running.output)
        for text in (shown, *([] if cameras and "://" in cameras[0] else [listed])):
            self.assertNotIn(SECRET, text)
        self.assertTrue('"state":"no-signal"' in shown and '"state": "lost"' in shown)
        self.assert_files_harmless()
        return server

    async def test_script(self) -> None:
        """C{serve} refuses a name that acts on a terminal."""
        script = self.script("import twistedcam\ntwistedcam.serve([], name='\\x1b[2J')")
        self.assertEqual(await script.ended, 1)
        self.assertRegex(script.output, r"ServeError: name: '\\x1b\[2J' is not a name")
        self.assert_harmless(script.output)


def get(port: int, path: str, encoding: str = "utf-8") -> str:
    """The body of the answer for C{path}."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return answer.partition(b"\r\n\r\n")[2].decode(encoding)


def _texts(value: Any) -> Iterable[str]:
    """All texts in JSON."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


class HostileServerTests(OutputTestCase):
    """Viewers of hostile servers."""

    async def outputs(self, said: bytes, *options: str) -> None:
        """A viewer with C{options} of a server that says this shows nothing of it that acts on a terminal."""

        class Hostile(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(said)

        listening: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            Factory.forProtocol(Hostile)
        )
        self.addCleanup(listening.stopListening)
        port = str(listening.getHost().port)
        viewer = self.twistd("camstream-client", "--port", port, "--headless", *options)
        call = reactor.callLater(2, viewer.signal, "TERM")
        await viewer.ended
        if call.active():
            call.cancel()
        for line in viewer.output.split("\n"):
            self.assertTrue(line.isprintable() and "\ufffd" not in line, repr(line))
        self.assertNotIn("Traceback", viewer.output)

    async def test_texts(self) -> None:
        """Names, reasons, and the camera and reason of frames."""
        frames = b"".join(stamp(_JPEG, ESCAPES, number, 0.0, "no signal", ESCAPES, 0.0).message for number in range(20))
        for said in (
            pack_json({"type": "refused", "reason": HOSTILE}),
            pack_json({"type": "refused", "reason": ESCAPES}),
            pack_json({"type": "refused", "reason": ESCAPES, "again": True}),
            pack_json({"type": "cameras", "cameras": [ESCAPES, HOSTILE]}),
            pack_json({"type": ESCAPES}),
            pack_json({"type": "pong", "sent": ESCAPES, "clock": ESCAPES}),
            pack_json({"type": "challenge", "nonce": ESCAPES * 3, "proof": ESCAPES}),
            pack(ESCAPES.encode() * 20),
            ESCAPES.encode() * 20,
            frames,
        ):
            await gatherResults(
                [
                    Deferred.fromCoroutine(self.outputs(said, *options))
                    for options in (("--list",), ("--snapshot-every", "0.1", "--frames", "10"))
                ]
            )
        self.assert_files_harmless()

    async def test_before_the_proof(self) -> None:
        """A viewer with a key or a password shows neither to whoever answers in place of the server."""
        for said in (
            pack_json({"type": "challenge", "nonce": "x" * 32, "proof": ESCAPES}),
            pack_json({"type": "refused", "reason": ESCAPES}),
        ):
            await self.outputs(said, "--key", "0000-0000-0000-0000-0000-0000")
            await self.outputs(said, "--key", SECRET + ESCAPES)
