"""What is written on the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.client.overlay import notice, recording_line, status_lines
from twistedcam.client.session import CONNECTED, CONNECTING, RECONNECTING
from twistedcam.frame import LIVE, NO_SIGNAL, Frame


class StatusTests(SynchronousTestCase):
    """The overlay."""

    def lines(self, **changed: Any) -> list[str]:
        """The lines about a frame that is half a second old, with some of its fields C{changed}."""
        frame = replace(Frame(b"", camera="desk", state=LIVE, captured=99.5, clock=lambda: 100.0), **changed)
        return status_lines(frame, "host:9999", 24.96, 3)

    def test_status(self) -> None:
        """Camera and state, rate, age, frames missed."""
        self.assertEqual(self.lines(), ["desk: live", "25.0 fps", "age 500 ms", "3 frames dropped"])
        self.assertEqual(self.lines(state=NO_SIGNAL)[0], "desk: no-signal")

    def test_unknown(self) -> None:
        """A server that does not name its camera is shown by its address; an unknown age is called unknown."""
        self.assertEqual(self.lines(camera="", captured=None)[::2], ["host:9999: live", "age unknown"])

    def test_scaled(self) -> None:
        """If a picture was made smaller, the overlay says so."""
        self.assertEqual(self.lines(scale=4)[4:], ["1/4 of the width: the link is slow"])


class NoticeTests(SynchronousTestCase):
    """Why no current picture is shown."""

    def test_notice(self) -> None:
        """The state and its reason without a connection, a line before the first picture, otherwise nothing."""
        for state, problem, has_picture, text in (
            (CONNECTING, "", False, "connecting: host:9999"),
            (CONNECTING, "refused", False, "connecting: refused"),
            (RECONNECTING, "the server ended it", True, "reconnecting: the server ended it"),
            (CONNECTED, "", False, "waiting for the first picture"),
            (CONNECTED, "", True, ""),
        ):
            self.assertEqual(notice(state, problem, "host:9999", has_picture), text)


class RecordingTests(SynchronousTestCase):
    """The line while it records."""

    def test_line(self) -> None:
        """The length in minutes and seconds, and the file's name without its folder."""
        self.assertEqual(recording_line("/home/me/video.mkv", 61.9), "REC 1:01 video.mkv")
        self.assertEqual(recording_line("video.mkv", 0.0), "REC 0:00 video.mkv")
        self.assertEqual(recording_line("video.mkv", 3600.0), "REC 60:00 video.mkv")
