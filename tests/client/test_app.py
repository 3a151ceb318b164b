"""The viewer as a service, in memory: the test plays the server and the display, and advances the clock."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionRefusedError, DNSLookupError  # noqa: A004
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from tests.client.fakes import FakeServer, PromptThread, gray, messages
from tests.raw_messages import pack_json
from tests.test_recording import times
from twistedcam.client.address import Address
from twistedcam.client.app import Program
from twistedcam.client.config import ClientConfig
from twistedcam.frame import NO_SIGNAL, Frame
from twistedcam.testing import RecordingDisplay, SteppedReactor


class ProgramTestCase(TestCase):
    """A viewer whose surroundings the test controls."""

    def setUp(self) -> None:
        self.clock = SteppedReactor()
        self.server = FakeServer()
        self.display = RecordingDisplay()
        self.statuses: list[int] = []
        self.sequence = 0
        self.events = self.enterContext(capturedLogs())

    def lines(self) -> list[str]:
        """What was logged."""
        return [formatEvent(event) for event in self.events]

    def start(self, has_window: bool = True, **options: Any) -> Program:
        """The viewer, started."""
        config = ClientConfig(address=Address(endpoint=self.server), **options)
        display = self.display if has_window else None
        seconds, leave = self.clock.seconds, self.statuses.append
        program = Program(config, self.clock, seconds, seconds, leave, display, PromptThread)
        # Files are written to the working directory: the test's own.
        folder, before = self.mktemp(), os.getcwd()
        os.mkdir(folder)
        os.chdir(folder)
        self.addCleanup(os.chdir, before)
        program.startService()
        self.addCleanup(self.finish, program)
        return program

    def finish(self, program: Program) -> None:
        """Stop the viewer, twice; nothing is left in the clock."""
        program.stopService()
        self.server.lose()
        program.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def give(self, lightness: int) -> None:
        """One more frame from the server, taken now."""
        self.sequence += 1
        self.server.send(gray(lightness, self.sequence, self.clock.seconds()).message)
        self.clock.advance(0)

    def press(self, key: str) -> None:
        """Press a key, and give it time."""
        self.display.keys.append(key)
        self.clock.advance(0.02)

    def shows(self, lightness: int) -> bool:
        """Whether a picture of this lightness is shown, without anything written on it."""
        image = self.display.images[-1]
        return abs(float(image.mean()) - lightness) < 1 and int(image.max()) - int(image.min()) < 3


class WindowTests(ProgramTestCase):
    """With a window."""

    def test_show_and_quit(self) -> None:
        """The window says that it waits for a picture, shows those that come, and q ends with status 0, once."""
        self.start()
        self.assertFalse(self.shows(32))
        self.give(100)
        self.assertTrue(self.shows(100))
        self.press("q")
        self.press("q")
        self.assertEqual(self.statuses, [0])

    def test_closed(self) -> None:
        """Closing the window ends the viewer, with status 0."""
        self.start()
        self.display.open = False
        self.clock.advance(0.02)
        self.assertEqual(self.statuses, [0])

    def test_status(self) -> None:
        """The overlay shows camera, state, rate, age, and how many frames were dropped or not shown."""
        program = self.start()
        ping = messages(self.server.transport)[-1]
        self.server.send(pack_json({"type": "pong", "sent": ping["sent"], "clock": 5000.0}))
        self.server.send(gray(100, 1, captured=5000.0).message)
        self.clock.advance(0)
        self.server.send(gray(100, 2, captured=5000.0).message + gray(110, 6, captured=5000.0).message)
        self.clock.advance(0)
        self.clock.advance(0.5)
        newest = program.session.newest
        assert newest is not None
        self.assertEqual(program._status(newest), ["desk: live", "1.5 fps", "age 500 ms", "4 frames dropped"])

    def test_reconnecting(self) -> None:
        """When the server is lost the picture says so; when it is back, the old picture is not taken for a new one."""
        program = self.start()
        self.give(100)
        self.server.error = ConnectionRefusedError()
        self.server.lose()
        self.clock.advance(0.02)
        self.assertEqual(program._notice(), "reconnecting: the server ended the connection")
        self.assertFalse(self.shows(100))
        self.clock.advance(3)
        self.assertEqual(program._notice(), "reconnecting: nothing listens at desk:9999, is the server running?")
        self.server.error = None
        self.clock.advance(6)
        self.assertEqual(program._notice(), "waiting for the first picture")
        self.give(120)
        self.assertTrue(self.shows(120))

    def test_next_camera(self) -> None:
        """Key n switches to the server's next camera, after the last to the first; a new connection keeps it."""
        program = self.start()
        self.server.send(pack_json({"type": "cameras", "cameras": ["desk", "door"]}))
        self.give(100)
        messages(self.server.transport)
        self.press("n")
        self.assertEqual(messages(self.server.transport), [{"type": "hello", "camera": "door"}])
        self.server.send(gray(50, 500, camera="door").message)
        self.assertEqual(program.session.dropped, 0)
        self.server.lose()
        self.clock.advance(2)
        self.assertEqual(messages(self.server.transport)[0], {"type": "hello", "camera": "door"})
        self.server.send(gray(50, 501, camera="door").message)
        self.press("n")
        self.assertEqual(messages(self.server.transport)[-1], {"type": "hello", "camera": "desk"})

    def test_no_other_camera(self) -> None:
        """Without another camera key n says so."""
        self.start()
        self.give(100)
        self.server.send(pack_json({"type": "cameras", "cameras": ["desk"]}))
        messages(self.server.transport)
        self.press("n")
        self.assertEqual(messages(self.server.transport), [])
        self.assertFalse(self.shows(100))

    def test_record(self) -> None:
        """Key r records until it is pressed again, and the picture says so."""
        program = self.start()
        self.press("r")
        self.assertFalse(program.recorder.is_recording)  # there is no picture yet
        self.clock.advance(3)
        self.give(100)
        self.press("r")
        for _ in range(5):
            self.give(120)
            self.clock.advance(0.1)
        self.assertFalse(self.shows(120))
        self.press("r")
        (name,) = os.listdir(".")
        self.assertRegex(name, r"^desk-\d+-\d+\.mkv$")
        self.assertEqual(len(times(name)), 5)
        self.assertIn(f"recorded: ./{name}, 5 frames, 0.4 s", self.lines())

    def test_recording_fails(self) -> None:
        """With a window, a recording that cannot go on is reported in it, and the viewer goes on."""
        self.start(record=os.path.abspath("gone/video.mkv"))
        self.give(100)
        self.clock.advance(0.02)
        self.assertFalse(self.shows(100))
        self.assertEqual(self.statuses, [])


