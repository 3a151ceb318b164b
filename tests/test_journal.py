"""The log observer for systemd's journal."""

from __future__ import annotations

import io
import sys
from typing import Any

from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twistedcam.journal import format_event, observer


class JournalTests(SynchronousTestCase):
    """Lines with priorities."""

    def told(self, level: str, *args: Any, **fields: Any) -> str:
        """The lines written for an event of this level."""
        events: list[Any] = []
        getattr(Logger(observer=events.append), level)(*args, **fields)  # type: ignore[arg-type]
        return format_event(events[0])

    def test_levels(self) -> None:
        """Each level has the priority that the journal uses for it."""
        self.assertEqual(self.told("info", "viewer {n} came", n=1), "<6>viewer 1 came\n")
        self.assertEqual(self.told("warn", "no signal"), "<4>no signal\n")
        self.assertEqual(self.told("debug", "detail"), "<7>detail\n")

    def test_traceback(self) -> None:
        """Every line of a traceback has its priority."""
        lines = self.told("failure", "it failed", Failure(ValueError("why"))).splitlines()
        self.assertGreater(len(lines), 1)
        self.assertTrue(all(line.startswith("<2>") for line in lines), lines)

    def test_observer(self) -> None:
        """The observer writes to standard output, whatever has taken its place since."""
        written = io.StringIO()
        self.patch(sys, "__stdout__", written)
        self.patch(sys, "stdout", io.StringIO())
        made = observer()
        verifyObject(ILogObserver, made)
        Logger(observer=made).warn("no signal")
        self.assertEqual(written.getvalue(), "<4>no signal\n")
