"""The status of a camera that is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from zope.interface import Attribute, Interface

from twistedcam.hub import Hub
from twistedcam.rates import Meter


class CameraState(StrEnum):
    """The state of a camera that is served; its values appear in reports."""

    CLOSED = "closed"  # nobody watches
    OPENING = "opening"  # no picture yet
    LIVE = "live"
    LOST = "lost"  # it cannot be opened or gives no pictures; it will be tried again


class ICameraStatus(Interface):
    """A camera that is served, as the web server and the metrics see it; used in the reactor's thread."""

    name: str = Attribute("The name it is served under.")
    state: CameraState = Attribute("A L{CameraState}.")
    reason: str = Attribute("Why it is lost, or an empty string.")
    since: float | None = Attribute("When it was lost, in seconds since the epoch, or None.")
    is_stored: bool = Attribute("Whether it plays stored pictures, such as a video file, in place of live ones.")
    problem: str = Attribute("What was wrong with the last broken picture, or an empty string.")
    width: int = Attribute("Width of the full picture, in pixels.")
    hubs: Mapping[str, Hub] = Attribute("Maps each encoding to the L{Hub} of its viewers.")
    meter: Meter = Attribute("A L{Meter} of the pictures delivered, by their times of capture.")
    grabbed: int = Attribute("How many pictures were taken.")
    encoded: int = Attribute("How many frames were made, one for each picture and encoding.")
    broken: int = Attribute("How many pictures were broken, and skipped.")
    losses: int = Attribute("How many times it was lost.")
    recording: Callable[[], dict[str, Any]] | None = Attribute(
        "Returns the state of its recording: the C{file}, its C{bytes}, and the C{problem} or an empty string. None for"
        " a camera that is not recorded."
    )
