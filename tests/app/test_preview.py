"""The server's preview window."""

from __future__ import annotations

import os

import numpy as np
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.client.fakes import PromptThread
from twistedcam.app.listener import StartError
from twistedcam.app.preview import Preview, find_display_problem
from twistedcam.codec import encode_jpeg
from twistedcam.frame import stamp
from twistedcam.hub import Hub
from twistedcam.interfaces import ISink
from twistedcam.testing import RecordingDisplay, SteppedReactor


class PreviewTests(SynchronousTestCase):
    """A window that watches a hub."""

    def setUp(self) -> None:
        self.clock, self.display, self.hub = SteppedReactor(), RecordingDisplay(), Hub()
        self.preview = Preview(self.clock, self.hub, self.display, PromptThread)

    def test_preview(self) -> None:
        """It watches like a viewer until q closes it, and stopping after that does no harm."""
        verifyObject(ISink, self.preview)
        self.preview.startService()
        self.hub.publish(stamp(encode_jpeg(np.zeros((48, 64, 3), np.uint8)), "desk", 1, 0.0))
        self.clock.advance(0)
        self.assertEqual(len(self.display.images), 2)
        self.display.keys.append("q")
        self.clock.advance(0.1)
        self.assertTrue(self.display.closed)
        self.assertFalse(self.hub.is_watched)
        self.preview.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """Stopping closes the window, and a preview that was never started can be stopped."""
        self.preview.stopService()
        self.preview.startService()
        self.preview.stopService()
        self.assertTrue(self.display.closed)
        self.assertFalse(self.hub.is_watched)

    def test_no_display(self) -> None:
        """Without a display it can be constructed, but not started."""
        self.patch(os, "environ", {})
        preview = Preview(self.clock, self.hub)
        self.assertRaisesRegex(StartError, "^--preview: no window can open", preview.startService)
        self.assertIn("no window can open", find_display_problem())
