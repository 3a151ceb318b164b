"""The sources of C{--camera}: devices, video files, URLs, plugins and the test card."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from twistedcam.capture.cards import TestCard
from twistedcam.capture.mode import Mode
from twistedcam.capture.opencv import open_device, open_file, open_url
from twistedcam.capture.screen import open_screen
from twistedcam.capture.target import Target, plain_target
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera
from twistedcam.plugin import find_plugin, open_plugin
from twistedcam.secret import Secret, redacted
from twistedcam.text import printable
from twistedcam.wire.fields import MAX_TEXT

TEST_CARD = "test"
SCREEN = "screen"
_PLUGIN = "plugin:"


@dataclass(frozen=True)
class Source:
    """
    A source of C{--camera}: its C{kind} (C{"device"} or a key of L{_OPENERS}), C{target} to open, and C{name}.

    C{options} are those written after it, for this camera only, as text by name.
    """

    name: str
    kind: str
    target: Target
    options: Mapping[str, str | list[str]] = field(default_factory=dict)

    def open(self, mode: Mode = Mode()) -> ICamera:
        """Open it, which may block for seconds. Raises L{CameraError}."""
        if self.kind == "device":
            return open_device(self.target.reveal(), mode)
        if self.kind == "plugin":
            return open_plugin(self.target.reveal(), mode)
        if self.kind == SCREEN:
            return open_screen(self.target, mode)
        return _OPENERS[self.kind](self.target.reveal())


def parse_source(text: str, options: Collection[str] = ()) -> Source:
    """
    Parse C{[NAME=]SOURCE[,OPTION=VALUE...]}, with C{options} as the names of the options.

    A video file is opened to check it, a device is not. Raises L{CameraError}.
    """
    if os.path.exists(text):
        name, target, given = "", text, []
    else:
        text, *given = re.split(rf",(?=(?:{'|'.join(options)})=)", text) if options else [text]
        found = re.fullmatch(r"([\w.-]+)=(.+)", text)
        name, target = found.groups() if found and not os.path.exists(text) else ("", text)
    source = _recognize(target)
    return replace(source, name=name or printable(source.name, MAX_TEXT), options=_read_options(given))


def _read_options(given: Iterable[str]) -> dict[str, str | list[str]]:
    """The values by name; one that is given more than once has a list of them."""
    values: dict[str, list[str]] = {}
    for text in given:
        name, _, value = text.partition("=")
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _recognize(target: str) -> Source:
    """The source for C{target}, called after it."""
    if target == TEST_CARD:
        return Source(TEST_CARD, TEST_CARD, plain_target(target))
    if target == SCREEN or target.startswith(f"{SCREEN}:"):
        return Source(SCREEN, SCREEN, plain_target(target))
    if target.isdecimal():
        return Source(f"camera-{int(target)}", "device", plain_target(str(int(target))))
    if target.startswith("/dev/"):
        return Source(os.path.basename(target), "device", plain_target(target))
    if target.startswith(_PLUGIN):
        plugin = find_plugin(target.removeprefix(_PLUGIN)).name
        return Source(plugin, "plugin", plain_target(plugin))
    if "://" in target:
        return Source(_host(target) or "url", "url", Target(redacted(target), Secret(target)))
    _check_file(target)
    return Source(os.path.basename(target), "file", plain_target(target))


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
}
