"""The meaning of options and keywords, and what is refused."""

from __future__ import annotations

import builtins
import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
from twisted.cred.checkers import FilePasswordDB
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.app.config import (
    OPTIONS,
    ConfigError,
    Local,
    Open,
    Passwords,
    ServerConfig,
    Shared,
    make_config,
    parse_cameras,
)
from twistedcam.capture.encoder import Settings
from twistedcam.capture.mode import Mode


class ConfigTestCase(SynchronousTestCase):
    """Configurations made from values by the names of their options."""

    def make(self, cameras: tuple[str, ...] = ("test",), /, **given: Any) -> ServerConfig:
        """The configuration for these values."""
        names = {keyword.replace("_", "-"): value for keyword, value in given.items()}
        return make_config(MemoryReactorClock(), parse_cameras(cameras), names)

    def refused(self, cameras: tuple[str, ...] = ("test",), /, **given: Any) -> str:
        """The one line of the error for these values."""
        with self.assertRaises(ConfigError) as caught:
            self.make(cameras, **given)
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        return message


class ValueTests(ConfigTestCase):
    """Single values."""

    def test_defaults(self) -> None:
        """The defaults hold if nothing is given, or None."""
        for config in (self.make(), self.make(**{name.replace("-", "_"): None for name in OPTIONS})):
            self.assertEqual([camera.name for camera in config.cameras], ["test"])
            self.assertEqual([endpoint.description for endpoint in config.listen], ["tcp:9999:interface=127.0.0.1"])
            assert config.http is not None
            self.assertEqual(config.http.description, "tcp:8080:interface=127.0.0.1")
            self.assertTrue(config.http.is_default)
            self.assertEqual(
                (config.cameras[0].settings, config.cameras[0].mode),
                (Settings(320, 0, 80), Mode(None, 0, as_jpeg=False, max_width=320)),
            )
            self.assertEqual((config.silent_encoding, config.max_viewers), ("jpeg", 500))
            self.assertEqual((config.access, config.allow_origins, config.preview), (Local(), (), False))

    def test_frozen(self) -> None:
        """A configuration cannot be changed later."""
        with self.assertRaises(dataclasses.FrozenInstanceError):
            self.make().preview = True  # type: ignore[misc]

    def test_text_and_numbers(self) -> None:
        """A number may be text, as in a command, or any type of number, as in a script."""
        for width, fps in (("640", "12.5"), (640, 12.5), (np.int64(640), np.float32(12.5))):
            config = self.make(width=width, fps=fps)
            self.assertEqual(
                (config.cameras[0].settings.width, config.cameras[0].settings.fps, config.cameras[0].mode.fps),
                (640, 12.5, 12.5),
            )
        self.assertIs(type(self.make(fps=10).cameras[0].settings.fps), float)

    def test_size(self) -> None:
        """The size is one for devices, which are asked for their own JPEGs if pictures are not resized."""
        self.assertEqual(self.make(size="1280x720", width=0).cameras[0].mode, Mode((1280, 720), 0.0, as_jpeg=True))

    def test_web(self) -> None:
        """Origins, host names and networks are written in the way in which requests have them."""
        for text, origin in (
            ("*", "*"),
            ("null", "null"),
            ("HTTP://Dash.example:80", "http://dash.example"),
            ("https://dash.example:8443", "https://dash.example:8443"),
        ):
            self.assertEqual(self.make(allow_origin=text).allow_origins, (origin,))
        self.assertEqual(self.make(allow_origin=["http://a", "https://b"]).allow_origins, ("http://a", "https://b"))
        names = self.make(allow_host=["Cam.Example.", "b\u00fccher.example", "my_cam"]).allow_hosts
        self.assertEqual(names, ("cam.example", "xn--bcher-kva.example", "my_cam"))
        networks = self.make(trusted_proxy=["10.0.0.0/8", "::1"]).trusted_proxies
        self.assertEqual(list(map(str, networks)), ["10.0.0.0/8", "::1/128"])

    def test_wrong_values(self) -> None:
        """The error names the option, and says what to write instead."""
        for name, value, message in (
            ("quality", "101", "--quality: '101' is not a whole number from 1 to 100"),
            ("quality", 0, "--quality: 0 is not a whole number"),
            ("quality", "good", "--quality: 'good' is not"),
            ("quality", True, "--quality: True is not"),
            ("width", -1, "--width: -1 is not a whole number from 0"),
            ("width", 1.5, "--width: 1.5 is not"),
            ("fps", "nan", "--fps: 'nan' is not a number from 0"),
            ("fps", -1, "--fps: -1 is not"),
            ("fps", "fast", "--fps: 'fast' is not"),
            ("max_viewers", 0, "--max-viewers: 0 is not"),
            ("size", "large", "--size: 'large' is not a size, write it like 1280x720"),
            ("size", (640, 480), "--size: (640, 480) is not a size"),
            ("codec", "png", "--codec: 'png' is neither jpeg nor pickle"),
            ("open", "yes", "--open: 'yes' is neither True nor False"),
            ("preview", 2, "--preview: 2 is neither True nor False"),
            ("http", 8080, "--http: 8080 is not a string"),
            ("listen", 5, "--listen: 5 is not a string"),
            ("listen", ["unix:a", 5], "--listen: 5 is not a string"),
            ("allow_origin", "cam.example", "--allow-origin: 'cam.example' is not an origin, write http://cam.example"),
            ("allow_origin", ["*", "http://a.example/b"], "'http://a.example/b' is not an origin, write http://a.exam"),
            ("allow_host", "http://cam.example", "--allow-host: 'http://cam.example' is not a host name, write it "),
            ("allow_host", ["a.example", "cam.example:8080"], "without scheme, port or path, like cam.example"),
            ("allow_host", "", "--allow-host: '' is not a host name"),
            ("trusted_proxy", "proxy.example", "--trusted-proxy: 'proxy.example' is not an IP address or network, wri"),
            ("trusted_proxy", "10.0.0.1/8", "--trusted-proxy: 10.0.0.1/8 has host bits set, write it like 127.0.0.1"),
            ("trusted_proxy", 5, "--trusted-proxy: 5 is not a string"),
            ("auth", 5, "--auth: 5 is not a string"),
            (
                "colour",
                "red",
                "--colour: there is no such option; there are --allow-host, --allow-origin, --announce, --auth",
            ),
        ):
            self.assertIn(message, self.refused(**{name: value}))

    def test_preview_without_display(self) -> None:
        """A preview where no window can open is refused."""
        self.patch(os, "environ", {})
        self.assertRegex(self.refused(preview=True), "^--preview: .*; leave out --preview$")


