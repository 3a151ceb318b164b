"""Video files, pictures and URLs as cameras."""

from __future__ import annotations

from functools import partial

from twistedcam.capture.live_camera import LiveCamera
from twistedcam.capture.media import Media
from twistedcam.capture.mode import Mode
from twistedcam.capture.picture_files import SUFFIXES, find
from twistedcam.capture.stored_camera import StoredCamera
from twistedcam.capture.target import Target, plain_target
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera


def open_clip(target: Target, mode: Mode) -> ICamera:
    """Open the file or URL C{target}. Raises L{CameraError}."""
    open_media = partial(Media, target, mode)
    media = open_media()
    return StoredCamera(media, open_media) if media.is_stored else LiveCamera(media)


def open_pictures(target: Target, mode: Mode) -> ICamera:
    """
    Open the folder or pattern of picture files C{target}, shown in order and found anew each time.

    Each is shown for a second, or C{mode.fps} of them a second. Raises L{CameraError}.
    """
    pictures = _PictureFiles(target, mode)
    return StoredCamera(pictures.open_next(), pictures.open_next, 1 / mode.fps if mode.fps else 1.0)


class _PictureFiles:
    """Opens one picture file after another."""

    def __init__(self, target: Target, mode: Mode) -> None:
        self._target = target
        self._mode = mode
        self._left: list[str] = []

    def open_next(self) -> Media:
        """Open the next one that can be read. Raises L{CameraError} if there is none."""
        for _ in range(2):  # what is left of this round, and then a whole one
            self._left = self._left or self._find()
            while self._left:
                try:
                    return _open_picture(self._left.pop(0), self._mode)
                except CameraError as error:
                    problem = str(error)
        raise CameraError(f"{self._target} has no picture that can be shown: {problem}")

    def _find(self) -> list[str]:
        try:
            found = find(self._target.reveal())
        except OSError as error:
            raise CameraError(f"{self._target} cannot be read: {error.strerror}") from None
        if not found:
            raise CameraError(f"{self._target} has no pictures: {', '.join(SUFFIXES)} are recognized")
        return found


def _open_picture(path: str, mode: Mode) -> Media:
    media = Media(plain_target(path), mode)
    try:
        if not media.peek():
            raise CameraError(f"{path} has no picture that can be shown")
    except BaseException:
        media.close()
        raise
    return media
