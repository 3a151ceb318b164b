"""Parts that the options of both commands share."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple, NoReturn

from twisted.python import usage

_TWISTD_PIDFILE = "twistd.pid"


class GroupedOptions(usage.Options):
    """Options that the help shows in groups: C{groups} maps the title of each to the names of its options."""

    groups: Mapping[str, tuple[str, ...]] = {}

    def opt_version(self) -> None:
        """Display the version and exit."""
        show_and_exit(f"twistedcam {version('twistedcam')}, Twisted {version('twisted')}")

    def opt_help(self) -> None:
        """Display this help and exit."""
        show_and_exit(str(self))

    def getUsage(self, width: int | None = None) -> str:
        """The text of the help, group by group."""
        every, self.longdesc, longdesc = self.longOpt, "", self.longdesc
        width = width or int(os.environ.get("COLUMNS", "80"))
        text = "\n".join(textwrap.wrap(longdesc, width)) + "\n"
        for title, names in {**self.groups, "Other": ("help", "version")}.items():
            self.longOpt = [option for name in names for option in every if option.rstrip("=") == name]
            text += super().getUsage(width).replace("Options:", f"\n{title}:", 1)
        self.longOpt, self.longdesc = every, longdesc
        return text


def show_and_exit(text: str) -> NoReturn:
    """Print C{text}, and end the process with status 0."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # its reader, such as head, has enough; nothing more is to be written at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def number(name: str, kind: type[int] | type[float], least: float, most: float) -> Callable[[str], float]:
    """A coercion for C{optParameters}; it raises a UsageError of one line that names the option."""

    def coerce(text: str) -> float:
        try:
            return read_number(text, kind, least, most)
        except ValueError as error:
            raise usage.UsageError(f"--{name}: {error}") from None

    coerce.coerceDoc = ""  # type: ignore[attr-defined]
    return coerce


def read_number(value: Any, kind: type[int] | type[float], least: float, most: float) -> float:
    """C{value}, a number or its text, as a C{kind}. Raises ValueError with a text that says what is allowed."""
    try:
        number = kind(str(value))
    except ValueError:
        number = kind(least) - 1
    if not least <= number <= most:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{value!r} is not {what} from {least} to {most}")
    return number


def number_reader(kind: type[int] | type[float], least: float, most: float) -> Callable[[Any], float]:
    """L{read_number} for this kind and these bounds, to be the C{read} of an L{Option}."""
    return lambda value: read_number(value, kind, least, most)


def read_text(value: Any) -> str:
    """C{value}, which is text or a path, as text. Raises ValueError."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"{value!r} is not a string")
    return os.fspath(value)


def read_texts(value: Any) -> tuple[str, ...]:
    """C{value}, which is text or a list of texts, as a tuple of texts. Raises ValueError."""
    return tuple(map(read_text, value if isinstance(value, list | tuple) else [value]))


class Option(NamedTuple):
    """
    One option: its default, and the function that reads a given value. C{read} raises ValueError.

    One that C{is_repeatable} takes a list of values as well.
    """

    default: Any
    read: Callable[[Any], Any]
    is_repeatable: bool = False


def drop_default_pidfile(options: Any, only_in_foreground: bool) -> None:
    """
    Keep twistd from writing C{twistd.pid}, so that several commands can run in one folder.

    twistd writes it even with C{-n}. A pid file that was asked for by name stays.
    """
    twistd = getattr(options, "parent", None)
    if twistd is None or twistd.get("pidfile") != _TWISTD_PIDFILE:
        return
    if twistd.get("nodaemon") or not only_in_foreground:
        twistd["pidfile"] = ""
