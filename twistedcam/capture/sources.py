"""The sources of C{--camera}: devices, the screen, video files, pictures, URLs, plugins and the test card."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import unquote

from twistedcam.capture.cards import TestCard
from twistedcam.capture.confidential import ConfidentialCamera
from twistedcam.capture.grammar import exists, read_source_file, split
from twistedcam.capture.mode import Mode
from twistedcam.capture.opencv import open_device
from twistedcam.capture.picture_files import is_pattern
from twistedcam.capture.screen import open_screen
from twistedcam.capture.target import Target, plain_target
from twistedcam.capture.urls import looks_like_url, parse_url
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera
from twistedcam.plugin import find_plugin, open_plugin
from twistedcam.text import printable
from twistedcam.wire.fields import MAX_TEXT

DEVICE, FILE, PICTURES, PLUGIN, SCREEN, TEST_CARD, URL = "device", "file", "pictures", "plugin", "screen", "test", "url"
_PLUGIN, _SCREEN, _FILE_URL = "plugin:", "screen:", "file://"
_DEVICE_URL = re.compile(r"(?:v4l2|video4linux2?|device):/*", re.IGNORECASE)
_MAX_NUMBER = 9999  # of a device
_WHAT_THERE_IS = "name a file that exists, a number (0), a /dev/videoN, a URL or 'test'"


@dataclass(frozen=True)
class Source:
    """
    A source of C{--camera}: its C{kind} (a key of L{_OPENERS}), C{target} to open, and C{name}.

    C{options} are those written after it, for this camera only: the texts that were given for each name.
    """

    name: str
    kind: str
    target: Target
    options: Mapping[str, list[str]] = field(default_factory=dict)

    def open(self, mode: Mode = Mode()) -> ICamera:
        """Open it, which may block for seconds. Raises L{CameraError}."""
        open_camera = partial(_OPENERS[self.kind], self.target, mode)
        return ConfidentialCamera(open_camera, self.target) if self.target.secrets else open_camera()


def parse_source(text: str, options: Collection[str] = ()) -> Source:
    """
    Parse C{[NAME=]SOURCE[,OPTION=VALUE...]}, with C{options} as the names of the options.

    With C{@FILE} in place of SOURCE, it is read from that file. A video file is opened to check it, a device is not.
    Raises L{CameraError}.
    """
    parts = split(text, options)
    source = _in_file(parts.source[1:]) if parts.source.startswith("@") else _recognize(parts.source)
    name = parts.name or printable(source.name, MAX_TEXT)
    return replace(source, name=name, options=parts.options)


def _in_file(path: str) -> Source:
    """The source that the file C{path} names; no password in it is on the command line."""
    text = read_source_file(path)
    try:
        source = _recognize(text)
    except CameraError as error:
        if looks_like_url(text):  # whose errors show nothing of it
            raise CameraError(f"in the file {path!r}: {error}") from None
        raise CameraError(f"what is in the file {path!r} is not a source: {_WHAT_THERE_IS}") from None
    return replace(source, target=replace(source.target, has_password=False))


def _recognize(text: str) -> Source:
    """The source for C{text}, called after it."""
    if text == TEST_CARD:
        return Source(TEST_CARD, TEST_CARD, plain_target(text))
    if text == SCREEN or text.startswith(_SCREEN):
        return Source(SCREEN, SCREEN, plain_target(text))
    if text.isdecimal():
        return _numbered(int(text))
    if text.startswith(_PLUGIN) and not exists(text):
        plugin = find_plugin(text.removeprefix(_PLUGIN)).name
        return Source(plugin, PLUGIN, plain_target(plugin))
    if exists(text):
        return _existing(text)
    if looks_like_url(text):
        return _at_url(text)
    return _missing(text)


def _numbered(number: int) -> Source:
    if number > _MAX_NUMBER:
        raise CameraError(f"there is no camera {number:.20g}: the first one is 0")
    return Source(f"camera-{number}", DEVICE, plain_target(str(number)))


def _at_url(text: str) -> Source:
    if _DEVICE_URL.match(text):
        raise CameraError("a device is not written as a URL: write its path alone, such as /dev/video0")
    if text.lower().startswith("file:"):
        return _in_file_url(text)
    name, target = parse_url(text)
    return Source(name, URL, target)


def _in_file_url(url: str) -> Source:
    path = unquote(url[len("file:") :].removeprefix("//").removeprefix("localhost"), errors="surrogateescape")
    if not url.lower().startswith(_FILE_URL) or not path.startswith("/"):
        raise CameraError("a file: URL has three slashes: write file:///PATH, or the path alone")
    return _existing(path) if exists(path) else _missing(path)


def _existing(path: str) -> Source:
    """The source at C{path}, by what is there."""
    mode = os.stat(path).st_mode
    if stat.S_ISCHR(mode):
        return _device(path)
    if stat.S_ISDIR(mode):
        return Source(os.path.basename(os.path.abspath(path)) or PICTURES, PICTURES, _path_target(path))
    if not stat.S_ISREG(mode):  # opening a pipe would block forever
        raise CameraError(
            f"{path!r} is neither a regular file nor a folder: name a video file, a folder of pictures, a number (0), "
            f"a /dev/videoN, a URL or 'test'"
        )
    source = Source(os.path.basename(path), FILE, _path_target(path))
    source.open().close()
    return source


def _missing(path: str) -> Source:
    """The source at C{path}, where there is nothing now: a device that is not plugged in, or a pattern."""
    if path.startswith("/dev/") and not path.startswith("/dev/shm/"):
        return _device(path)
    folder = os.path.dirname(path)
    if is_pattern(path) and os.path.isdir(folder or "."):
        return Source(os.path.basename(os.path.abspath(folder)) or PICTURES, PICTURES, _path_target(path))
    if re.match(r"[^=/.]*[^\w=/.-][^=/.]*=", path):
        raise CameraError(
            "no camera can be called so: a name has letters, digits, dots, _ and - only, write front-door=0"
        )
    # A URL without its scheme may have a password.
    shown = (
        "of this name, which is not shown as it may contain a password" if re.search("[@?]|//", path) else repr(path)
    )
    raise CameraError(f"there is no video file {shown}: {_WHAT_THERE_IS}")


def _device(path: str) -> Source:
    """The device at C{path}; one of C{/dev/v4l/by-id} is called after its make and number."""
    name = re.sub(r"^usb-|-video-index0$", "", os.path.basename(path))
    return Source(name, DEVICE, plain_target(path))


def _path_target(path: str) -> Target:
    """A path as an absolute one: twistd may change to another folder, and no name looks like a protocol then."""
    return plain_target(os.path.abspath(path), path)


# PyAV takes a tenth of a second and 17 MB to import, which a server with devices only does without.
def _open_clip(target: Target, mode: Mode) -> ICamera:
    from twistedcam.capture.clips import open_clip

    return open_clip(target, mode)


def _open_pictures(target: Target, mode: Mode) -> ICamera:
    from twistedcam.capture.clips import open_pictures

    return open_pictures(target, mode)


_OPENERS: dict[str, Callable[[Target, Mode], ICamera]] = {
    DEVICE: lambda target, mode: open_device(target.reveal(), mode),
    FILE: _open_clip,
    PICTURES: _open_pictures,
    PLUGIN: lambda target, mode: open_plugin(target.reveal(), mode),
    SCREEN: open_screen,
    TEST_CARD: lambda target, mode: TestCard(),
    URL: _open_clip,
}
