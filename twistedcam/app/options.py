"""What both commands' options share."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from twisted.python import usage

_TWISTD_PIDFILE = "twistd.pid"


class GroupedOptions(usage.Options):  # type: ignore[misc]
    """Options whose help shows them by what they are about: C{groups} has a title for each group's names."""

    groups: Mapping[str, tuple[str, ...]] = {}

    def opt_version(self) -> None:
        """Display the version and exit."""
        print(f"twistedcam {version('twistedcam')}, Twisted {version('twisted')}")
        sys.exit(0)

    def getUsage(self, width: int | None = None) -> str:
        """The help's text, group by group."""
        every, self.longdesc, longdesc = self.longOpt, "", self.longdesc
        width = width or int(os.environ.get("COLUMNS", "80"))
        text = "\n".join(textwrap.wrap(longdesc, width)) + "\n"
        for title, names in {**self.groups, "And": ("help", "version")}.items():
            self.longOpt = [option for name in names for option in every if option.rstrip("=") == name]
            text += super().getUsage(width).replace("Options:", f"\n{title}:", 1)
        self.longOpt, self.longdesc = every, longdesc
        return text


def number(name: str, kind: type[int] | type[float], least: float, most: float) -> Callable[[str], float]:
    """A coercion for C{optParameters} that says in one line what to write instead."""

    def coerce(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(least) - 1
        if not least <= value <= most:
            what = "a whole number" if kind is int else "a number"
            raise usage.UsageError(f"--{name}: {text!r} is not {what} from {least} to {most}")
        return value

    coerce.coerceDoc = ""  # type: ignore[attr-defined]
    return coerce


def drop_default_pidfile(options: Any, only_in_foreground: bool) -> None:
    """
    Let this command share a folder with others: twistd writes twistd.pid into it, even with -n.

    A pid file that was asked for by name stays.
    """
    twistd = getattr(options, "parent", None)
    if twistd is None or twistd.get("pidfile") != _TWISTD_PIDFILE:
        return
    if twistd.get("nodaemon") or not only_in_foreground:
        twistd["pidfile"] = ""
