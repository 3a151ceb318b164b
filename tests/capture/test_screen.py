"""The screen as a camera: a real one of Xvfb, if that is installed, and the reasons for which there is none."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from typing import Any

import numpy as np
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from tests.x_server import start_x, write_cookie
from twistedcam.capture import screen
from twistedcam.capture.mode import Mode
from twistedcam.capture.screen import open_screen
from twistedcam.capture.target import plain_target
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera


class RealScreenTests(TestCase):
    """A real X server."""

    timeout = 60

    if shutil.which("Xvfb") is None:
        skip = "needs Xvfb"

    async def start(self, *options: str) -> str:
        """The display of an X server that runs until the end of the test."""
        self.server = start_x(*options)
        self.addCleanup(self.server.kill)
        return await self.server.display

    async def test_picture(self) -> None:
        """The whole screen is captured, at the rate that is asked for; when the X server ends, the camera is lost."""
        display = await self.start()

        def look() -> tuple[Any, float]:
            camera = open_screen(plain_target(f"screen:{display}"), Mode(fps=50))
            self.addCleanup(camera.close)
            verifyObject(ICamera, camera)
            ages = [-camera.grab() + time.monotonic() for _ in range(4)]
            self.camera = camera
            return camera.retrieve(), max(ages)

        image, age = await deferToThread(look)
        self.assertEqual((image.shape, image.dtype), ((240, 320, 3), np.uint8))
        self.assertTrue(image.flags.writeable)  # the time is drawn into it
        self.assertEqual(np.unique(image[100:140, :100]).tolist(), [255])  # no pointer there
        self.assertLess(age, 0.5)  # ffmpeg would otherwise take a second's pictures first, and give them late
        await self.server.kill()
        self.assertRaisesRegex(CameraError, f"^the screen {display} gives no more pictures", self.camera.grab)

    async def test_own(self) -> None:
        """Without a name, the screen is that of the session."""
        self.patch(os, "environ", os.environ | {"DISPLAY": await self.start(), "WAYLAND_DISPLAY": ""})
        camera = await deferToThread(open_screen, plain_target("screen"), Mode())
        camera.close()

    async def test_refused(self) -> None:
        """An X server that asks for a cookie lets nobody in who has none; the error says what to do."""
        cookies = write_cookie(self.mktemp())
        display = await self.start("-auth", cookies)
        self.patch(os, "environ", os.environ | {"XAUTHORITY": "/dev/null"})
        with self.assertRaisesRegex(CameraError, f"^the display {display} does not let this user in: run as"):
            await deferToThread(open_screen, plain_target(f"screen:{display}"), Mode())


class ProblemTests(SynchronousTestCase):
    """Screens that cannot be captured."""

    if sys.platform in ("win32", "darwin"):
        skip = "about X displays"

    def refused(self, target: str, **environment: str) -> str:
        """Why this screen cannot be opened."""
        self.patch(os, "environ", environment)
        with self.assertRaises(CameraError) as caught:
            open_screen(plain_target(target), Mode())
        return str(caught.exception)

    def test_session(self) -> None:
        """A session without a screen, and Wayland's, which gives no program the others' pictures."""
        self.assertIn("DISPLAY is not set; name an X display, as in screen::0", self.refused("screen"))
        message = self.refused("screen", WAYLAND_DISPLAY="wayland-0", DISPLAY=":7")
        self.assertRegex(message, r"is Wayland's, .*: log in with X11, or name an X display \(screen::7\)$")
        self.assertRegex(self.refused("screen", XDG_SESSION_TYPE="wayland"), "log in with X11$")

    def test_names(self) -> None:
        """What is no display is refused with what to write instead."""
        for name in ("1", "door", ":x"):
            self.assertIn(f"'{name}' is not an X display: write screen::1", self.refused(f"screen:{name}"))

    def test_unreachable(self) -> None:
        """Displays at which nothing answers, here and on another machine."""
        self.patch(screen, "_SOCKETS", self.mktemp())
        self.assertEqual(self.refused("screen::7"), "there is no display :7: is it running?")
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        if not 6000 <= port < 16000:
            self.patch(socket, "create_connection", self.refusing)
            port = 6001
        message = f"the display 127.0.0.1:{port - 6000}.0 cannot be reached: Connection refused"
        self.assertEqual(self.refused(f"screen:127.0.0.1:{port - 6000}.0"), message)

    def refusing(self, address: tuple[str, int], seconds: float) -> socket.socket:
        """Connect to nothing."""
        raise ConnectionRefusedError(111, "Connection refused")

    def test_other_systems(self) -> None:
        """Elsewhere there is one screen, which has no name."""
        self.patch(sys, "platform", "win32")
        self.assertEqual(self.refused("screen::1"), "only X displays have names: write screen")