class CameraTests(ConfigTestCase):
    """The cameras."""

    def test_wrong_cameras(self) -> None:
        """A missing file, one that is not a video, and two cameras of one name are refused."""
        for cameras, message in (
            (("missing.mp4",), "--camera: there is no video file 'missing.mp4'"),
            ((__file__,), "is not a video, or damaged"),
            (("test", "test"), "--camera: two cameras are called 'test', write NAME=SOURCE for one of them"),
        ):
            self.assertIn(message, self.refused(cameras))

    def test_names(self) -> None:
        """Names that do not print, that are empty or that viewers would cut off are refused; others are kept."""
        sources = parse_cameras(["test"])
        for name in ("", "a\x1b[2J", "a\rb", "a\u202eb", "a\ud800", "x" * 201):
            with self.assertRaisesRegex(
                ConfigError, "^--camera: '.* is not a name of 1 to 200 .*NAME=SOURCE$"
            ) as caught:
                make_config(MemoryReactorClock(), [dataclasses.replace(sources[0], name=name)], {})
            self.assertTrue(str(caught.exception).isprintable())
        for name in ("x", "Tür zum Hof", "入口", "x" * 200):
            config = make_config(MemoryReactorClock(), [dataclasses.replace(sources[0], name=name)], {})
            self.assertEqual(config.cameras[0].name, name)

    def test_hostile_texts(self) -> None:
        """An error of a source prints, whatever the source is called."""
        path = self.mktemp() + "\x1b[2J\r\u202e"
        with open(path, "w") as file:
            file.write("no video")
        for source in (path, "missing\x1b", "a\ud800", "plugin:\x1b", "rtsp://me:secret@[::1/\x1b"):
            told = self.refused((source,))
            self.assertTrue(told.isprintable(), told)
            self.assertNotIn("secret", told)


