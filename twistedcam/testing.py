"""Stand-ins for what is slow, real or has a screen, for the tests of this package and of whoever builds on it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from twistedcam.codec import Image
from twistedcam.frame import Frame
from twistedcam.interfaces import CameraError, ICamera, IDisplay, ISink


class SteppedReactor(Clock):
    """A clock moved by hand, in which calls from other threads come at once."""

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call it now: there are no other threads."""
        function(*args, **kwargs)


class SteppedThread:
    """A thread pool of one whose work is done when L{step} says so; one that is not stepped is one that hangs."""

    def __init__(self) -> None:
        self.jobs: deque[Callable[[], None]] = deque()
        self.stopped = False

    def callInThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Keep it for a step."""
        self.jobs.append(lambda: function(*args, **kwargs))

    def callInThreadWithCallback(
        self, on_result: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Keep it for a step, which will tell C{on_result}."""

        def job() -> None:
            try:
                result = function(*args, **kwargs)
            except Exception:
                on_result(False, Failure())
            else:
                on_result(True, result)

        self.jobs.append(job)

    def stop(self) -> None:
        """Note that no more work will be given."""
        self.stopped = True

    def step(self) -> bool:
        """Do the next piece of work; False if there is none."""
        if not self.jobs:
            return False
        self.jobs.popleft()()
        return True


@implementer(ICamera)
class FakeCamera:
    """A camera that gives C{images} over and over, and fails once C{error} is set."""

    def __init__(self, *images: Any, interval: float = 0.0) -> None:
        self.interval = interval
        self.images = images or (np.zeros((48, 64, 3), np.uint8),)
        self.error: Exception | None = None
        self.grabbed = self.retrieved = 0
        self.closed = False
        self.now: Callable[[], float] = time.monotonic

    def grab(self) -> float:
        """Count, or fail."""
        if self.error is not None:
            raise self.error
        self.grabbed += 1
        return self.now()

    def retrieve(self) -> Image:
        """The next of the images."""
        if self.error is not None:
            raise CameraError(str(self.error))
        self.retrieved += 1
        return self.images[(self.retrieved - 1) % len(self.images)]  # type: ignore[no-any-return]

    def close(self) -> None:
        """Note it."""
        self.closed = True


@implementer(ISink)
class RecordingSink:
    """Keeps the frames it is given; takes new ones while C{ready}."""

    def __init__(self) -> None:
        self.ready = True
        self.frames: list[Frame] = []

    def may_begin(self) -> bool:
        """As C{ready} says."""
        return self.ready

    def begin(self, frame: Frame) -> None:
        """Keep it."""
        self.frames.append(frame)


@implementer(IDisplay)
class RecordingDisplay:
    """Keeps the images it is shown, and presses the C{keys} it is given."""

    def __init__(self) -> None:
        self.images: list[Image] = []
        self.keys: deque[str] = deque()
        self.open = True
        self.full_screen = self.closed = False

    def show(self, image: Image) -> None:
        """Keep it."""
        self.images.append(image)

    def key(self) -> str:
        """The next of the keys."""
        return self.keys.popleft() if self.keys else ""

    def is_open(self) -> bool:
        """As C{open} says."""
        return self.open

    def toggle_full_screen(self) -> None:
        """Note it."""
        self.full_screen = not self.full_screen

    def close(self) -> None:
        """Note it."""
        self.closed = True
