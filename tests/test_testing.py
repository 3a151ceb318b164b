"""The fakes provide the interfaces they stand in for."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from twistedcam.errors import CameraError
from twistedcam.frame import Frame
from twistedcam.interfaces import ICamera, IDisplay, ISink
from twistedcam.testing import FakeCamera, RecordingDisplay, RecordingSink, SteppedReactor, SteppedThread


class FakeTests(TestCase):
    """Each fake."""

    def test_interfaces(self) -> None:
        """Each fake provides its interface."""
        verifyObject(ICamera, FakeCamera())
        verifyObject(ISink, RecordingSink())
        verifyObject(IDisplay, RecordingDisplay())

    def test_camera(self) -> None:
        """A fake camera repeats its images by the clock that it is given, and fails once C{error} is set."""
        first, second = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
        camera = FakeCamera(first, second)
        camera.now = lambda: 5.0
        self.assertEqual(camera.grab(), 5.0)
        for image in (first, second, first):
            self.assertIs(camera.retrieve(), image)
        camera.error = CameraError("unplugged")
        self.assertRaises(CameraError, camera.grab)
        self.assertRaises(CameraError, camera.retrieve)
        camera.close()
        self.assertTrue(camera.closed)

    def test_sink_and_display(self) -> None:
        """The sink and the display keep what they are given."""
        sink, display, image = RecordingSink(), RecordingDisplay(), np.zeros((2, 2, 3), np.uint8)
        sink.begin(Frame(b""))
        sink.ready = False
        self.assertEqual((sink.frames, sink.may_begin()), ([Frame(b"")], False))
        display.show(image)
        display.keys.append("q")
        display.toggle_full_screen()
        self.assertEqual((display.key(), display.key(), display.full_screen), ("q", "", True))
        self.assertEqual((len(display.images), display.is_open()), (1, True))
        display.close()
        self.assertTrue(display.closed)

    def test_thread(self) -> None:
        """A stepped thread does one piece of work in each step, and reports its outcome."""
        thread = SteppedThread()
        told: list[tuple[bool, object]] = []
        thread.callInThreadWithCallback(lambda *outcome: told.append(outcome), lambda: 5)
        thread.callInThreadWithCallback(lambda success, failure: told.append((success, failure.type)), lambda: 1 / 0)
        self.assertEqual(told, [])
        self.assertEqual([thread.step() for _ in range(3)], [True, True, False])
        self.assertEqual(told, [(True, 5), (False, ZeroDivisionError)])
        self.assertIs(SteppedReactor().getThreadPool().stopped, False)
