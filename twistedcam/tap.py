"""C{twistd camstream}: the server's options, and how it ends if it cannot start."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.logger import Logger
from twisted.python import usage

from twistedcam.app import runtime
from twistedcam.app.config import OPTIONS, ConfigError, ServerConfig, make_config, parse_cameras
from twistedcam.app.listener import StartError
from twistedcam.app.options import GroupedOptions, drop_default_pidfile, show_and_exit
from twistedcam.app.service import Server
from twistedcam.capture.sources import Source
from twistedcam.errors import TwistedcamError
from twistedcam.text import printable

log = Logger()

CAMERAS_VARIABLE = "TWISTEDCAM_CAMERA"


class Options(GroupedOptions, AuthOptionMixin):
    """The options of C{twistd camstream}; parsing them makes C{config}."""

    longdesc = (
        "Serves cameras live, over TCP and HTTP. Every viewer sees the camera as it is now, however slow its link."
    )

    groups = {
        "Cameras": ("camera", "list-cameras", "size", "fps", "format", "control", "skip", "stall"),
        "Pictures": ("width", "quality", "rotate", "flip", "overlay"),
        "Recording": ("record", "record-segment", "record-keep"),
        "Serving": ("listen", "http", "codec", "max-viewers", "announce", "preview"),
        "Web": ("allow-origin", "allow-host", "trusted-proxy"),
        "Access": ("share", "renew", "state-dir", "auth", "help-auth", "help-auth-type", "open"),
    }

    supportedInterfaces = (IUsernamePassword,)

    optParameters = [
        [name, short, OPTIONS[name].default, text]
        for name, short, text in (
            ("state-dir", None, "Folder for the key of --share, instead of the user's data folder."),
            ("size", None, "Picture size to ask a device for, such as 1280x720; it gives the nearest it has."),
            ("width", "w", "Width of the pictures in pixels, 0 for as captured; they are never enlarged."),
            ("fps", "r", "Maximum number of frames a second, 0 for no limit."),
            ("format", None, "Pixel format to ask a device for, such as MJPG or YUYV."),
            ("rotate", None, "Turn the pictures by 90, 180 or 270 degrees clockwise."),
            ("flip", None, "Mirror the pictures: h swaps left and right, v top and bottom."),
            ("overlay", None, "Draw the time, the camera's name or both into the pictures: time,name."),
            ("skip", None, "Number of pictures to pass over when a camera is opened; the first ones may be dark."),
            ("stall", None, "Seconds without a picture after which a camera is lost, 0 to go by its own rate."),
            ("record", None, "Record into this folder, also while nobody watches."),
            ("record-segment", None, "Length of a recorded file in seconds."),
            (
                "record-keep",
                None,
                "Space for a camera's recordings, the oldest are deleted: 500M, or 10G, the default.",
            ),
            ("quality", "q", "JPEG quality, 1 to 100."),
            ("max-viewers", "m", "Maximum number of viewers, over TCP and HTTP together."),
            ("codec", None, "Encoding for viewers that never send a hello: jpeg, or pickle for the tutorial's client."),
        )
    ]
    optFlags = [
        ["share", None, "Let other machines watch with a key, over TLS; prints the command to run there."],
        ["renew", None, "With --share: make a new key; the old one stops working."],
        ["open", None, "Let everybody who can reach an endpoint watch, from other machines too."],
        ["announce", None, "Let camstream-client --find find this server on the local network."],
        ["preview", None, "Show the pictures in a window on this machine; q closes it, the server goes on."],
    ]

    config: ServerConfig
    exposed: tuple[str, ...] = ()  # the names of cameras with a password on the command line

    def __init__(self) -> None:
        super().__init__()
        self["camera"] = []
        self["control"] = []
        self["listen"] = []
        self["auth"] = []
        self["allow-origin"] = []
        self["allow-host"] = []
        self["trusted-proxy"] = []
        self["http"] = None

    def opt_camera(self, source: str) -> None:
        """[NAME=]SOURCE[,OPTION=VALUE...]: 0, /dev/video2, a file, folder, URL, screen, plugin:NAME, test, or @FILE
        that names one; repeatable. [default: what TWISTEDCAM_CAMERA says, or 0]"""
        self["camera"].append(source)

    opt_c = opt_camera

    def opt_list_cameras(self) -> None:
        """Display the cameras of this machine, with their modes and controls, and exit."""
        from twistedcam.app import list_cameras

        try:
            text = list_cameras.list_cameras()
        except TwistedcamError as error:
            raise usage.UsageError(printable(str(error))) from None
        show_and_exit(text)

    def opt_control(self, control: str) -> None:
        """Set a V4L2 control of a device, NAME=VALUE, such as brightness=128; repeatable."""
        self["control"].append(control)

    def opt_listen(self, description: str) -> None:
        """A server endpoint string; repeatable. [default: tcp:9999:interface=127.0.0.1, with --share tcp:9999]"""
        self["listen"].append(description)

    opt_l = opt_listen

    def opt_http(self, description: str) -> None:
        """A server endpoint string for HTTP, or off. [default: tcp:8080:interface=127.0.0.1, with --share tcp:8080]"""
        self["http"] = description

    def opt_allow_origin(self, origin: str) -> None:
        """Let web pages of this origin show and read the pictures: http://host:8123, or * for all; repeatable."""
        self["allow-origin"].append(origin)

    def opt_allow_host(self, name: str) -> None:
        """Answer web requests for this host name too, where nobody has to log in; repeatable."""
        self["allow-host"].append(name)

    def opt_trusted_proxy(self, address: str) -> None:
        """Read the client's address from the headers of the proxy at this IP address or network; repeatable."""
        self["trusted-proxy"].append(address)

    def opt_auth(self, description: str) -> None:
        """Ask for names and passwords: file:PATH with lines of name:password; --help-auth lists others; repeatable."""
        self["auth"].append(description)

    def postOptions(self) -> None:
        """Make C{config}, which checks all that can be checked before anything starts."""
        from twisted.internet import reactor

        try:
            cameras = self._parse_cameras()
            self.config = make_config(reactor, cameras, {name: self[name] for name in OPTIONS})
        except ConfigError as error:
            raise usage.UsageError(str(error)) from None
        drop_default_pidfile(self, only_in_foreground=True)

    def _parse_cameras(self) -> tuple[Source, ...]:
        """The cameras of the command line, or else those of the variable, one a line, or else the first device."""
        if self["camera"]:
            cameras = parse_cameras(self["camera"])
            self.exposed = tuple(camera.name for camera in cameras if camera.target.has_password)
            return cameras
        lines = [line.strip() for line in os.environ.get(CAMERAS_VARIABLE, "").splitlines()]
        return parse_cameras(filter(None, lines), CAMERAS_VARIABLE) or parse_cameras(["0"])


