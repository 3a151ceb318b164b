"""What both commands' options share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python import usage

_TWISTD_PIDFILE = "twistd.pid"


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
