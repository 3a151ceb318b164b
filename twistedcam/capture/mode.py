"""How a source is to be opened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """
    The mode to request from a source; one that cannot be set, such as a file, ignores it.

    A device selects the nearest C{size} in pixels (None: its default), C{fps} in frames a second (0: its default) and
    the pixel C{format}, a FourCC such as C{"MJPG"} (empty: it is chosen by the size). With C{as_jpeg} its own JPEGs
    are passed on as they are, if it has them. C{controls} are the V4L2 controls to set, as pairs of name and value. A
    read from a URL is given up after C{read_seconds}. Pictures wider than C{max_width} (0: any) need not be full size.
    """

    size: tuple[int, int] | None = None
    fps: float = 0.0
    as_jpeg: bool = False
    format: str = ""
    controls: tuple[tuple[str, int], ...] = ()
    read_seconds: float = 20.0
    max_width: int = 0
