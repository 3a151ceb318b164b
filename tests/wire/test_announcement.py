"""What a server announces of itself on the local network."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from twistedcam.wire.announcement import Announcement, parse_announcement
from twistedcam.wire.fields import FieldError


def parsed(announcement: Announcement) -> Announcement:
    """C{announcement}, made and parsed."""
    return parse_announcement({name.encode(): text.encode() for name, text in announcement.to_properties().items()})


class AnnouncementTests(TestCase):
    """The entries of the TXT record."""

    def test_both_ways(self) -> None:
        """What is announced is what is read."""
        for announcement in (
            Announcement("open", False, ("desk", "Tür"), 8080, False, "1.2"),
            Announcement("key", True, http_port=443, is_https=True),
            Announcement("password", False),
        ):
            self.assertEqual(parsed(announcement), announcement)

    def test_bounded(self) -> None:
        """An entry has at most 255 bytes: of many or long names, the first that fit whole are announced."""
        for names in (["ü" * 100, "b" * 50, "c" * 100], [f"camera {number}" for number in range(500)], ["x" * 300]):
            announcement = Announcement("open", False, tuple(names))
            text = announcement.to_properties()["cameras"]
            self.assertLessEqual(len(f"cameras={text}".encode()), 255)
            self.assertEqual(list(parsed(announcement).cameras), names[: len(text.split(",")) if text else 0])

    def test_hostile(self) -> None:
        """Text of strangers is printable and bounded, whatever its bytes are."""
        found = parse_announcement(
            {b"access": b"open", b"cameras": b"\x1b[2Jdoor,\xff,,\n", b"version": b"x" * 10_000, b"tls": None}
        )
        self.assertEqual(found.cameras, ("\\x1b[2Jdoor", "\N{REPLACEMENT CHARACTER}", "\\n"))
        self.assertEqual(found.version, "x" * 255)

    def test_refused(self) -> None:
        """What is none of ours, or has a port that is none, is refused."""
        for properties in (
            {},
            {b"access": b"all"},
            {b"access": None},
            {b"access": b"open", b"http": b"0"},
            {b"access": b"open", b"http": b"65536"},
            {b"access": b"open", b"http": b"8080; rm"},
            {b"access": b"open", b"http": "٣".encode()},
        ):
            self.assertRaises(FieldError, parse_announcement, properties)
