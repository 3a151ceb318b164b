"""Plays pictures that were taken before: clips, and single pictures."""

from __future__ import annotations

import time
from collections.abc import Callable

from zope.interface import implementer

from twistedcam.capture.media import Media, Picture
from twistedcam.codec import Image
from twistedcam.errors import BrokenPictureError, CameraError
from twistedcam.interfaces import ICamera

REPEAT_SECONDS = 1.0  # the longest for which a stored source gives no picture
_LATE_SECONDS = 0.25
_REOPEN_SECONDS = 0.2  # enough to open most files and URLs
_LONGEST_SECONDS = 600.0  # of one picture in a recording
_MAX_BROKEN = 1000


@implementer(ICamera)
class StoredCamera:
    """
    Plays pictures that were taken before, each at its own time, and again from the start at their end.

    C{open_next} opens the next source of pictures, which for a file is the same one each time. A single picture is
    shown for C{still_seconds}, and then read anew. The picture that is due is given at least once a second.
    """

    interval = 0.0
    is_stored = True

    def __init__(
        self,
        media: Media,
        open_next: Callable[[], Media],
        still_seconds: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._media: Media | None = media
        self._open_next = open_next
        self._still_seconds = still_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._shown: tuple[Media, Picture] | None = None
        self._last: Picture | None = None  # of those read from the media that is open
        self._count = self._broken = 0
        self._start = 0.0  # when the time 0 of the media was, or would have been
        self._next: Picture | None = None
        self._ends = monotonic()  # when the last picture that was read has been shown for its time
        self._given = 0.0

    def grab(self) -> float:
        """Wait until the next picture is due, or for a second, and return the present time. Raises L{CameraError}."""
        while True:
            if self._shown is not None and not self._wait(self._next_due()):
                return self._give()
            if self._next is None:
                self._read_next()
                continue
            assert self._media is not None
            due, picture, self._next = self._due(self._next), self._next, None
            now = self._monotonic()
            if now - due > _LATE_SECONDS:
                if self._shown is not None and now - self._given < REPEAT_SECONDS / 2:
                    continue  # passed over: we are slower than the clip
                self._delay(now - due)
            self._shown = (self._media, picture)
            return self._give()

    def retrieve(self) -> Image:
        """Return the picture that is due."""
        assert self._shown is not None
        media, picture = self._shown
        return media.image(picture)

    def close(self) -> None:
        """Close the file."""
        self._shown = self._next = None
        media, self._media = self._media, None
        if media is not None:
            media.close()

    def _give(self) -> float:
        self._given = self._monotonic()
        return self._given

    def _wait(self, until: float) -> bool:
        """Wait until then; False if the present picture has to be given again before."""
        again = self._given + REPEAT_SECONDS
        now = self._monotonic()
        # A picture that is due just after a second is not preceded by a copy of the one before.
        until_or_again = until if until <= again + _LATE_SECONDS else again
        if until_or_again > now:
            self._sleep(until_or_again - now)
        return until_or_again == until

    def _next_due(self) -> float:
        """When there is something to do: the next picture is due, or has to be read."""
        if self._next is not None:
            return self._due(self._next)
        return self._ends - _REOPEN_SECONDS if self._media is None else self._monotonic()

    def _due(self, picture: Picture) -> float:
        return self._start + picture.time

    def _delay(self, seconds: float) -> None:
        self._start += seconds
        self._ends += seconds

    def _read_next(self) -> None:
        """Read the next picture, from the next media at the end of this one."""
        if self._media is None:
            self._media = self._open_next()
            self._count, self._last = 0, None
        picture = self._read()
        if picture is None:
            self._end()
            return
        if not self._continues(picture):
            self._start = max(self._ends, self._monotonic() - _LATE_SECONDS) - picture.time
        self._count, self._broken, self._last, self._next = self._count + 1, 0, picture, picture
        self._ends = self._due(picture) + picture.seconds

    def _continues(self, picture: Picture) -> bool:
        """Whether its time follows that of the last one read; times that jump are those of another recording."""
        return self._last is not None and 0 <= picture.time - self._last.time <= _LONGEST_SECONDS

    def _read(self) -> Picture | None:
        assert self._media is not None
        try:
            return self._media.read()
        except BrokenPictureError as error:
            self._broken += 1
            if self._broken > _MAX_BROKEN:
                raise CameraError(f"{error}, and so are all the others") from None
            raise

    def _end(self) -> None:
        """Close the media; what is shown is kept until its time is over."""
        media, self._media = self._media, None
        assert media is not None
        media.close()
        if self._last is None:
            raise CameraError(f"{media.label} has no picture that can be shown")
        if self._count == 1:
            self._ends += max(0.0, self._still_seconds - self._last.seconds)
