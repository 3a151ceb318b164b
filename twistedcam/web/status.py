"""The state of the service as a JSON object."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from twistedcam.camera_status import ICameraStatus
from twistedcam.hub import Outlet

VERSIONS = {"twistedcam": version("twistedcam"), "twisted": version("twisted"), "python": platform.python_version()}


def outlets(camera: ICameraStatus) -> Iterator[tuple[str, Outlet]]:
    """The outlet of each viewer of C{camera}, with the encoding that it is sent."""
    for encoding, hub in camera.hubs.items():
        for outlet in hub:
            yield encoding, outlet


def state(cameras: Mapping[str, ICameraStatus], now: float) -> dict[str, Any]:
    """The state of all C{cameras} at C{now}; times are in seconds since the epoch, ages in seconds."""
    viewers = {
        name: [_viewer(encoding, outlet) for encoding, outlet in outlets(camera)] for name, camera in cameras.items()
    }
    return {
        "clock": now,
        "versions": VERSIONS,
        "cameras": [_camera(camera, now) | {"viewers": viewers[name]} for name, camera in cameras.items()],
    }


def summary(cameras: Mapping[str, ICameraStatus], now: float) -> dict[str, Any]:
    """The message that tells a page the state of all C{cameras} at C{now}; of the viewers it tells the number."""
    counts = {name: sum(map(len, camera.hubs.values())) for name, camera in cameras.items()}
    return {
        "type": "state",
        "clock": now,
        "cameras": [_camera(camera, now) | {"viewers": counts[name]} for name, camera in cameras.items()],
    }


def _camera(camera: ICameraStatus, now: float) -> dict[str, Any]:
    return {
        "name": camera.name,
        "state": camera.state,
        "reason": camera.reason,
        "since": camera.since,
        "stored": camera.is_stored,
        "width": camera.width,
        "fps": camera.meter.fps(now),
        "grabbed": camera.grabbed,
        "encoded": camera.encoded,
        "broken": camera.broken,
        "problem": camera.problem,
        "losses": camera.losses,
        "recording": None if camera.recording is None else camera.recording(),
    }


def _viewer(encoding: str, outlet: Outlet) -> dict[str, Any]:
    tally = outlet.tally()
    return {
        "address": outlet.viewer,
        "encoding": encoding,
        "age": outlet.newest.age if outlet.newest is not None else None,
        "fps": outlet.fps,
        "sent": tally.begun,
        "dropped": tally.dropped,
        "bytes": tally.sent_bytes,
    }
