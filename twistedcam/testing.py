"""Fakes for cameras, displays, threads and time, for the tests of this package and of those that build on it."""

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
from twistedcam.errors import CameraError
from twistedcam.frame import Frame
from twistedcam.interfaces import ICamera, IDisplay, ISink


class SteppedReactor(Clock):
    """
    A clock advanced by hand, in which calls from other threads are made at once.

    Work for the reactor's thread pool waits in C{pool} until it is stepped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pool = SteppedThread()

    def getThreadPool(self) -> SteppedThread:
        """Return C{pool}."""
        return self.pool

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call it at once: there are no other threads."""
        function(*args, **kwargs)


class SteppedThread:
    """A thread pool of one thread that does a piece of its work at each L{step}; without steps, it hangs."""

    def __init__(self) -> None:
        self.jobs: deque[Callable[[], None]] = deque()
        self.stopped = False

    def callInThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Keep the call for a step."""
        self.jobs.append(lambda: function(*args, **kwargs))

    def callInThreadWithCallback(
        self, on_result: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Keep the call for a step; C{on_result} is passed its outcome."""

        def job() -> None:
            try:
                result = function(*args, **kwargs)
            except Exception:
                on_result(False, Failure())
            else:
                on_result(True, result)

        self.jobs.append(job)

    def stop(self) -> None:
        """Set C{stopped}."""
        self.stopped = True

    def step(self) -> bool:
        """Do the next piece of work; return False if there is none."""
        if not self.jobs:
            return False
        self.jobs.popleft()()
        return True


@implementer(ICamera)
class FakeCamera:
    """A camera that repeats C{images}, and fails once C{error} is set; C{now} is its clock."""

    def __init__(self, *images: Any, interval: float = 0.0) -> None:
        self.interval = interval
        self.images = images or (np.zeros((48, 64, 3), np.uint8),)
        self.error: Exception | None = None
        self.grabbed = self.retrieved = 0
        self.closed = False
        self.now: Callable[[], float] = time.monotonic

    def grab(self) -> float:
        """Count, or raise C{error}."""
        if self.error is not None:
            raise self.error
        self.grabbed += 1
        return self.now()

    def retrieve(self) -> Image:
        """Return the next of the images, or fail."""
        if self.error is not None:
            raise CameraError(str(self.error))
        self.retrieved += 1
        return self.images[(self.retrieved - 1) % len(self.images)]  # type: ignore[no-any-return]

    def close(self) -> None:
        """Set C{closed}."""
        self.closed = True


@implementer(ISink)
class RecordingSink:
    """Keeps its frames in C{frames}; accepts new ones while C{ready}."""

    def __init__(self) -> None:
        self.ready = True
        self.frames: list[Frame] = []

    def may_begin(self) -> bool:
        """Return C{ready}."""
        return self.ready

    def begin(self, frame: Frame) -> None:
        """Keep C{frame}."""
        self.frames.append(frame)


@implementer(IDisplay)
class RecordingDisplay:
    """Keeps the images that it shows in C{images}; the keys pressed are taken from C{keys}."""

    def __init__(self) -> None:
        self.images: list[Image] = []
        self.keys: deque[str] = deque()
        self.open = True
        self.full_screen = self.closed = False

    def show(self, image: Image) -> None:
        """Keep C{image}."""
        self.images.append(image)

    def key(self) -> str:
        """Return the next of the keys, or an empty string."""
        return self.keys.popleft() if self.keys else ""

    def is_open(self) -> bool:
        """Return C{open}."""
        return self.open

    def toggle_full_screen(self) -> None:
        """Switch C{full_screen}."""
        self.full_screen = not self.full_screen

    def close(self) -> None:
        """Set C{closed}."""
        self.closed = True
