"""The window's logic, on a display that keeps what it is shown."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.client.fakes import PromptThread, gray
from twistedcam.client.window import Window
from twistedcam.codec import encode_jpeg
from twistedcam.filenames import FileNames
from twistedcam.frame import Frame
from twistedcam.interfaces import IDisplay, IOutput
from twistedcam.testing import RecordingDisplay, SteppedReactor, SteppedThread


class WindowTests(SynchronousTestCase):
    """What is shown when, and what keys do."""

    make_thread: type[SteppedThread] = PromptThread

    def setUp(self) -> None:
        self.clock = SteppedReactor()
        self.display = RecordingDisplay()
        self.thread = self.make_thread()
        self.quits = 0
        self.lines = ["desk: live", "25.0 fps"]
        self.notice = self.banner = ""
        self.others = 0
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.window = Window(
            self.clock,
            self.display,
            FileNames(self.folder, lambda: 0.0),
            self.quit,
            lambda: self.thread,
            lambda frame: self.lines,
            lambda: self.notice,
            lambda: self.banner,
            {"n": self.other},
        )
        self.window.start()
        self.addCleanup(self.check_clean)

    def check_clean(self) -> None:
        """A stopped window leaves nothing in the clock."""
        self.window.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.display.closed)
        self.assertTrue(self.thread.stopped)

    def quit(self) -> None:
        """Count."""
        self.quits += 1

    def other(self) -> None:
        """Count."""
        self.others += 1

    def press(self, key: str) -> None:
        """Press a key, and give it time."""
        self.display.keys.append(key)
        self.clock.advance(0.02)

    def lightness(self) -> list[int]:
        """The lightness of each image shown since the window opened."""
        return [round(float(image.mean())) for image in self.display.images[1:]]

    def test_opens_before_there_is_a_picture(self) -> None:
        """The window opens at once."""
        self.assertEqual(len(self.display.images), 1)

    def test_shown_at_once(self) -> None:
        """A frame is shown in the next iteration of the reactor, not only when keys are next checked."""
        self.window.frame(gray(50))
        self.clock.advance(0)
        self.assertEqual(self.lightness(), [50])
        self.assertEqual(self.window.shown, 1)

    def test_only_the_newest(self) -> None:
        """Of several frames in one iteration of the reactor only the last is decoded and shown."""
        for lightness in (50, 60, 70):
            self.window.frame(gray(lightness))
        self.clock.advance(0)
        self.assertEqual((self.lightness(), self.window.shown), ([70], 1))

    def test_broken_frame(self) -> None:
        """A frame that cannot be decoded is skipped."""
        self.window.frame(Frame(b"\xff\xd8", width=1, height=1))
        self.clock.advance(0)
        self.window.frame(gray(50))
        self.clock.advance(0)
        self.assertEqual(self.lightness(), [50])

    def slow(self) -> SteppedThread:
        """Open another window, whose pictures are decoded at each step of its thread, and return that."""
        self.window.stop()
        self.make_thread = SteppedThread
        self.setUp()
        return self.thread

    def test_slow_picture(self) -> None:
        """While a picture is decoded the newest of those that come waits, and no other is decoded."""
        thread = self.slow()
        for lightness in (50, 60, 70):
            self.window.frame(gray(lightness))
            self.clock.advance(0)
        self.assertEqual((self.lightness(), len(thread.jobs)), ([], 1))
        while thread.step():
            pass
        self.assertEqual((self.lightness(), self.window.shown), ([50, 70], 2))

    def test_keys_during_a_slow_picture(self) -> None:
        """Keys work while a picture is decoded, and what is decoded after q is not shown."""
        thread = self.slow()
        self.window.frame(gray(50))
        self.press("n")
        self.press("q")
        self.window.frame(gray(60))
        self.clock.advance(1)
        self.assertEqual((self.others, self.quits, thread.stopped), (1, 1, True))
        while thread.step():
            pass
        self.assertEqual(self.lightness(), [])

    def test_broken_frame_leaves_the_last_picture(self) -> None:
        """The picture before a broken one stays, and is what a snapshot writes."""
        self.window.frame(gray(50))
        self.clock.advance(0)
        self.window.frame(Frame(b"\xff\xd8", width=1, height=1))
        self.press("s")
        self.assertEqual(len(os.listdir(self.folder)), 1)
        self.clock.advance(2.1)
        self.assertEqual(self.lightness()[-1], 50)

    def test_display_that_fails(self) -> None:
        """A picture that cannot be shown is logged, and the next one is shown."""
        show = self.display.show
        self.patch(self.display, "show", lambda image: 1 / 0)
        self.window.frame(gray(50))
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.patch(self.display, "show", show)
        self.window.frame(gray(60))
        self.clock.advance(0)
        self.assertEqual(self.lightness(), [60])

    def test_huge_picture(self) -> None:
        """A picture with long sides is shown smaller, and its overlay makes it no larger again."""
        for height, width in ((5000, 1), (1, 5000), (3000, 6000)):
            payload = encode_jpeg(np.full((height, width, 3), 50, np.uint8))
            self.window.frame(Frame(payload, width=width, height=height))
            for _ in range(2):
                self.press("i")
                self.assertLessEqual(max(self.display.images[-1].shape), 4096)

    def test_quit(self) -> None:
        """q and Esc end the program, once."""
        for key in ("q", "esc"):
            self.setUp()
            self.press(key)
            self.press(key)
            self.window.frame(gray(50))
            self.clock.advance(1)
            self.assertEqual(self.quits, 1)
            self.assertEqual(self.lightness(), [])
            self.quits = 0

    def test_closed_by_its_frame(self) -> None:
        """Closing the window ends the program as q does, and no frame opens it again."""
        self.display.open = False
        self.window.frame(gray(50))
        self.clock.advance(0)
        self.clock.advance(0.1)
        self.assertEqual((self.quits, self.lightness()), (1, []))

    def test_closed_while_nothing_comes(self) -> None:
        """A closed window is noticed without frames as well."""
        self.display.open = False
        self.clock.advance(0.1)
        self.assertEqual(self.quits, 1)

    def test_full_screen(self) -> None:
        """f fills the screen, and f again restores the window."""
        self.press("f")
        self.assertTrue(self.display.full_screen)
        self.press("f")
        self.assertFalse(self.display.full_screen)

    def test_overlay(self) -> None:
        """i writes the status over the picture, enlarged if it is too small to write on, and i again removes it."""
        self.window.frame(gray(50))
        self.clock.advance(0)
        self.press("i")
        self.assertEqual(self.display.images[-1].shape, (480, 640, 3))
        self.assertGreater(int(self.display.images[-1].max()), 200)
        self.press("i")
        self.assertEqual(self.display.images[-1].shape, (48, 64, 3))

    def test_overlay_without_frames(self) -> None:
        """The overlay is redrawn while no frame comes, since the picture's age grows."""
        self.window.frame(gray(50))
        self.press("i")
        shown = len(self.display.images)
        for _ in range(50):
            self.clock.advance(0.02)
        self.assertIn(len(self.display.images) - shown, (1, 2))

    def test_notice(self) -> None:
        """A notice dims the picture and is written on it at once, not with the next frame; so is its removal."""
        self.window.frame(gray(150))
        self.clock.advance(0)
        self.notice = "reconnecting: nothing listens at a host with a very long name, is the server running there?"
        self.clock.advance(0.02)
        self.assertLess(self.lightness()[-1], 100)
        self.assertGreater(int(self.display.images[-1].max()), 200)
        self.notice = ""
        self.clock.advance(0.02)
        self.assertEqual(self.lightness()[-1], 150)

    def test_snapshot(self) -> None:
        """s writes the frame as it came, and says so in the picture for a while."""
        shown = gray(50)
        self.window.frame(shown)
        self.clock.advance(0)
        self.press("s")
        (name,) = os.listdir(self.folder)
        self.assertEqual(Path(self.folder, name).read_bytes(), shown.payload)
        self.assertGreater(int(self.display.images[-1].max()), 200)
        self.clock.advance(2.1)
        self.assertLess(int(self.display.images[-1].max()), 60)

    def test_snapshot_without_a_picture(self) -> None:
        """s before the first frame says that there is none."""
        self.press("s")
        self.assertEqual(os.listdir(self.folder), [])
        self.assertGreater(int(self.display.images[-1].max()), 200)

    def test_snapshot_that_fails(self) -> None:
        """A snapshot that cannot be written is reported, and the window goes on."""
        self.window.frame(gray(50))
        self.clock.advance(0)
        os.rmdir(self.folder)
        self.press("s")
        self.assertGreater(int(self.display.images[-1].max()), 200)
        self.window.frame(gray(60))
        self.clock.advance(3)
        self.assertEqual(self.lightness()[-1], 60)
        os.mkdir(self.folder)

    def test_other_keys(self) -> None:
        """Keys without a meaning do nothing."""
        for key in "xyz ":
            self.press(key)
        self.assertEqual((self.quits, len(self.display.images)), (0, 1))

    def test_added_keys(self) -> None:
        """Keys that the window does not know may be given an action."""
        self.press("n")
        self.assertEqual(self.others, 1)

    def test_banner(self) -> None:
        """The banner is written without the overlay, too."""
        self.banner = "REC 0:01 video.mkv"
        self.window.frame(gray(50))
        self.clock.advance(0)
        self.assertGreater(int(self.display.images[-1].max()), 200)

    def test_interfaces(self) -> None:
        """The window is an output, and the fake display is a display."""
        self.assertTrue(verifyObject(IOutput, self.window))
        self.assertTrue(verifyObject(IDisplay, self.display))
