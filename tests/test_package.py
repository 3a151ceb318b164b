"""The public names of the package."""

from __future__ import annotations

from importlib.metadata import version

from twisted.trial.unittest import SynchronousTestCase

import twistedcam
from twistedcam.access.sharekey import KeyTextError
from twistedcam.client.display import DisplayError
from twistedcam.client.snapshot import SnapshotError
from twistedcam.codec import CodecError
from twistedcam.errors import AccessDeniedError, CameraError, TwistedcamError
from twistedcam.frame import FrameError
from twistedcam.recording import RecordingError


class PackageTests(SynchronousTestCase):
    """The public names."""

    def test_names(self) -> None:
        """Each name exists, and any other is an AttributeError."""
        for name in twistedcam.__all__:
            self.assertIsNotNone(getattr(twistedcam, name))
        self.assertEqual(twistedcam.__version__, version("twistedcam"))
        self.assertRaises(AttributeError, getattr, twistedcam, "nothing")

    def test_errors(self) -> None:
        """The package's errors have one root."""
        for error in (
            AccessDeniedError,
            CameraError,
            CodecError,
            DisplayError,
            FrameError,
            KeyTextError,
            RecordingError,
            SnapshotError,
            twistedcam.ServeError,
            twistedcam.WatchError,
        ):
            self.assertTrue(issubclass(error, TwistedcamError), error)
