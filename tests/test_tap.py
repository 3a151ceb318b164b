"""The options of C{twistd camstream}, and how the command ends if it cannot start."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from tests.processes import ProcessTestCase
from twistedcam.app import list_cameras
from twistedcam.app.config import Passwords, make_config
from twistedcam.capture.encoder import Settings
from twistedcam.capture.sources import parse_source
from twistedcam.errors import CameraError
from twistedcam.tap import CommandError, Options, ServerCommand


class OptionTests(SynchronousTestCase):
    """The options on a command line."""

    def parse(self, *words: str) -> Options:
        """The options that were parsed."""
        options = Options()
        options.parseOptions(words)
        return options

    def test_defaults(self) -> None:
        """The defaults."""
        config = self.parse().config
        self.assertEqual([camera.source.target.reveal() for camera in config.cameras], ["0"])
        self.assertEqual([endpoint.description for endpoint in config.listen], ["tcp:9999:interface=127.0.0.1"])
        self.assertEqual((config.cameras[0].settings, config.silent_encoding), (Settings(320, 0, 80), "jpeg"))

    def test_all(self) -> None:
        """Each option reaches the configuration."""
        words = "-c test -c desk=/dev/video2 -l unix:a --listen unix:b --http off --size 640x480 -w 160 -r 10 -q 90"
        words += " --allow-host a.example --allow-host b.example --trusted-proxy 127.0.0.1 --trusted-proxy 10.0.0.0/8"
        config = self.parse(*words.split(), *["-m", "3", "--allow-origin", "*", "--auth", "memory:me:secret"]).config
        self.assertEqual([camera.name for camera in config.cameras], ["test", "desk"])
        self.assertEqual([endpoint.description for endpoint in config.listen], ["unix:a", "unix:b"])
        self.assertEqual((config.cameras[0].mode.size, config.cameras[0].settings), ((640, 480), Settings(160, 10, 90)))
        self.assertEqual((config.http, config.max_viewers, config.allow_origins), (None, 3, ("*",)))
        self.assertEqual(config.allow_hosts, ("a.example", "b.example"))
        self.assertEqual(list(map(str, config.trusted_proxies)), ["127.0.0.1/32", "10.0.0.0/8"])
        self.assertIsInstance(config.access, Passwords)

    def test_variable(self) -> None:
        """Without --camera the cameras are those of a variable, one a line, with names and options."""
        url = "rtsp://me:secret@door.example/"
        self.patch(os, "environ", {"TWISTEDCAM_CAMERA": f"door={url},rotate=180\r\n\n  test \n"})
        options = self.parse()
        self.assertEqual([camera.name for camera in options.config.cameras], ["door", "test"])
        self.assertEqual(options.config.cameras[0].source.target.reveal(), url)
        self.assertEqual(options.config.cameras[0].settings.rotate, 180)
        self.assertEqual(options.exposed, ())
        self.assertEqual([camera.name for camera in self.parse("--camera", "test").config.cameras], ["test"])
        for value in ("", " \n"):
            self.patch(os, "environ", {"TWISTEDCAM_CAMERA": value})
            self.assertEqual([camera.name for camera in self.parse().config.cameras], ["camera-0"])
        self.patch(os, "environ", {"TWISTEDCAM_CAMERA": "rtsp://me:secret@[::1/"})
        message = str(self.assertRaises(usage.UsageError, self.parse))
        self.assertRegex(message, r"^TWISTEDCAM_CAMERA: the URL rtsp://\*\*\* has")

    def test_exposed(self) -> None:
        """Cameras whose password is on the command line are known, for a warning."""
        words = ("-c", "rtsp://me:secret@door.example/", "-c", "a=http://attic.example/?pwd=secret", "-c", "test")
        self.assertEqual(self.parse(*words).exposed, ("door.example", "a"))

    def test_list_cameras(self) -> None:
        """The list of cameras is printed, and nothing else happens; what keeps it from being made is one line."""

        def fail() -> str:
            raise CameraError("no \x1b list")

        for function, output, error in ((lambda: "desk=0", "desk=0\n", SystemExit), (fail, "", usage.UsageError)):
            self.patch(list_cameras, "list_cameras", function)
            printed = io.StringIO()
            self.patch(sys, "stdout", printed)
            caught = self.assertRaises(error, self.parse, "--list-cameras", "--camera", "missing.mp4")
            self.assertEqual(printed.getvalue(), output)
            self.assertIn(str(caught), ("0", r"no \x1b list"))

    def test_refused(self) -> None:
        """A mistake is a usage error of one line that names the option."""
        for words, message in (
            (("--quality", "101"), "--quality: '101' is not a whole number from 1 to 100"),
            (("--camera", "missing.mp4"), "--camera: there is no video file 'missing.mp4'"),
            (("--listen", "tcp"), "--listen: 'tcp' is not a server endpoint"),
            (("--allow-host", "a:1"), "--allow-host: 'a:1' is not a host name"),
            (("--trusted-proxy", "here"), "--trusted-proxy: 'here' is not an IP address or network"),
            (("--auth", "nonsense"), "--auth: 'nonsense' is not recognized"),
            (("--share", "--open"), "--share and --open cannot be combined"),
        ):
            with self.assertRaises(usage.UsageError) as caught:
                self.parse(*words)
            self.assertIn(message, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))

    def test_help(self) -> None:
        """The help has each option, in one of its groups, and no checker that does not take passwords."""
        options = Options()
        told = options.getUsage(100)
        for option in options.longOpt:
            self.assertRegex(told, rf"--{option.rstrip('=')}[= \n]")
        for group in options.groups:
            self.assertIn(f"\n{group}:\n", told)


class CommandTests(SynchronousTestCase):
    """The service of the command."""

    def command(self, **given: Any) -> ServerCommand:
        """A server with this configuration."""
        reactor = MemoryReactorClock()
        return ServerCommand(make_config(reactor, [parse_source("test")], given), reactor)

    def test_cannot_start(self) -> None:
        """A server that cannot start ends twistd with one line, which twistd can also catch in the background."""
        for start in ("privilegedStartService", "startService"):
            with self.assertRaises(SystemExit) as caught:
                getattr(self.command(listen="tcp:1"), start)()
            self.assertIsInstance(caught.exception, CommandError)
            self.assertIsInstance(caught.exception, Exception)
            self.assertRegex(str(caught.exception), "^camstream: tcp:1 would show the camera to other machines: ")


class ImportTests(ProcessTestCase):
    """What the command imports."""

    async def test_no_viewer(self) -> None:
        """Without a preview no viewer is imported, nor PyAV, nor a reactor before the options are parsed."""
        script = self.script(
            "import sys\n"
            "from twistedcam import tap\n"
            "print('reactor before', 'twisted.internet.reactor' in sys.modules)\n"
            "options = tap.Options()\n"
            "options.parseOptions(['--camera', 'test'])\n"
            "tap.makeService(options)\n"
            "print('viewer', [name for name in sys.modules if name.startswith('twistedcam.client')])\n"
            "print('PyAV', 'av' in sys.modules)\n"
        )
        self.assertEqual(await script.ended, 0, script.output)
        self.assertEqual(script.output, "reactor before False\nviewer []\nPyAV False\n")