class EndpointTests(ConfigTestCase):
    """Where to listen."""

    def test_listen(self) -> None:
        """One endpoint or several; with a shared camera other machines can reach the default ones."""
        self.assertEqual([endpoint.description for endpoint in self.make(listen="unix:a").listen], ["unix:a"])
        both = self.make(listen=["unix:a", "unix:b"]).listen
        self.assertEqual(
            [(endpoint.description, endpoint.is_default) for endpoint in both], [("unix:a", False), ("unix:b", False)]
        )
        shared = self.make(share=True)
        assert shared.http is not None
        self.assertEqual((shared.listen[0].description, shared.http.description), ("tcp:9999", "tcp:8080"))

    def test_http(self) -> None:
        """Off means no HTTP; an endpoint that was asked for is not the default one, even if it is the same."""
        self.assertIsNone(self.make(http="off").http)
        asked = self.make(http="tcp:8080:interface=127.0.0.1").http
        assert asked is not None
        self.assertFalse(asked.is_default)

    def test_wrong_endpoints(self) -> None:
        """What Twisted cannot parse is refused with an example."""
        for text in ("tcp", "tcp:http", "carrier-pigeon:1"):
            for option in ("listen", "http"):
                message = self.refused(**{option: text})
                self.assertIn(f"--{option}: {text!r} is not a server endpoint", message)
                self.assertRegex(message, "write it like tcp:")
        self.assertIn("Unknown endpoint type", self.refused(listen="carrier-pigeon:1"))


class AccessTests(ConfigTestCase):
    """Who may watch."""

    def test_ways(self) -> None:
        """Each way has a type of its own."""
        self.assertEqual(self.make(open=1).access, Open())
        self.assertEqual(self.make(open=False, share=0).access, Local())
        access = self.make(auth="memory:me:secret").access
        assert isinstance(access, Passwords)
        self.assertEqual(len(access.checkers), 1)
        access = self.make(auth=["memory:me:secret", "memory:you:secret"]).access
        assert isinstance(access, Passwords)
        self.assertEqual(len(access.checkers), 2)

    def test_state_dir(self) -> None:
        """A relative folder is resolved at once, before the current folder changes; the default is the user's own."""
        here = os.path.abspath("state")
        for folder in ("state", Path("state")):
            self.assertEqual(self.make(share=True, renew=True, state_dir=folder).access, Shared(Path(here), True))
        self.patch(os, "environ", {"XDG_DATA_HOME": "/data", "LOCALAPPDATA": "/data"})
        access = self.make(share=True).access
        assert isinstance(access, Shared)
        self.assertEqual(access.state_dir.name, "twistedcam")

    def test_nothing_is_made(self) -> None:
        """A key is not made yet."""
        folder = Path(self.mktemp())
        self.make(share=True, state_dir=folder)
        self.assertFalse(folder.exists())

    def test_wrong_combinations(self) -> None:
        """Options that contradict one another are refused."""
        for given, message in (
            ({"share": True, "open": True}, "--share and --open cannot be combined: keep one of them"),
            ({"auth": "memory:me:secret", "open": True}, "--open and --auth cannot be combined"),
            ({"share": True, "codec": "pickle"}, "--codec pickle is for viewers that never send a hello"),
            ({"auth": "memory:me:secret", "codec": "pickle"}, "and --auth does not admit them"),
            ({"renew": True}, "--renew: it works only together with --share"),
            ({"state_dir": "state"}, "--state-dir: it works only together with --share"),
            ({"state_dir": "state", "auth": "memory:me:secret"}, "--state-dir: it works only together with --share"),
        ):
            self.assertIn(message, self.refused(**given))

    def test_no_home(self) -> None:
        """A user without a home folder is told to name a folder, and needs none for anything else."""

        def expanduser(path: Path) -> Path:
            raise RuntimeError("Could not determine home directory.")

        self.patch(os, "environ", {})
        self.patch(Path, "expanduser", expanduser)
        self.assertRegex(self.refused(share=True), "^--share: .* no home folder .*--state-dir$")
        self.make(share=True, state_dir="state")
        self.make()

    def test_password_file(self) -> None:
        """A file of names and passwords has to be there; its path is resolved at once."""
        path = Path(self.mktemp())
        path.write_text("me:secret\n")
        access = self.make(auth=f"file:{os.path.relpath(path)}").access
        assert isinstance(access, Passwords)
        (checker,) = access.checkers
        assert isinstance(checker, FilePasswordDB)
        self.assertEqual(checker.filename, str(path.absolute()))

    def test_wrong_password_file(self) -> None:
        """A file that is missing or cannot be read, a folder and a pipe are refused before anything starts."""
        folder, pipe, file = Path(self.mktemp()), Path(self.mktemp()), Path(self.mktemp())
        folder.mkdir()
        os.mkfifo(pipe)
        for path in (Path("/nope"), folder, pipe):
            self.assertEqual(self.refused(auth=f"file:{path}"), f"--auth: there is no file {str(path)!r}")
        file.touch()
        denied = PermissionError(errno.EACCES, "Permission denied")

        def deny(path: str, mode: str) -> None:
            raise denied  # root may read everything

        self.patch(builtins, "open", deny)
        self.assertEqual(self.refused(auth=f"file:{file}"), f"--auth: {str(file)!r} cannot be read: Permission denied")

    def test_wrong_auth(self) -> None:
        """An unknown or wrongly described kind of authentication is refused, and a password in it is not repeated."""
        self.assertIn("--auth: 'nonsense' is not recognized", self.refused(auth="nonsense:secret"))
        message = self.refused(auth="memory:secret")
        self.assertIn("--auth: 'memory' cannot be used", message)
        self.assertNotIn("secret", message)


