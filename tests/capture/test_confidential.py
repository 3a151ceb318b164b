"""Cameras whose errors are shown."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twistedcam.capture.confidential import ConfidentialCamera
from twistedcam.capture.reasons import UnexpectedError, as_camera_error
from twistedcam.capture.target import Target
from twistedcam.capture.urls import parse_url
from twistedcam.errors import BrokenPictureError, CameraError
from twistedcam.interfaces import ICamera
from twistedcam.testing import FakeCamera

URL = "http://me:hunter2@cam/tok3n-in-path?key=tok3n-in-query"


class ConfidentialCameraTests(SynchronousTestCase):
    """L{ConfidentialCamera}."""

    target: Target = parse_url(URL)[1]

    def open(self, camera: Any) -> ConfidentialCamera:
        """A camera with the secrets of the URL."""
        return ConfidentialCamera(lambda: camera, self.target)

    def test_camera(self) -> None:
        """It is the camera, with the attributes that only some have."""
        fake: Any = FakeCamera()
        fake.is_stored = True
        camera: Any = self.open(fake)
        verifyObject(ICamera, camera)
        self.assertEqual((camera.interval, camera.is_stored), (fake.interval, True))
        self.assertIsInstance(camera.grab(), float)
        self.assertEqual(camera.retrieve().shape, fake.retrieve().shape)
        camera.close()
        self.assertFalse(hasattr(camera, "other"))

    def test_errors(self) -> None:
        """Neither the text of an error nor its traceback has a secret, whatever is raised, and its kind is kept."""

        class Failing(FakeCamera):
            def __init__(self, raised: Any) -> None:
                super().__init__()
                self.raised = raised

            def grab(self) -> float:
                raise self.raised

            retrieve = close = grab  # type: ignore[assignment]

        texts = (f"cannot open {URL}", "hunter2 is wrong", "GET /tok3n-in-path: 404", "tok3n-in-query has expired")
        for kind in (CameraError, BrokenPictureError, ValueError, SystemExit, KeyboardInterrupt, CancelledError):
            for error in map(kind, texts):
                camera = self.open(Failing(error))
                for call in (camera.grab, camera.retrieve, camera.close):
                    caught = self.assertRaises(CameraError, call)
                    self.assertIs(type(caught), kind if issubclass(kind, CameraError) else UnexpectedError)
                    self.assert_hidden(as_camera_error(caught))

    def assert_hidden(self, error: CameraError) -> None:
        """Check what of an error is shown."""
        shown = str(error)
        if isinstance(error, UnexpectedError):
            shown += error.failure.getTraceback()
            self.assertIn("test_confidential.py", shown)
        for secret in ("hunter2", "tok3n"):
            self.assertNotIn(secret, shown)

    def test_opening(self) -> None:
        """So it is when the camera is opened, or its interval read."""

        class NoInterval:
            def __getattr__(self, name: str) -> Any:
                raise OSError(f"{URL} is busy")

        def refuse() -> ICamera:
            raise OSError(f"{URL} is busy")

        for open_camera in (refuse, NoInterval):
            caught = self.assertRaises(CameraError, ConfidentialCamera, open_camera, self.target)
            self.assertEqual(str(caught), "OSError: http://cam is busy")
