"""Metrics for Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.web.browser import PICTURE, WebTestCase, frame
from twistedcam.camera_status import CameraState


class MetricsTests(WebTestCase):
    """C{/metrics}."""

    async def test_metrics(self) -> None:
        """The metrics report frames, viewers and ages."""
        await self.serve()
        stream = await self.send("/stream")
        await self.until(lambda: self.hub.is_watched)
        self.hub.publish(frame(1))
        await self.until(stream.frames)
        self.metrics.on_encoded("desk")(0.004)
        self.clock.advance(1)
        text = (await self.ask("/metrics")).body.decode()
        found = {
            (sample.name, sample.labels.get("camera"), sample.labels.get("encoding")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        self.assertEqual(found["twistedcam_frames_sent_total", "desk", None], 1)
        self.assertEqual(found["twistedcam_viewers", "desk", "jpeg"], 1)
        self.assertEqual(found["twistedcam_viewers", "front door", "jpeg"], 0)
        self.assertEqual(found["twistedcam_capture_seconds_count", "desk", None], 1)
        self.assertEqual(found["twistedcam_viewer_age_seconds_count", "desk", None], 1)
        self.assertGreater(found["twistedcam_sent_bytes_total", "desk", None], len(PICTURE))

    def test_states(self) -> None:
        """The state that the camera is in is 1, all others are 0."""
        self.cameras["desk"].state = CameraState.LOST
        found = {
            sample.labels["state"]: sample.value
            for family in text_string_to_metric_families(self.metrics.render("")[1].decode())
            for sample in family.samples
            if sample.name == "twistedcam_camera_state" and sample.labels["camera"] == "desk"
        }
        self.assertEqual(found, {"closed": 0, "opening": 0, "live": 0, "lost": 1})

    def test_recording(self) -> None:
        """A camera that is recorded has 1, or 0 while that fails; others have neither."""
        status = {"file": None, "bytes": 0, "problem": ""}
        self.cameras["desk"].recording = lambda: status
        for problem, value in (("", 1), ("No space left on device", 0)):
            status["problem"] = problem
            found = {
                sample.labels["camera"]: sample.value
                for family in text_string_to_metric_families(self.metrics.render("")[1].decode())
                for sample in family.samples
                if sample.name == "twistedcam_recording"
            }
            self.assertEqual(found, {"desk": value})

    async def test_accept(self) -> None:
        """An Accept header of any kind is answered."""
        await self.serve()
        for accept in ("application/openmetrics-text; version=x", "text/plain; q=nan", "," * 5000, ";"):
            self.assertEqual((await self.ask("/metrics", Accept=accept)).status, 200, accept)
        request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: \x80\r\n\r\n"
        answer = await self.send_bytes(request)
        await self.until(lambda: answer.lost)
        self.assertEqual(answer.status, 200)
