"""Streams of pictures that are taken now."""

from __future__ import annotations

import time
from collections.abc import Callable

from zope.interface import implementer

from twistedcam.capture.media import Media, Picture
from twistedcam.capture.stream_clock import StreamClock
from twistedcam.codec import Image
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera

_LATE_SECONDS = 0.25
_AT_ONCE_SECONDS = 0.002
_MAX_PASSED_OVER = 100
_LARGEST_WAIT_SECONDS = 60.0  # until a picture is due; a time that is further away has jumped


@implementer(ICamera)
class LiveCamera:
    """
    Pictures that are taken now, as they arrive; those that arrive in parts are given at the times that they have.

    Pictures that are late although newer ones have arrived are passed over.
    """

    interval = 0.0
    is_stored = False

    def __init__(
        self,
        media: Media,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._media = media
        self._monotonic = monotonic
        self._sleep = sleep
        self._clock = StreamClock()
        self._start: float | None = None
        self._picture: Picture | None = None

    def grab(self) -> float:
        """Take the next picture and return its time of capture, as the stream's clock says if it has one."""
        for _ in range(_MAX_PASSED_OVER):
            picture = self._media.read()
            if picture is None:
                raise CameraError(f"{self._media.label} has ended the stream")
            self._picture = picture
            taken = self._time_of_capture(picture)
            if self._media.waited > _AT_ONCE_SECONDS or self._monotonic() - taken <= _LATE_SECONDS:
                break
        return taken

    def retrieve(self) -> Image:
        """Return the picture last grabbed."""
        assert self._picture is not None
        return self._media.image(self._picture)

    def close(self) -> None:
        """End the connection."""
        self._picture = None
        self._media.close()

    def _time_of_capture(self, picture: Picture) -> float:
        now = self._monotonic()
        if self._media.comes_in_parts:
            return self._wait_for(picture, now)
        return self._clock.time_of_capture(picture.time, now) if self._media.has_clock else now

    def _wait_for(self, picture: Picture, now: float) -> float:
        """Wait until C{picture} is due by its time; the next part may have come late."""
        if self._start is None or not -_LATE_SECONDS <= self._start + picture.time - now <= _LARGEST_WAIT_SECONDS:
            self._start = now - picture.time
        self._sleep(max(0.0, self._start + picture.time - now))
        return self._monotonic()