class CommandError(SystemExit, Exception):
    """
    Ends C{twistd} with one line.

    In the foreground it has to be a SystemExit: twistd shows any other exception with a traceback. In the background it
    has to be an Exception: twistd passes on nothing else to the process that waits for the start, which would hang.
    """


class ServerCommand(Server):
    """A server that ends C{twistd} if it cannot start."""

    def privilegedStartService(self) -> None:
        """Start, or raise L{CommandError}."""
        with _ending_the_command():
            super().privilegedStartService()

    def startService(self) -> None:
        """Start, or raise L{CommandError}."""
        with _ending_the_command():
            super().startService()


@contextlib.contextmanager
def _ending_the_command() -> Iterator[None]:
    try:
        yield
    except StartError as error:
        raise CommandError(f"camstream: {printable(str(error))}") from None


def makeService(options: Options) -> ServerCommand:
    """The server as a service, in the process of a command."""
    from twisted.internet import reactor

    runtime.prepare(reactor)
    if options.exposed:
        log.warn(
            "the command line has a password of {names}, which other users of this machine can read in the list of "
            "processes: write it as NAME=@FILE, with the URL in FILE, or in the environment variable {variable}",
            names=", ".join(options.exposed),
            variable=CAMERAS_VARIABLE,
        )
    return ServerCommand(options.config, reactor, partial(runtime.leave, reactor))
