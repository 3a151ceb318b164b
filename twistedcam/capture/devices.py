"""The camera devices of Linux: where they are, and why one gives no pictures, in words."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import stat
from collections.abc import Iterator

from twistedcam.capture.v4l2 import Node
from twistedcam.errors import CameraError

FOLDER = "/dev"
SYSTEM_FOLDER = "/sys/class/video4linux"

# The formats that OpenCV makes pictures of; it opens cameras in others as well, and gives their bytes.
_COMPRESSED = {"MJPG", "JPEG"}
_YUV = {"YUYV", "UYVY", "NV12", "NV21", "YU12", "YV12", "411P"}
_RGB_AND_GRAY = {"BGR3", "RGB3", "AR24", "XR24", "GREY", "Y10", "Y12", "Y16"}
_BAYER = {"BA81", "GBRG", "RGGB", "GRBG"}
DECODABLE = _COMPRESSED | _YUV | _RGB_AND_GRAY | _BAYER

_GONE = "the camera is gone, is it plugged in?"
_IN_WORDS = {
    errno.ENOENT: "no such camera, is it plugged in?",
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.EIO: "the camera does not answer, unplug it and plug it in again",
    errno.EBUSY: "in use by another program",
    errno.EPERM: "the system does not allow it; a container has to be given the device (--device)",
    errno.ENOTTY: "this is not a camera",
    errno.EINVAL: "this is not a camera",
}


def path_of(target: str) -> str:
    """The path of the device C{target}, which is a path or a number."""
    return f"{FOLDER}/video{target}" if target.isdecimal() else target


def nodes() -> list[str]:
    """The paths of all video devices, in the order of their numbers; not all are cameras."""
    paths = (path for path in glob.glob(f"{FOLDER}/video*") if re.search(r"/video\d+$", path))
    return sorted(paths, key=lambda path: int(re.findall(r"\d+", path)[-1]))


def lasting_path(path: str) -> str:
    """The name in C{/dev/v4l/by-id} of the device at C{path}, which stays the same; C{path} itself if it has none."""
    for link in sorted(glob.glob(f"{FOLDER}/v4l/by-id/*")):
        if os.path.realpath(link) == path:
            return link
    return path


@contextlib.contextmanager
def opened(path: str) -> Iterator[Node]:
    """The open node at C{path}. Errors of the system, in the block too, are raised as L{CameraError}."""
    try:
        with Node(path) as node:
            yield node
    except OSError as error:
        raise CameraError(f"{path}: {_in_words(path, error)}") from None


def _in_words(path: str, error: OSError) -> str:
    if error.errno == errno.EACCES:
        with contextlib.suppress(OSError, KeyError):
            return _who_may_open(os.stat(path))
    return _IN_WORDS.get(error.errno or 0, error.strerror or "it cannot be opened")


def _who_may_open(status: os.stat_result) -> str:
    import grp
    import pwd

    if status.st_mode & 0o060 == 0o060:
        group = grp.getgrgid(status.st_gid).gr_name
        return f"not allowed, add yourself to the group '{group}' (sudo usermod -aG {group} $USER) and log in again"
    return f"not allowed, only the user '{pwd.getpwuid(status.st_uid).pw_name}' may open it"


def check_capture(path: str, node: Node) -> None:
    """Raise L{CameraError} if the node at C{path} gives no pictures, or gives them to another program."""
    capability = node.capability()
    if not capability.is_capture:
        raise CameraError(f"{path} is not a capture device ({capability.kind}); {_instead_of(path)}")
    if node.is_busy():
        user = "by this server already" if _is_open_here(path) else "by another program"
        raise CameraError(f"{path}: in use {user}")


def _instead_of(path: str) -> str:
    """Advice for a node that gives no pictures: the node of the same device that does, or where to find one."""
    for other in siblings(path):
        with contextlib.suppress(CameraError), opened(other) as node:
            if node.capability().is_capture:
                return f"use {other}"
    return "--list-cameras shows those that are"


def siblings(path: str) -> list[str]:
    """The paths of the other nodes of the same device."""
    own = _device_of(path)
    return [other for other in nodes() if _device_of(other) == own and other != os.path.realpath(path)]


def _device_of(path: str) -> str:
    return os.path.realpath(f"{SYSTEM_FOLDER}/{os.path.basename(os.path.realpath(path))}/device")


def _is_open_here(path: str) -> bool:
    """Whether this process has the device open, apart from the node by which the caller has found it busy."""
    device = os.stat(path).st_rdev
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            status = os.fstat(int(number))
            found += stat.S_ISCHR(status.st_mode) and status.st_rdev == device
    return found > 1


def why_no_picture(path: str, default: str) -> str:
    """Why OpenCV, which does not say, gets no picture from the device at C{path}; C{default} if it cannot be told."""
    try:
        with opened(path) as node:
            check_capture(path, node)
            capability = node.capability()
    except CameraError as error:
        return str(error)
    if capability.needs_libcamera:
        return f"{path} has to be set up by libcamera, as a Raspberry Pi's own camera: use plugin:picamera"
    # The pictures of several cameras may be too much for one hub, of which only the kernel's log tells.
    advice = (
        "; if it shares a USB hub, choose format=MJPG or a smaller size" if capability.bus.startswith("usb") else ""
    )
    return f"{path} {default}{advice}"


def usable_formats(node: Node) -> list[str]:
    """The FourCCs of the node's formats of which pictures can be made."""
    return [name for name in node.formats() if name.rstrip() in DECODABLE]


def format_of(path: str, node: Node, wanted: str) -> str:
    """The FourCC of the node's format C{wanted}. Raises L{CameraError} if it is not one that can be used."""
    usable = usable_formats(node)
    for name in usable:
        if name.rstrip().upper() == wanted.rstrip().upper():
            return name
    has = f"it has {', '.join(map(str.rstrip, usable))}" if usable else "it has none that can be decoded"
    raise CameraError(f"{path} has no format {wanted.rstrip()!r} that can be decoded; {has}")
