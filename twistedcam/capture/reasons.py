"""Turns what a camera raises into errors whose text can be shown: plugins raise anything, with any text."""

from __future__ import annotations

from twistedcam.errors import CameraError, TwistedcamError
from twistedcam.secret import redacted
from twistedcam.text import PrintableFailure, printable


class UnexpectedError(CameraError):
    """The camera's own code raised something other than a L{CameraError}: C{failure}, with its traceback."""

    def __init__(self, reason: str, failure: PrintableFailure) -> None:
        super().__init__(reason)
        self.failure = failure


def as_camera_error(error: BaseException) -> CameraError:
    """C{error}, which is being handled, as a L{CameraError} with its L{reason}."""
    if isinstance(error, CameraError):
        # Not the error itself: the frames of its traceback would keep the camera and its pictures in memory
        # until the garbage collector runs in the reactor's thread.
        return CameraError(reason(error))
    return UnexpectedError(reason(error), PrintableFailure(error, type(error), error.__traceback__))


def reason(error: BaseException) -> str:
    """The text of C{error} for viewers and the log: printable, and without the passwords in URLs."""
    try:
        text = str(error)
    except BaseException:  # raised by its __str__
        text = "its text cannot be shown"
    if not isinstance(error, TwistedcamError) or not text:
        text = f"{type(error).__name__}: {text}".removesuffix(": ")
    return printable(redacted(text))


def shown(value: object) -> str:
    """What a camera gave in place of a number or a picture, as one short line for an error."""
    try:
        return printable(redacted(repr(value)), 60)
    except BaseException:  # raised by its __repr__
        return f"a {printable(type(value).__name__, 60)}"