class CameraOptionTests(ConfigTestCase):
    """Options for one camera, written after its source."""

    def test_own_options(self) -> None:
        """A camera's own options come before those for all cameras."""
        first, second = self.make(("test,width=640,rotate=180,overlay=time,name", "b=test"), width=160, fps=5).cameras
        self.assertEqual(first.settings, Settings(640, 5, rotate=180, overlay=("time", "name")))
        self.assertEqual(second.settings, Settings(160, 5))

    def test_lists(self) -> None:
        """An option that may be repeated can be so after a source too."""
        (camera,) = self.make(("0,control=brightness=128,control=focus_auto=0,format=mjpg",)).cameras
        self.assertEqual(camera.mode.controls, (("brightness", 128), ("focus_auto", 0)))
        self.assertEqual(camera.mode.format, "MJPG")

    def test_recording(self) -> None:
        """A camera is recorded into an absolute folder, with a length and a bound."""
        (camera,) = self.make(("test,record=clips,record-keep=1.5G",)).cameras
        assert camera.recording is not None
        self.assertEqual(camera.recording.folder, os.path.abspath("clips"))
        self.assertEqual((camera.recording.segment_seconds, camera.recording.keep_bytes), (600, 1_500_000_000))

    def test_wrong_options(self) -> None:
        """The error names the camera and the option, and says what to write instead."""
        for camera, message in (
            ("test,rotate=45", "--camera test: rotate: '45' is none of 0, 90, 180 and 270"),
            ("desk=0,flip=x", "--camera desk: flip: 'x' is neither h, for left and right, nor v"),
            ("0,control=brightness", "control: 'brightness' is not a control, write it like brightness=128"),
            ("0,format=jpegs", "format: 'jpegs' is not a pixel format"),
            ("test,overlay=date", "overlay: 'date' is neither time nor name"),
            ("test,record=", "the option record has no value: write record=VALUE"),
            ("test,record-keep=5", "record-keep: '5' is not a size of 1M or more, write it like 500M or 10G"),
        ):
            self.assertIn(message, self.refused((camera,)))

    def test_repeated(self) -> None:
        """An option that may not be repeated is refused if it is."""
        message = "--camera test: rotate is given 2 times: write it once"
        self.assertIn(message, self.refused(("test,rotate=90,rotate=180",)))

    def test_no_effect(self) -> None:
        """Options for devices are refused for others: of a camera, or of all cameras if they have an effect on none."""
        for options in ({"format": "MJPG"}, {"control": "brightness=1"}):
            (name, value), *_ = options.items()
            message = f"{name}: it has no effect on the test card, it is for devices: leave it out"
            self.assertIn(f"--camera test: {message}", self.refused((f"test,{name}={value}",)))
            self.assertIn(f"--{message}", self.refused(("test", "http://door.example"), **options))
            self.make(("test", "0"), **options)
        message = "--camera door.example: size: it has no effect on a URL"
        self.assertIn(message, self.refused(("http://door.example,size=640x480",)))
        self.make(("http://door.example",), size="640x480")

    def test_where(self) -> None:
        """The error names where a camera was written."""
        message = str(self.assertRaises(ConfigError, parse_cameras, ["missing.mp4"], "CAMERAS"))
        self.assertIn("CAMERAS: there is no video file", message)
