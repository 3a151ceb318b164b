"""The sources of C{--camera}: devices, video files, URLs, plugins and the test card."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from twistedcam.capture.cards import TestCard
from twistedcam.capture.opencv import Mode, open_device, open_file, open_url
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera
from twistedcam.plugin import find_plugin, open_plugin
from twistedcam.secret import redacted
from twistedcam.text import printable
from twistedcam.wire.fields import MAX_TEXT

TEST_CARD = "test"
_PLUGIN = "plugin:"


@dataclass(frozen=True)
class Source:
    """A source of C{--camera}: its C{kind} (C{"device"} or a key of L{_OPENERS}), C{target} to open, and C{name}."""

    name: str
    kind: str
    target: str = field(repr=False)  # a URL may contain a password

    def open(self, mode: Mode = Mode()) -> ICamera:
        """Open it, which may block for seconds. Raises L{CameraError}."""
        if self.kind == "device":
            return open_device(self.target, mode)
        return _OPENERS[self.kind](self.target)


def parse_source(text: str) -> Source:
    """Parse C{[NAME=]SOURCE}; a video file is opened to check it, a device is not. Raises L{CameraError}."""
    named = None if os.path.exists(text) else re.fullmatch(r"([\w.-]+)=(.+)", text)
    name, target = named.groups() if named else ("", text)
    found = _recognize(target)
    return replace(found, name=name or printable(found.name, MAX_TEXT))


def _recognize(target: str) -> Source:
    """The source for C{target}, called after it."""
    if target == TEST_CARD:
        return Source(TEST_CARD, TEST_CARD, target)
    if target.isdecimal():
        return Source(f"camera-{int(target)}", "device", str(int(target)))
    if target.startswith("/dev/"):
        return Source(os.path.basename(target), "device", target)
    if target.startswith(_PLUGIN):
        plugin = find_plugin(target.removeprefix(_PLUGIN)).name
        return Source(plugin, "plugin", plugin)
    if "://" in target:
        return Source(_host(target) or "url", "url", target)
    _check_file(target)
    return Source(os.path.basename(target), "file", target)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError as error:
        raise CameraError(f"{redacted(url)!r} is not a URL: {error}") from None


def _check_file(path: str) -> None:
    if not os.path.exists(path):
        raise CameraError(
            f"there is no video file {path!r}: name a file that exists, a number (0), a /dev/videoN, a URL or 'test'"
        )
    if not os.path.isfile(path):  # opening a pipe would block forever
        raise CameraError(
            f"{path!r} is not a regular file: name a video file, a number (0), a /dev/videoN, a URL or 'test'"
        )
    open_file(path).close()


_OPENERS: dict[str, Callable[[str], ICamera]] = {
    "file": open_file,
    "url": open_url,
    TEST_CARD: lambda target: TestCard(),
    "plugin": open_plugin,
}