class HeadlessTests(ProgramTestCase):
    """Without a window."""

    def test_frames(self) -> None:
        """After the number of frames asked for it ends with status 0, and reports what it saw."""
        program = self.start(has_window=False, frames=3)
        for _ in range(5):
            self.give(100)
            self.clock.advance(0.5)
        self.assertEqual(self.statuses, [0])
        self.assertEqual(program.session.received, 3)
        program.stopService()
        self.assertEqual(self.lines()[-1], "3 frames in 2.5 s, 0.80 fps, 0 dropped, age unknown")

    def test_snapshot(self) -> None:
        """A snapshot of the first frame ends the viewer; if it shows a card, the log says so."""
        path = os.path.abspath(self.mktemp() + ".jpg")
        self.start(has_window=False, snapshot=path)
        card = gray(50, 1, state=NO_SIGNAL, reason="no such camera", since=0.0)
        self.server.send(card.message)
        self.assertEqual((self.statuses, Frame.from_jpeg(Path(path).read_bytes()).sequence), ([0], 1))
        self.assertIn(f"snapshot written: {path} (it shows no live picture: no such camera)", self.lines())

    def test_snapshot_folder_gone(self) -> None:
        """A snapshot that cannot be written after all ends with status 1."""
        self.start(has_window=False, snapshot=os.path.abspath("gone/x.jpg"))
        self.give(100)
        self.assertEqual(self.statuses, [1])

    def test_time_lapse(self) -> None:
        """Pictures are written at the interval asked for."""
        self.start(has_window=False, snapshot_every=2.0)
        for _ in range(5):
            self.give(100)
            self.clock.advance(1)
        self.assertEqual(len(os.listdir(".")), 3)

    def test_record(self) -> None:
        """A recording goes on until the viewer ends."""
        path = os.path.abspath(self.mktemp() + ".mkv")
        program = self.start(has_window=False, record=path, frames=2)
        for _ in range(2):
            self.give(100)
            self.clock.advance(1)
        program.stopService()
        self.assertEqual((times(path), self.statuses), ([0.0, 1.0], [0]))

    def test_recording_fails(self) -> None:
        """A recording that cannot be made ends the viewer, with status 1."""
        self.start(has_window=False, record=os.path.abspath("gone/video.mkv"))
        self.give(100)
        self.assertEqual(self.statuses, [1])
        self.assertRegex(self.lines()[-1], "^not recorded: .*no such folder")

    def test_list(self) -> None:
        """The names of the server's cameras are printed, and that is all."""
        shown = io.StringIO()
        self.patch(sys, "__stdout__", shown)
        self.start(has_window=False, lists_cameras=True)
        self.server.send(pack_json({"type": "cameras", "cameras": ["desk", "door"]}))
        self.assertEqual((shown.getvalue(), self.statuses), ("desk\ndoor\n", [0]))

    def test_refused(self) -> None:
        """An error that another attempt would not change ends the viewer with status 1 and one line."""
        self.start(has_window=False, camera="cellar")
        self.server.send(pack_json({"type": "refused", "reason": "there is no camera 'cellar' here"}))
        self.assertEqual(self.statuses, [1])
        self.assertIn("the server refuses us: there is no camera 'cellar' here", self.lines())

    def test_unknown_host(self) -> None:
        """An unknown host ends the viewer with status 1 and advice."""
        self.server.error = DNSLookupError("no results")
        self.start(has_window=False)
        self.assertEqual(self.statuses, [1])
        self.assertIn("the host of desk:9999 is not known: check the spelling, or use its IP address", self.lines())
