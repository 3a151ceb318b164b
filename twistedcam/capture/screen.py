"""The screen as a camera: C{--camera screen}, by what ffmpeg has for each system."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping

import numpy as np
from zope.interface import implementer

from twistedcam.capture import screen_grabber
from twistedcam.capture.mode import Mode
from twistedcam.capture.target import Target
from twistedcam.codec import Image
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera

_DEFAULT_FPS = 15.0
_CONNECT_SECONDS = 5.0
_SOCKETS = "/tmp/.X11-unix"


@implementer(ICamera)
class ScreenCamera:
    """
    A screen that ffmpeg's input device C{kind} opens under C{name}; C{options} are its own.

    A process captures it, see L{twistedcam.capture.screen_grabber}. C{label} stands for it in errors. Raises
    L{CameraError}.
    """

    interval = 0.0  # the device waits until the next picture is due

    def __init__(self, kind: str, name: str, options: Mapping[str, str], label: str) -> None:
        self._label = label
        self._image: Image | None = None
        words = [sys.executable, "-P", screen_grabber.__file__, kind, name]
        words += [f"{option}={value}" for option, value in options.items()]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if self._read_header()[0] != screen_grabber.OPENED:
            self.close()
            raise CameraError(f"{label} cannot be opened")

    def grab(self) -> float:
        """Take the next picture, and return when it was taken. Raises L{CameraError}."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # the process has ended: its answers say so as well
            self._process.stdin.write(b"\0")
            self._process.stdin.flush()
        kind, taken, width, height = self._read_header()
        pixels = self._read(width * height * 3)
        if kind != screen_grabber.PICTURE or len(pixels) < width * height * 3:
            raise CameraError(f"{self._label} gives no more pictures: has its session ended?")
        self._image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        return float(taken)

    def _read_header(self) -> tuple[bytes, float, int, int]:
        header = self._read(screen_grabber.HEADER.size)
        if len(header) < screen_grabber.HEADER.size:
            return screen_grabber.ENDED, 0.0, 0, 0
        return screen_grabber.HEADER.unpack(header)

    def _read(self, size: int) -> bytearray:
        """C{size} bytes of the answers, or fewer if they have ended; they can be changed, as a picture is."""
        assert isinstance(self._process.stdout, io.BufferedReader)
        data = bytearray(size)
        count = self._process.stdout.readinto(data)
        return data if count == size else data[:count]

    def retrieve(self) -> Image:
        """Return the picture last grabbed."""
        assert self._image is not None
        return self._image

    def close(self) -> None:
        """End the process."""
        self._image = None
        self._process.kill()
        with contextlib.suppress(OSError):
            self._process.communicate()


def open_screen(target: Target, mode: Mode) -> ICamera:
    """
    Open a whole screen: C{"screen"}, or on Linux C{"screen:"} and an X display, as in C{screen::1}.

    C{mode} gives the rate. Raises L{CameraError}.
    """
    # Otherwise a second's pictures of a small screen would be taken to measure the rate, and all be shown late.
    rate = {"framerate": f"{mode.fps or _DEFAULT_FPS:g}", "fpsprobesize": "0"}
    display = target.reveal().removeprefix("screen").removeprefix(":")
    if sys.platform not in ("win32", "darwin"):
        return _open_display(display or _own_display(os.environ), rate)
    if display:
        raise CameraError("only X displays have names: write screen")
    if sys.platform == "win32":
        return ScreenCamera("gdigrab", "desktop", rate, "the screen")
    return ScreenCamera("avfoundation", "Capture screen 0:none", rate | {"capture_cursor": "1"}, "the screen")


def has_screen() -> bool:
    """Whether C{screen} can be opened, as far as is known without opening it."""
    if sys.platform in ("win32", "darwin"):
        return True
    try:
        _reach(_own_display(os.environ)).close()
    except CameraError:
        return False
    return True


def _open_display(display: str, rate: Mapping[str, str]) -> ICamera:
    # ffmpeg does not tell a display that is not there from one that refuses. The connection is kept meanwhile: an X
    # server without a desktop begins anew when its last one is closed.
    with _reach(display):
        try:
            return ScreenCamera("x11grab", display, rate, f"the screen {display}")
        except CameraError:
            raise CameraError(
                f"the display {display} does not let this user in: run as the user whose screen it is, or see xhost(1)"
            ) from None


def _own_display(environment: Mapping[str, str]) -> str:
    """The X display of the session. Raises L{CameraError} if it has none, or one without the other windows."""
    display = environment.get("DISPLAY", "")
    if environment.get("WAYLAND_DISPLAY") or environment.get("XDG_SESSION_TYPE") == "wayland":
        instead = f", or name an X display (screen:{display})" if display else ""
        raise CameraError(f"this session's screen is Wayland's, which cannot be captured: log in with X11{instead}")
    if not display:
        raise CameraError("there is no screen here: DISPLAY is not set; name an X display, as in screen::0")
    return display


def _reach(display: str) -> socket.socket:
    """A connection to an X display. Raises L{CameraError}."""
    found = re.fullmatch(r"(.*):(\d{1,4})(\.\d+)?", display)
    if found is None:
        raise CameraError(f"{display!r} is not an X display: write screen::1, or screen:HOST:0")
    host, number = found[1].removesuffix("unix").removesuffix("/"), int(found[2])
    try:
        return _connect(host, number)
    except FileNotFoundError:
        raise CameraError(f"there is no display {display}: is it running?") from None
    except OSError as error:
        raise CameraError(f"the display {display} cannot be reached: {error.strerror or error}") from None


def _connect(host: str, number: int) -> socket.socket:
    if host:
        return socket.create_connection((host, 6000 + number), _CONNECT_SECONDS)
    path = f"{_SOCKETS}/X{number}"
    with contextlib.suppress(OSError):
        return _connect_local(f"\0{path}")  # as clients of X do first: it needs no file, in a container for one
    return _connect_local(path)


def _connect_local(path: str) -> socket.socket:
    local = socket.socket(socket.AF_UNIX)
    local.settimeout(_CONNECT_SECONDS)
    try:
        local.connect(path)
    except BaseException:
        local.close()
        raise
    return local
