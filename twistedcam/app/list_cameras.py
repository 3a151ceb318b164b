"""The list of C{--list-cameras}: the cameras of this machine, with their texts for C{--camera}, modes and controls."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from twisted.plugin import getPlugins

from twistedcam.capture import devices
from twistedcam.capture.controls import range_of
from twistedcam.capture.picamera import pi_cameras
from twistedcam.capture.screen import has_screen
from twistedcam.capture.v4l2 import Node
from twistedcam.capture.v4l2_types import Control, FrameSize
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICameraPlugin
from twistedcam.text import printable

_PI_MODEL = "/proc/device-tree/model"
_PI_PLUGIN = "picamera"
# Parts of the Raspberry Pi's own camera that give nothing by themselves.
_NO_CAMERAS = ("bcm2835-isp", "bcm2835-codec", "pispbe", "rpi-hevc-dec")
_USUAL_SIZE = (1280, 720)
_NONE_FOUND = (
    "No camera was found. Is it plugged in, and switched on? A container has to be given it with --device /dev/video0,"
    "\nand a virtual machine its USB device. Cameras on the network are not listed: --camera rtsp://ADDRESS/PATH"
)


def list_cameras() -> str:
    """The devices with their modes and controls, plugins, and the screen, as lines of text; may take seconds."""
    if sys.platform == "linux":
        found = [text for path in devices.nodes() if (text := _device(path))]
    else:
        found = _other_devices()
    found += _pi_and_plugins()
    blocks = found or [_NONE_FOUND]
    if has_screen():
        blocks.append("The screen\n  --camera screen")
    return "\n\n".join([*blocks, "A test card, which needs no camera\n  --camera test"])


def _device(path: str) -> str:
    """The description of the node at C{path}, or why it cannot be opened; empty if it is not a camera."""
    try:
        with devices.opened(path) as node:
            capability = node.capability()
            if not capability.is_capture or capability.driver in _NO_CAMERAS:
                return ""
            title = printable(f"{path}: {capability.card} ({capability.driver}, {capability.bus})")
            if capability.needs_libcamera:
                return f"{title}\n  is set up by libcamera: --camera plugin:{_PI_PLUGIN}"
            return "\n".join([title, *_about(devices.lasting_path(path), node)])
    except CameraError as error:
        return str(error)


def _about(path: str, node: Node) -> Iterator[str]:
    formats = {name: node.sizes(name) for name in devices.usable_formats(node)}
    yield f"  --camera {path}"
    example = _example(formats)
    if example:
        yield f"  --camera {path},{example}"
    yield "  formats:" if formats else "  it has no format that can be decoded"
    for name, sizes in formats.items():
        yield f"    {name.rstrip()}"
        yield from (f"      {_size(size)}" for size in sizes)
    controls = node.controls()
    if controls:
        yield "  controls, set by control=NAME=VALUE after another comma:"
        yield from (f"    {_control(node, control)}" for control in controls.values())


def _example(formats: dict[str, list[FrameSize]]) -> str:
    """A format and a size, as they are written after a device: those that most people want, if it has them."""
    for name in sorted(formats, key=lambda name: name != "MJPG"):
        for size in sorted(formats[name], key=lambda size: not _has(size, _USUAL_SIZE)):
            width, height = _USUAL_SIZE if _has(size, _USUAL_SIZE) else size.most
            return f"format={name.rstrip()},size={width}x{height}"
    return ""


def _has(size: FrameSize, wanted: tuple[int, int]) -> bool:
    return all(least <= want <= most for least, want, most in zip(size.least, wanted, size.most, strict=True))


def _size(size: FrameSize) -> str:
    text = "{}x{}".format(*size.most)
    if size.least != size.most:
        text = "{}x{} to ".format(*size.least) + text
    rates = (" to " if size.has_any_rate else ", ").join(f"{rate:.4g}" for rate in size.rates)
    return f"{text}, {rates} fps" if rates else text


def _control(node: Node, control: Control) -> str:
    notes = [_values(node, control)]
    if control.is_read_only:
        notes.append("can only be read")
    if control.is_inactive:
        notes.append("inactive at present")
    value = "" if control.is_write_only else f"={node.value(control)}"
    return printable(f"{control.name}{value} ({'; '.join(filter(None, notes))})", 4000)


def _values(node: Node, control: Control) -> str:
    if control.is_menu:
        return ", ".join(f"{index}: {text}" for index, text in node.menu(control).items())
    if control.is_button:
        return "a button, set it to 1"
    return f"the bits of {control.most & 0xFFFFFFFF}" if control.is_bitmask else range_of(control)


def _other_devices() -> list[str]:
    """The cameras of other systems, in the order of their numbers."""
    from twistedcam.libav import av

    listed = getattr(av, "enumerate_input_devices", None)
    if listed is None:
        return ["Cameras have numbers here, from 0; they can be listed with a newer PyAV (pip install -U av)"]
    try:
        about = listed("dshow" if sys.platform == "win32" else "avfoundation")
    except (av.error.FFmpegError, ValueError):  # an ffmpeg without these
        return []
    names = [device.description for device in about if "video" in device.media_types]
    cameras = [name for name in names if not name.startswith("Capture screen")]
    return [f"{printable(name)}\n  --camera {number}" for number, name in enumerate(cameras)]


def _pi_and_plugins() -> list[str]:
    plugins = sorted(printable(str(plugin.name)) for plugin in getPlugins(ICameraPlugin))
    others = [f"The plugin {name}\n  --camera plugin:{name}" for name in plugins if name != _PI_PLUGIN]
    return [*_pi(), *others]


def _pi() -> Sequence[str]:
    """The Pi's own cameras; if this is a Pi without picamera2, what is missing."""
    try:
        models = pi_cameras()
    except CameraError as error:
        return [str(error)] if _is_pi() else []
    return [f"The Pi's own camera: {printable(models[0])}\n  --camera plugin:{_PI_PLUGIN}"] if models else []


def _is_pi() -> bool:
    try:
        with open(_PI_MODEL) as file:
            return "Raspberry Pi" in file.read(100)
    except OSError:
        return False
