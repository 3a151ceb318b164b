"""Turns what a camera raises into errors whose text can be shown: plugins raise anything, with any text."""

from __future__ import annotations

from collections.abc import Callable

from twistedcam.errors import BrokenPictureError, CameraError, TwistedcamError
from twistedcam.secret import redacted
from twistedcam.text import PrintableFailure, printable


class UnexpectedError(CameraError):
    """The camera's own code raised something other than a L{CameraError}: C{failure}, with its traceback."""

    def __init__(self, reason: str, failure: PrintableFailure) -> None:
        super().__init__(reason)
        self.failure = failure


def as_camera_error(error: BaseException, hide: Callable[[str], str] = redacted) -> CameraError:
    """C{error}, which is being handled, as a L{CameraError} with its L{reason}; C{hide} removes secrets from a text."""
    # Not the error itself: the frames of its traceback would keep the camera and its pictures in memory
    # until the garbage collector runs in the reactor's thread.
    if isinstance(error, UnexpectedError):
        return UnexpectedError(reason(error, hide), error.failure)
    if isinstance(error, CameraError):
        kind = BrokenPictureError if isinstance(error, BrokenPictureError) else CameraError
        return kind(reason(error, hide))
    failure = PrintableFailure(error, type(error), error.__traceback__)
    failure.hide = hide
    return UnexpectedError(reason(error, hide), failure)


def reason(error: BaseException, hide: Callable[[str], str] = redacted) -> str:
    """The text of C{error} for viewers and the log: printable, and without the secrets that C{hide} removes."""
    try:
        text = str(error)
    except BaseException:  # raised by its __str__
        text = "its text cannot be shown"
    if not isinstance(error, TwistedcamError) or not text:
        text = f"{type(error).__name__}: {text}".removesuffix(": ")
    return printable(hide(text))


def shown(value: object) -> str:
    """What a camera gave in place of a number or a picture, as one short line for an error."""
    try:
        return printable(redacted(repr(value)), 60)
    except BaseException:  # raised by its __repr__
        return f"a {printable(type(value).__name__, 60)}"
