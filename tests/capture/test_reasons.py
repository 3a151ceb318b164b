"""What is shown of what goes wrong in a camera."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twistedcam.capture.reasons import UnexpectedError, as_camera_error, reason
from twistedcam.codec import CodecError
from twistedcam.errors import BrokenPictureError, CameraError


class MuteError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class ReasonTests(SynchronousTestCase):
    """Errors of all kinds."""

    def test_text(self) -> None:
        """Our own errors tell their text, others their type as well."""
        for error, expected in (
            (CameraError("unplugged"), "unplugged"),
            (BrokenPictureError("torn"), "torn"),
            (CodecError("4 channels"), "4 channels"),
            (CameraError(), "CameraError"),
            (ValueError("wrong"), "ValueError: wrong"),
            (SystemExit(), "SystemExit"),
            (SystemExit(3), "SystemExit: 3"),
            (MuteError(), "MuteError: its text cannot be shown"),
        ):
            self.assertEqual(reason(error), expected)

    def test_printable(self) -> None:
        """Nothing in it acts on a terminal, and all of it can be encoded."""
        for kind in (CameraError, ValueError):
            shown = reason(kind("a\x1b[2J\rb\u202ec\ud800"))
            self.assertTrue(shown.endswith(r"a\x1b[2J\rb\u202ec\ud800"), shown)
            self.assertTrue(shown.isprintable())
        self.assertEqual(len(reason(CameraError("x" * 10_000))), 500)

    def test_no_password(self) -> None:
        """The password of a URL is not shown."""
        error = CameraError("rtsp://me:secret@door.example/live gives no picture")
        self.assertEqual(reason(error), "rtsp://door.example gives no picture")

    def test_unexpected(self) -> None:
        """The traceback of an unexpected error is kept for the log, and prints without passwords too."""
        try:
            raise RuntimeError("\x1b[2J rtsp://me:secret@door.example/")
        except RuntimeError as error:
            made = as_camera_error(error)
        assert isinstance(made, UnexpectedError)
        self.assertEqual(str(made), r"RuntimeError: \x1b[2J rtsp://door.example")
        traceback = made.failure.getTraceback()
        self.assertIn("test_unexpected", traceback)
        self.assertIn("\\x1b[2J rtsp://door.example\n", traceback)

    def test_mute(self) -> None:
        """The traceback of an error whose text cannot be had can be written too."""
        try:
            raise MuteError
        except MuteError as error:
            made = as_camera_error(error)
        assert isinstance(made, UnexpectedError)
        self.assertIn("MuteError", made.failure.getTraceback())

    def test_expected(self) -> None:
        """A camera's own error is not kept: its traceback would keep the camera."""
        error = CameraError("unplugged")
        made = as_camera_error(error)
        self.assertIsNot(made, error)
        self.assertEqual((type(made), str(made)), (CameraError, "unplugged"))
