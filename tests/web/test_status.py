"""The state of the service as JSON."""

from __future__ import annotations

import json
import time

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.web.browser import FakeStatus, WebTestCase, frame
from twistedcam.camera_status import CameraState, ICameraStatus
from twistedcam.testing import RecordingSink
from twistedcam.web.status import state


class StateTests(SynchronousTestCase):
    """The state of cameras, as an object."""

    def test_fake(self) -> None:
        """The fake of these tests provides the interface."""
        verifyObject(ICameraStatus, FakeStatus("desk"))

    def test_camera(self) -> None:
        """The state of a camera is reported, as of the time that is given."""
        camera = FakeStatus("desk")
        camera.state, camera.reason, camera.since = CameraState.LOST, "unplugged", 900.0
        camera.meter.add(999.5)
        found = state({"desk": camera}, 1000.0)
        self.assertEqual(found["clock"], 1000.0)
        (told,) = found["cameras"]
        expected = {"name": "desk", "state": "lost", "reason": "unplugged", "since": 900.0, "fps": 0.5, "viewers": []}
        self.assertEqual({key: told[key] for key in expected}, expected)
        self.assertIs(told["stored"], False)
        json.dumps(found)

    def test_stored(self) -> None:
        """A camera that plays stored pictures is reported as such."""
        camera = FakeStatus("clip")
        camera.is_stored = True
        self.assertIs(state({"clip": camera}, 0.0)["cameras"][0]["stored"], True)

    def test_recording(self) -> None:
        """A camera that is recorded has the state of its recording, and any other has none."""
        cameras = {name: FakeStatus(name) for name in ("desk", "door")}
        recording = {"file": "desk-20260101-000000.mkv", "bytes": 7, "problem": ""}
        cameras["desk"].recording = lambda: recording
        desk, door = state(cameras, 0.0)["cameras"]
        self.assertEqual((desk["recording"], door["recording"]), (recording, None))

    def test_viewers(self) -> None:
        """Each viewer is reported with its encoding, frames and bytes, even before it is sent anything."""
        camera = FakeStatus("desk")
        camera.hubs["jpeg"].attach(RecordingSink(), "first")
        published = frame(1)
        camera.hubs["jpeg"].publish(published)
        camera.hubs["jpeg/2"].attach(RecordingSink(), "second")
        first, second = state({"desk": camera}, time.time())["cameras"][0]["viewers"]
        self.assertEqual((first["address"], first["encoding"], first["sent"]), ("first", "jpeg", 1))
        self.assertEqual(first["bytes"], len(published.payload))
        self.assertEqual((second["address"], second["encoding"], second["age"]), ("second", "jpeg/2", None))


class StateOverHTTPTests(WebTestCase):
    """C{/state}."""

    async def test_state(self) -> None:
        """The state has each camera and each viewer, even one that has not been sent anything."""
        await self.serve()
        stream = await self.send("/stream/desk")
        await self.until(lambda: self.hub.is_watched)
        self.hub.publish(frame(1))
        await self.until(stream.frames)
        self.cameras["desk"].hubs["jpeg/2"].attach(None, "somebody")  # type: ignore[arg-type]
        said = json.loads((await self.ask("/state")).body)
        self.assertLess(abs(said["clock"] - time.time()), 5)
        self.assertEqual([camera["name"] for camera in said["cameras"]], ["desk", "front door"])
        first, second = said["cameras"][0]["viewers"]
        self.assertEqual((first["encoding"], first["sent"], first["dropped"]), ("jpeg", 1, 0))
        self.assertRegex(first["address"], r"http 127\.0\.0\.1:\d+")
        self.assertTrue(0 <= first["age"] < 5)
        self.assertEqual((second["address"], second["age"]), ("somebody", None))
        self.assertIn("twisted", said["versions"])
