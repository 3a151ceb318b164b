"""What the options of both commands have in common."""

from __future__ import annotations

from typing import Any

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.app.options import GroupedOptions, drop_default_pidfile, number, read_number


class NumberTests(SynchronousTestCase):
    """Numbers within bounds."""

    def test_read(self) -> None:
        """Text and numbers are read as the wanted type, including the bounds."""
        self.assertEqual([read_number(value, int, 1, 3) for value in ("1", 3)], [1, 3])
        self.assertEqual(read_number("1.5", float, 0, 2), 1.5)
        for value, kind in (("0", int), ("4", int), ("1.5", int), ("", int), ("nan", float), ("inf", float)):
            self.assertRaises(ValueError, read_number, value, kind, 1, 3)

    def test_option(self) -> None:
        """An option's value that is refused is a usage error that names the option."""
        read = number("port", int, 1, 3)
        self.assertEqual(read("2"), 2)
        self.assertRaisesRegex(usage.UsageError, "^--port: '4' is not a whole number from 1 to 3$", read, "4")


class TwoGroups(GroupedOptions):
    """Options in two groups."""

    longdesc = "Does something."
    groups = {"First": ("one",), "Second": ("two",)}
    optParameters = [["one", "o", None, "The first."]]
    optFlags = [["two", None, "The second."]]


class HelpTests(SynchronousTestCase):
    """The help."""

    def test_groups(self) -> None:
        """Each option is in its group, and those without one are in the last."""
        told = TwoGroups().getUsage(80)
        places = [told.index(text) for text in ("\nFirst:", "--one=", "\nSecond:", "--two", "\nOther:", "--version")]
        self.assertEqual(places, sorted(places))


class PidfileTests(SynchronousTestCase):
    """twistd's pid file."""

    def dropped(self, only_in_foreground: bool, **twistd: Any) -> bool:
        """Whether the pid file of twistd with these options is dropped."""
        options = GroupedOptions()
        options.parent = twistd  # type: ignore[assignment]
        drop_default_pidfile(options, only_in_foreground)
        return not twistd["pidfile"]

    def test_dropped(self) -> None:
        """The default one is dropped in the foreground, or always; one that was asked for stays."""
        self.assertTrue(self.dropped(True, pidfile="twistd.pid", nodaemon=1))
        self.assertFalse(self.dropped(True, pidfile="twistd.pid", nodaemon=0))
        self.assertTrue(self.dropped(False, pidfile="twistd.pid", nodaemon=0))
        self.assertFalse(self.dropped(False, pidfile="mine.pid", nodaemon=1))

    def test_without_twistd(self) -> None:
        """Options that no twistd has parsed have no pid file."""
        drop_default_pidfile(GroupedOptions(), False)
