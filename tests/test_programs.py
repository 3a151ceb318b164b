"""
Other programs read the web server's addresses, as docs/watching.md has them: each program that is installed is run, and
what it has decoded has to be right pictures, in order.

Debian's packages: ffmpeg vlc-bin vlc-plugin-base mpv curl wget gstreamer1.0-tools gstreamer1.0-plugins-good motion
chromium firefox-esr xvfb.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import cv2
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests import marked_pictures
from tests.optional import needs
from tests.processes import ProcessTestCase, Running

_ENOUGH = 5  # pictures
_SCREEN = "640x480"

_CAPTURE = """
import sys, cv2
capture = cv2.VideoCapture(sys.argv[1])
for number in range(100, 120):
    good, image = capture.read()
    assert good, number
    cv2.imwrite(f"{number}.png", image)
"""
# The loop of many tutorials: whatever lies between the marks that begin and end a JPEG.
_SCAN = """
import sys, {library}
stream = {open}
waiting, number = b"", 100
while number < 120:
    waiting += {read}
    begin, end = waiting.find(b"\\xff\\xd8"), waiting.find(b"\\xff\\xd9")
    if begin != -1 and end != -1:
        open(f"{{number}}.jpg", "wb").write(waiting[begin:end + 2])
        waiting, number = waiting[end + 2:], number + 1
"""
_URLLIB = {"library": "urllib.request", "open": "urllib.request.urlopen(sys.argv[1])", "read": "stream.read(1024)"}
_REQUESTS = {
    "library": "requests",
    "open": "requests.get(sys.argv[1], stream=True, timeout=9).iter_content(1024)",
    "read": "next(stream)",
}
# As Java's and MATLAB's do: the boundary that the head names, CRLF everywhere, a Content-Length in each part.
_STRICT = """
import sys, http.client, urllib.parse
where = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(where.netloc)
connection.request("GET", where.path)
answer = connection.getresponse()
boundary = answer.getheader("Content-Type").partition("boundary=")[2].encode()
for number in range(100, 120):
    assert answer.readline() == b"--" + boundary + b"\\r\\n"
    head = {}
    while (line := answer.readline()) != b"\\r\\n":
        assert line.endswith(b"\\r\\n") and b": " in line, line
        name, value = line[:-2].split(b": ", 1)
        head[name.lower()] = value
    assert head[b"content-type"] == b"image/jpeg"
    with open(f"{number}.jpg", "wb") as file:
        file.write(answer.read(int(head[b"content-length"])))
    assert answer.read(2) == b"\\r\\n"
