"""What the system's journal is told."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.journal import format_event


class JournalTests(SynchronousTestCase):
    """Lines with priorities."""

    def told(self, level: str, *args: Any, **fields: Any) -> str:
        """What is written for an event of this level."""
        events: list[Any] = []
        getattr(Logger(observer=events.append), level)(*args, **fields)  # type: ignore[arg-type]
        return format_event(events[0])

    def test_levels(self) -> None:
        """Each level has the priority that the system gives it."""
        self.assertEqual(self.told("info", "viewer {n} came", n=1), "<6>viewer 1 came\n")
        self.assertEqual(self.told("warn", "no signal"), "<4>no signal\n")
        self.assertEqual(self.told("debug", "detail"), "<7>detail\n")

    def test_traceback(self) -> None:
        """Every line of a traceback has its priority."""
        lines = self.told("failure", "it failed", Failure(ValueError("why"))).splitlines()
        self.assertGreater(len(lines), 1)
        self.assertTrue(all(line.startswith("<2>") for line in lines), lines)
