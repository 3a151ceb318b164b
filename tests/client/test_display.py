"""Whether a window can open, and text on images."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
from unittest import SkipTest

import cv2
import numpy as np
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from tests.processes import ProcessTestCase, Running, turn
from tests.x_server import start_x, write_cookie
from twistedcam.client import display
from twistedcam.client.display import (
    DisplayError,
    OpenCVDisplay,
    _window_size,
    check_display,
    enlarged,
    reduced,
    with_lines,
    with_notice,
)
from twistedcam.interfaces import IDisplay


class CheckTests(TestCase):
    """Whether a window can open here."""

    def test_no_display(self) -> None:
        """Without a display there is an error, instead of Qt ending the process."""
        self.patch(sys, "platform", "linux")
        self.patch(os, "environ", {})
        self.assertRaisesRegex(DisplayError, "DISPLAY is not set", check_display)

    def test_dead_display(self) -> None:
        """A display at which nothing answers is an error of one line as well."""
        self.patch(sys, "platform", "linux")
        before = os.environ.get("DISPLAY", "")
        self.addCleanup(os.environ.__setitem__, "DISPLAY", before)
        real = os.environ
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            number = listener.getsockname()[1] - 6000
            for name in (f"127.0.0.1:{number}", ":4711", "nonsense"):
                self.patch(os, "environ", {"DISPLAY": name})
                self.assertRaisesRegex(DisplayError, f"nothing answers at DISPLAY {name}", check_display)
            listener.listen()
            self.patch(os, "environ", real)
            os.environ["DISPLAY"] = f"127.0.0.1:{number}.0"  # libxcb reads the real environment
            self.patch(display, "_ANSWER_SECONDS", 0.1)
            self.assertRaisesRegex(DisplayError, "does not answer: is it the right one", check_display)

    def test_headless_opencv(self) -> None:
        """An OpenCV without windows is named, with what to install."""
        self.patch(cv2, "getBuildInformation", lambda: "  GUI:                           NONE\n")
        self.assertRaisesRegex(DisplayError, "install opencv-python", check_display)


class RealWindowTests(ProcessTestCase):
    """The viewer on a real X server, or where there is none for it."""

    if shutil.which("Xvfb") is None or sys.platform != "linux":
        skip = "needs Xvfb"

    async def x(self, *options: str) -> str:
        """The display of an X server that runs until the end of the test."""
        self.server = start_x(*options)
        self.addCleanup(self.server.kill)
        return await self.server.display

    def viewer(self, *words: str, **environment: str) -> Running:
        """A viewer of the test card, in a window."""
        shell = "; ".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())
        words = ("-n", "camstream-client", "--endpoint", "unix:camera", *words)
        return self.start("twistd", *words, shell=shell)

    async def refused(self, **environment: str) -> str:
        """The one line with which a viewer ends in this environment."""
        viewer = self.viewer(**environment)
        await viewer.ended  # with status 0 until Twisted 24.10
        *_, last = viewer.output.strip().splitlines()
        self.assertIn("without a screen, use --headless", last)
        return last

    async def test_let_in(self) -> None:
        """A viewer opens its window where it is let in; a server that refuses it is one line."""
        await self.serve("--camera", "test").said("listening")
        cookies = write_cookie(self.mktemp())
        display = await self.x("-auth", cookies)
        message = f"the X server at DISPLAY {display} does not let us in: set XAUTHORITY to the file"
        self.assertIn(message, await self.refused(DISPLAY=display, XAUTHORITY=self.mktemp()))
        preview = self.start(
            "twistd", "-n", "camstream", "--camera", "test", "--preview", shell=f"export DISPLAY={display} XAUTHORITY=x"
        )
        await preview.ended
        self.assertIn(f"--preview: no window can open, {message}", preview.output)
        viewer = self.viewer("--frames", "3", DISPLAY=display, XAUTHORITY=cookies)
        self.assertEqual(await viewer.ended, 0, viewer.output)

    async def test_platforms(self) -> None:
        """What Qt cannot do is one line, whatever QT_QPA_PLATFORM asks for; what it can do is done."""
        if not display._qt_plugins():
            raise SkipTest("needs an OpenCV with a Qt of its own")
        await self.serve("--camera", "test").said("listening")
        screen = await self.x("-noreset")
        for name in ("wayland", "nonsense"):
            message = f"QT_QPA_PLATFORM is {name}, but OpenCV has xcb only: unset it"
            self.assertIn(message, await self.refused(DISPLAY=screen, QT_QPA_PLATFORM=name))
        self.assertIn("DISPLAY is not set: Wayland has to", await self.refused(WAYLAND_DISPLAY="wayland-0"))
        viewer = self.viewer(
            "--frames", "3", DISPLAY=screen, QT_QPA_PLATFORM="wayland;xcb", WAYLAND_DISPLAY="wayland-0"
        )
        self.assertEqual(await viewer.ended, 0, viewer.output)

    async def test_screen_lost(self) -> None:
        """When the X server ends, the viewer ends with one line, and without a core."""
        await self.serve("--camera", "test").said("listening")
        viewer = self.viewer(DISPLAY=await self.x("-noreset"))
        await viewer.said("connected")
        while not self.server.count_clients():
            await turn()
        await self.server.kill()
        self.assertEqual(await viewer.ended, 1, viewer.output)
        self.assertIn("The X11 connection broke", viewer.output)


class OpenCVDisplayTests(TestCase):
    """The real window, where it needs no screen."""

    def test_before_the_first_picture(self) -> None:
        """Until something is shown there is no window; it counts as open all the same, and may be closed."""
        self.patch(display, "check_display", lambda: None)
        self.patch(os, "environ", dict(os.environ))
        window = OpenCVDisplay("test")
        self.assertTrue(verifyObject(IDisplay, window))
        self.assertEqual((window.key(), window.is_open()), ("", True))
        window.close()


class DrawingTests(SynchronousTestCase):
    """Text on an image."""

    def test_enlarged(self) -> None:
        """A small image is made at least 640 wide, by a whole factor; a large one is copied."""
        self.assertEqual(enlarged(np.zeros((48, 64, 3), np.uint8)).shape, (480, 640, 3))
        large = np.zeros((480, 700, 3), np.uint8)
        copy = enlarged(large)
        self.assertEqual(copy.shape, large.shape)
        self.assertIsNot(copy, large)

    def test_narrow(self) -> None:
        """A picture of any proportions is enlarged to no more than 4096 rows, and its window has both sides."""
        self.assertEqual(enlarged(np.zeros((4096, 1, 3), np.uint8)).shape, (4096, 1, 3))
        self.assertEqual(enlarged(np.zeros((1000, 2, 3), np.uint8)).shape, (4000, 8, 3))
        for width, height in ((1, 65500), (65500, 1), (1, 1), (640, 480), (4096, 1), (1, 4096)):
            sides = _window_size(width, height)
            self.assertTrue(min(sides) >= 16 and max(sides) <= 1280, sides)
        self.assertEqual(_window_size(640, 480), (640, 480))

    def test_reduced(self) -> None:
        """A picture is made smaller only if a side is longer than those of screens."""
        for before, after in (
            ((48, 64), (48, 64)),
            ((4096, 9), (4096, 9)),
            ((65500, 1), (4096, 1)),
            ((3000, 6000), (2048, 4096)),
        ):
            self.assertEqual(reduced(np.zeros((*before, 3), np.uint8)).shape, (*after, 3))

    def test_lines(self) -> None:
        """Lines are written from the upper left corner downwards."""
        image = with_lines(np.full((480, 640, 3), 128, np.uint8), ["one", "two"])
        self.assertGreater(int(image[:64, :200].max()), 200)
        self.assertEqual(int(image[100:].max()), 128)

    def test_notice(self) -> None:
        """A notice too long for a row is written in several, around the middle; so is one without spaces."""
        blank = np.full((480, 640, 3), 128, np.uint8)
        for notice, rows in (("short", 1), ("many words " * 8, 3), ("x" * 200, 1), ("", 1)):
            image = with_notice(blank.copy(), notice)
            written = np.flatnonzero((image != 128).any(axis=(1, 2)))
            self.assertLess(len(written), 45 * rows)
            if notice:
                self.assertTrue(abs(float(written.mean()) - 240) < 30, written)