"""
_OBS_SETTINGS = """
[General]
FirstRun=true
LastVersion=486539266
EnableAutoUpdates=false
[Basic]
Profile=Untitled
ProfileDir=Untitled
SceneCollection=Untitled
SceneCollectionFile=Untitled
"""
_OBS_PROFILE = """
[General]
Name=Untitled
[Video]
BaseCX=320
BaseCY=240
OutputCX=320
OutputCY=240
FPSCommon=30
[SimpleOutput]
FilePath={folder}
RecFormat=mkv
RecQuality=Small
StreamEncoder=x264
RecEncoder=x264
"""
_OBS_BYTES = 60_000  # it writes its recording in pieces of 64 KiB
_NODE_RED = "module.exports = {uiPort: 0, uiHost: '127.0.0.1', telemetry: {enabled: false}}"
_MOTION = """
daemon off
setup_mode off
log_level 5
webcontrol_port 0
stream_port 0
movie_output off
picture_output on
picture_type jpeg
picture_filename %Y%m%d%H%M%S-%q
emulate_motion on
framerate 10
width 320
height 240
target_dir .
"""


class ProgramTestCase(ProcessTestCase):
    """A server of marked pictures over HTTP, and programs that read them into files of a folder."""

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        Path(self.folder).chmod(0o777)  # for programs that do not run as root
        server = self.start("marked_pictures.py", *self.origins())
        self.url = (await server.said(r"watch with: (http://127.0.0.1:\d+)/"))[1]

    def origins(self) -> list[str]:
        """The origins whose pages may show the stream."""
        return []

    def program(self, name: str, *words: str, shell: str = "") -> Running:
        """Start a program with a home of its own, or skip the test if it is not installed."""
        path = shutil.which(name)
        if path is None:
            raise SkipTest(f"needs the program {name}")
        home = 'export HOME="$PWD" XDG_RUNTIME_DIR="$PWD"'
        return self.start(path, *words, shell=f"{home} && {shell}" if shell else home)

    def numbers(self) -> list[int | None]:
        """The numbers of the pictures in the files, in the order of their names; None for each that is not right."""
        files = [file for kind in ("png", "jpg") for file in Path(self.folder).glob(f"*.{kind}")]
        images = [cv2.imread(str(file)) for file in sorted(files)]
        return [None if image is None else marked_pictures.read(image) for image in images]

    async def reads(self, program: Running, may_repeat: bool = False) -> None:
        """The program writes pictures; all are right, in order, and only the last may be incomplete."""
        while len(set(self.numbers())) <= _ENOUGH and not program.ended.called:
            await deferLater(reactor, 0.2)
        await self.finish(program)
        found = self.numbers()
        if found and found[-1] is None:
            found.pop()
        self.assertGreaterEqual(len(set(found)), _ENOUGH, program.output)
        self.assertNotIn(None, found)
        self.assertEqual(found, sorted(found if may_repeat else set(found)))


class PlayerTests(ProgramTestCase):
    """Programs that play C{/stream}."""

    async def test_ffmpeg(self) -> None:
        """ffmpeg."""
        words = ("-loglevel", "error", "-i", f"{self.url}/stream", "-fps_mode", "passthrough", "1%03d.png")
        await self.reads(self.program("ffmpeg", *words))

    async def test_mpv(self) -> None:
        """mpv."""
        words = ("--no-config", "--profile=low-latency", "--vo=image", "--vo-image-format=png", "--no-audio")
        await self.reads(self.program("mpv", *words, f"{self.url}/stream"))

    async def test_vlc(self) -> None:
        """VLC, which does not run as root."""
        if not os.geteuid() and shutil.which("setpriv") is None:
            raise SkipTest("needs the program setpriv")
        shell = "" if os.geteuid() else 'set -- setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'
        scene = ("--video-filter=scene", "--scene-format=png", "--scene-ratio=1", "--scene-path=.", "--scene-prefix=1")
        words = ("--intf=dummy", "--vout=dummy", "--no-audio", "--network-caching=100", *scene)
        await self.reads(self.program("vlc", *words, f"{self.url}/stream", shell=shell), may_repeat=True)

    async def test_gstreamer(self) -> None:
        """GStreamer."""
        elements = ("multipartdemux", "jpegdec", "videoconvert", "pngenc", "multifilesink location=1%05d.png")
        words = [word for element in elements for word in ("!", *element.split())]
        source = ("souphttpsrc", f"location={self.url}/stream", "is-live=true")
        await self.reads(self.program("gst-launch-1.0", "-q", *source, *words))

    async def test_motion(self) -> None:
        """motion, over two kinds of connections to a camera."""
        for keep in ("off", "force"):
            config = f"{_MOTION}netcam_url {self.url}/stream\nnetcam_keepalive {keep}\n"
            Path(self.folder, "motion.conf").write_text(config)
            await self.reads(self.program("motion", "-n", "-c", "motion.conf"), may_repeat=True)
            for file in Path(self.folder).glob("*.jpg"):
                file.unlink()

    async def test_opencv(self) -> None:
        """OpenCV."""
        await self.reads(self.script(_CAPTURE, f"{self.url}/stream"))


class ScriptTests(ProgramTestCase):
    """Scripts that take the stream apart by themselves."""

    async def test_scanner(self) -> None:
        """One that looks for the marks of a JPEG, with urllib."""
        await self.reads(self.script(_SCAN.format(**_URLLIB), f"{self.url}/stream"))

    @needs("requests")
    async def test_requests(self) -> None:
        """The same with requests."""
        await self.reads(self.script(_SCAN.format(**_REQUESTS), f"{self.url}/stream"))

    async def test_strict(self) -> None:
        """One that relies on every word of the multipart format, and on Content-Length."""
        for address in ("/stream", "/?action=stream"):
            await self.reads(self.script(_STRICT, f"{self.url}{address}"))


def _scene(url: str) -> dict[str, Any]:
    """The scenes of OBS with one Media Source, as docs/watching.md says to make it."""
    media = {
        "is_local_file": False,
        "input": url,
        "buffering_mb": 0,
        "reconnect_delay_sec": 2,
        "close_when_inactive": False,
    }
    item = {"name": "camera", "id": 1, "visible": True, "scale": {"x": 1.0, "y": 1.0}, "align": 5}
    sources = [
        {"id": "scene", "name": "Scene", "settings": {"id_counter": 1, "items": [item]}},
        {"id": "ffmpeg_source", "name": "camera", "enabled": True, "settings": media},
    ]
    scene = {"current_scene": "Scene", "current_program_scene": "Scene", "scene_order": [{"name": "Scene"}]}
    return {"name": "Untitled", "sources": sources, **scene}


class SnapshotTests(ProgramTestCase):
    """Programs that fetch one picture."""

    async def fetch(self, name: str, *words: str) -> None:
        """Each picture that the program fetches is right, and newer than the one before."""
        for number in (1, 2):
            program = self.program(name, *words, f"{number}.jpg", f"{self.url}/snapshot?max_age=0")
            self.assertEqual(await program.ended, 0, program.output)
        first, second = self.numbers()
        assert first is not None and second is not None
        self.assertLess(first, second)

    async def test_curl(self) -> None:
        """curl."""
        await self.fetch("curl", "-sS", "-o")

    async def test_wget(self) -> None:
        """wget."""
        await self.fetch("wget", "-q", "-O")

    async def test_node_red(self) -> None:
        """Node-RED, with the flow of docs/examples."""
        flow = Path(__file__).parent.parent.joinpath("docs/examples/node-red.json").read_text()
        Path(self.folder, "flows.json").write_text(flow.replace("http://127.0.0.1:8080", self.url))
        Path(self.folder, "settings.js").write_text(_NODE_RED)
        program = self.program("node-red", "--userDir", ".", "--settings", "settings.js", "flows.json")
        seen: set[int] = set()
        while len(seen) < 2:
            self.assertFalse(program.ended.called, program.output)
            await deferLater(reactor, 0.2)
            seen.update(number for number in self.numbers() if number is not None)


class Page(Resource):
    """A page of HTML."""

    def __init__(self, make: Callable[[], str]) -> None:
        super().__init__()
        self.render_GET = lambda request: make().encode()


class ScreenTests(ProgramTestCase):
    """Programs that show the stream in a window: what is seen of it on a screen without a monitor."""

    async def screen(self) -> str:
        """A new X display."""
        words = ("-displayfd", "1", "-screen", "0", f"{_SCREEN}x24", "-nolisten", "tcp")
        number = (await self.program("Xvfb", *words).said(r"(?m)^(\d+)$"))[1]
        return f"export DISPLAY=:{number}"

    async def shot(self, display: str, name: str) -> Any:
        """What the display shows."""
        words = ("-loglevel", "error", "-f", "x11grab", "-video_size", _SCREEN, "-i", display.partition("=")[2])
        grabber = self.program("ffmpeg", *words, "-frames:v", "1", "-y", name)
        await grabber.ended
        return cv2.imread(str(Path(self.folder, name)))

    async def shows(self, name: str, *words: str) -> None:
        """The program shows right pictures, and newer ones later."""
        display = await self.screen()
        program = self.program(name, *words, shell=display)
        seen: set[int] = set()
        while len(seen) < 2:
            self.assertFalse(program.ended.called, program.output)
            number = _find(await self.shot(display, "screen.png"))
            if number is not None:
                seen.add(number)
        await self.finish(program)

    async def test_obs(self) -> None:
        """OBS Studio: a Media Source, as it is recorded."""
        folder = Path(self.folder).absolute()
        settings = folder / ".config/obs-studio"
        for path, text in (
            ("global.ini", _OBS_SETTINGS),
            ("basic/profiles/Untitled/basic.ini", _OBS_PROFILE.format(folder=folder)),
            ("basic/scenes/Untitled.json", json.dumps(_scene(f"{self.url}/stream"))),
        ):
            settings.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
            settings.joinpath(path).write_text(text)
        display = await self.screen()
        # Our OpenCV has named its own Qt in the environment.
        shell = f"unset QT_QPA_PLATFORM_PLUGIN_PATH && {display} XDG_CONFIG_HOME=$PWD/.config LIBGL_ALWAYS_SOFTWARE=1"
        program = self.program("obs", "--multi", "--disable-updater", "--startrecording", shell=shell)
        seen: set[int] = set()
        while len(seen) < _ENOUGH:
            self.assertFalse(program.ended.called, program.output)
            await deferLater(reactor, 1)
            for file in folder.glob("*.mkv"):
                if file.stat().st_size > _OBS_BYTES:
                    seen |= _recorded(file)

    async def test_ffplay(self) -> None:
        """ffplay."""
        await self.shows("ffplay", "-loglevel", "error", "-fflags", "nobuffer", f"{self.url}/stream")

    def origins(self) -> list[str]:
        """That of a page of somebody, with the stream in an C{<img>}."""
        root = Resource()
        root.putChild(b"", Page(lambda: f"<body style='margin: 0; background: white'><img src='{self.url}/stream'>"))
        port: Any = reactor.listenTCP(0, cast(Any, Site(root)), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.page = f"http://127.0.0.1:{port.getHost().port}"
        return [self.page]

    async def test_chromium(self) -> None:
        """Chromium: an C{<img>} in a page of somebody, the stream as a page of its own, and the server's page."""
        for number, url in enumerate((self.page, f"{self.url}/stream", f"{self.url}/")):
            flags = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--window-position=0,0", "--kiosk")
            await self.shows("chromium", *flags, f"--user-data-dir=profile{number}", url)

    async def test_firefox(self) -> None:
        """Firefox: the same."""
        for number, url in enumerate((self.page, f"{self.url}/stream", f"{self.url}/")):
            Path(self.folder, f"profile{number}").mkdir()
            flags = ("--no-remote", "--profile", f"profile{number}", "--kiosk")
            await self.shows("firefox-esr", *flags, url)


def _recorded(path: Path) -> set[int]:
    """The numbers of the right pictures in a recording, which may be going on."""
    video = cv2.VideoCapture(str(path))
    found: set[int] = set()
    while True:
        good, image = video.read()
        if not good:
            return found
        number = marked_pictures.read(image)
        if number is not None:
            found.add(number)


def _find(screen: Any) -> int | None:
    """The number of the marked picture anywhere on C{screen}; None if it shows none that is right."""
    left, right = (
        marked_pictures.is_colour(screen, colour) for colour in (marked_pictures.LEFT, marked_pictures.RIGHT)
    )
    columns, rows = (left | right).sum(axis=0) > 40, (left & True).sum(axis=1) > 40
    if not columns.any() or not rows.any():
        return None
    x0, x1 = columns.argmax(), len(columns) - columns[::-1].argmax()
    y0, y1 = rows.argmax(), len(rows) - rows[::-1].argmax()
    height = (y1 - y0) * 6 // 5  # the colours begin below the two rows of the number, which are a sixth
    return marked_pictures.read(screen[max(0, y1 - height) : y1, x0:x1])
