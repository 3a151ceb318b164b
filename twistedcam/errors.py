"""The errors that more than one part of twistedcam raises or handles, and the base class of all."""

from __future__ import annotations


class TwistedcamError(Exception):
    """The base class of this package's errors; the text is one line, written for the user."""


class CameraError(TwistedcamError):
    """A camera cannot be opened or gives no picture; the text says why, and viewers are shown it."""


class BrokenPictureError(CameraError):
    """One picture cannot be used, but the next one may be; the text says what is wrong with it."""


class AccessDeniedError(TwistedcamError):
    """A viewer is not let in; the text, which it is sent, says why."""


class NoRoomError(AccessDeniedError):
    """A limit has been reached; an attempt after C{retry_seconds} may succeed."""

    def __init__(self, text: str, retry_seconds: float = 5.0) -> None:
        super().__init__(text)
        self.retry_seconds = retry_seconds
