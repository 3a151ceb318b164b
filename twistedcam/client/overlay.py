"""The text on the picture: the overlay, the notice and the line about a recording."""

from __future__ import annotations

import os

from twistedcam.client.session import CONNECTED
from twistedcam.frame import Frame


def status_lines(frame: Frame, server: str, fps: float, missed: int) -> list[str]:
    """The overlay's lines about C{frame}: camera and state, rate, age, frames that were C{missed}, and size."""
    age = frame.age
    lines = [
        f"{frame.camera or server}: {frame.state}",
        f"{fps:.1f} fps",
        "age unknown" if age is None else f"age {age * 1000:.0f} ms",
        f"{missed} frames dropped",
    ]
    return [*lines, f"1/{frame.scale} of the width: the link is slow"] if frame.scale > 1 else lines


def notice(state: str, problem: str, server: str, has_picture: bool) -> str:
    """Why no current picture is shown, in one line; an empty string if one is."""
    if state != CONNECTED:
        return f"{state}: {problem or server}"
    if problem:
        return problem
    return "" if has_picture else "waiting for the first picture"


def recording_line(path: str, seconds: float) -> str:
    """The line about a recording: its length in minutes and seconds, and the name of its file."""
    minutes, rest = divmod(int(seconds), 60)
    return f"REC {minutes}:{rest:02} {os.path.basename(path)}"
