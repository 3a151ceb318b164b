"""A log observer for systemd's journal: lines begin with their priority, and have no time, which the journal adds."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from twisted.logger import FileLogObserver, LogLevel, eventAsText

# sd-daemon(3)
_PRIORITIES: Mapping[Any, int] = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}


def format_event(event: dict[str, Any]) -> str:
    """The lines of an event. Each has the priority, so that all lines of a traceback get the same one."""
    priority = _PRIORITIES.get(event.get("log_level"), 6)
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    return "".join(f"<{priority}>{line}\n" for line in text.splitlines())


def observer() -> FileLogObserver:
    """An observer that writes to standard output, for C{twistd --logger twistedcam.journal.observer}."""
    return FileLogObserver(sys.__stdout__ or sys.stdout, format_event)
