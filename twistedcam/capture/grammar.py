"""The grammar of C{--camera}: C{[NAME=]SOURCE[,OPTION=VALUE...]}, in which SOURCE may be C{@FILE}."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Mapping
from typing import NamedTuple

from twistedcam.capture.urls import looks_like_url
from twistedcam.errors import CameraError
from twistedcam.text import printable

_MAX_BYTES = 4096


class Parts(NamedTuple):
    """The parts of a text: C{name} (may be empty), C{source}, and C{options}, a list of values for each name."""

    name: str
    source: str
    options: Mapping[str, list[str]]


def split(text: str, options: Collection[str]) -> Parts:
    """
    Split C{text}, where C{options} are the names that are known.

    The longest part that is the path of something that exists is one; in a URL only a known option ends the URL. Raises
    L{CameraError}.
    """
    head, given = _split_options(text, options)
    found = None if exists(head) else re.fullmatch(r"([\w.-]+)=(.*)", head, re.DOTALL)
    name, source = found.groups() if found else ("", head)
    if not source:
        raise CameraError(
            "there is no source: write NAME=SOURCE, such as door=0 or door=rtsp://HOST/" if name else _NONE
        )
    return Parts(name, source, _read_options(given, options))


_NONE = "there is no source: write 0, /dev/video0, a file, a URL or test"


def exists(path: str) -> bool:
    """Whether there is something at C{path}, which may be any text."""
    return "\0" not in path and os.path.exists(path)


def _split_options(text: str, options: Collection[str]) -> tuple[str, list[str]]:
    pieces = text.split(",")
    for count in range(len(pieces), 0, -1):
        if _is_path(",".join(pieces[:count])):
            return ",".join(pieces[:count]), pieces[count:]
    for count in range(1, len(pieces)):
        if pieces[count].partition("=")[0] in options and "=" in pieces[count]:
            break
    else:
        count = len(pieces)
    head = pieces[:count]
    # A comma may be part of a URL, or of the name of a file that is missing.
    is_url = looks_like_url(text) or looks_like_url(text.partition("=")[2])
    if len(head) > 1 and not is_url and re.fullmatch(r"[\w-]*(=.*)?", head[1]):
        return head[0], pieces[1:]
    return ",".join(head), pieces[count:]


def _is_path(text: str) -> bool:
    found = re.fullmatch(r"(?:[\w.-]+=)?@?(.+)", text, re.DOTALL)
    return exists(text) or (found is not None and exists(found[1]))


def _read_options(given: list[str], known: Collection[str]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    name = ""
    for text in given:
        if "=" not in text and text not in known and name:
            values[name][-1] += f",{text}"  # as in overlay=time,name
            continue
        name, found, value = text.partition("=")
        if name not in known:
            what = (
                f"{printable(name, 40)!r} is not an option of a camera"
                if name
                else "an option is missing after the comma"
            )
            raise CameraError(f"{what}: there are {', '.join(known)}")
        if not found or not value:
            raise CameraError(f"the option {name} has no value: write {name}=VALUE")
        values.setdefault(name, []).append(value)
    return values


def read_source_file(path: str) -> str:
    """The source in the file C{path}, its only line. Raises L{CameraError}, whose text shows nothing of the content."""
    text = _read(path).strip()
    if not text:
        raise CameraError(f"the file {path!r} is empty: write a source into its first line")
    if len(text.splitlines()) > 1:
        raise CameraError(f"the file {path!r} has more than one line: write one source into it, and nothing else")
    if not text.isprintable():
        raise CameraError(f"the file {path!r} has characters that do not print: write one source into it as plain text")
    return text


def _read(path: str) -> str:
    if not path:
        raise CameraError("there is no file after @: write @FILE, with a source in the file's first line")
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # reading a pipe could block forever
            raise CameraError(f"{path!r} is not a regular file: write @FILE, with a source in the file's first line")
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CameraError(f"the file {path!r} cannot be read: {reason}") from None
    if len(content) > _MAX_BYTES:
        raise CameraError(f"the file {path!r} is longer than {_MAX_BYTES} bytes: write one source into it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CameraError(f"the file {path!r} is not UTF-8 text: write one source into it as plain text") from None
