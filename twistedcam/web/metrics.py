"""Metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from twistedcam.camera_status import CameraState, ICameraStatus
from twistedcam.hub import Tally
from twistedcam.web.status import VERSIONS, outlets

# Frames arrive within milliseconds on a fast link, and within seconds on the thinnest.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SAMPLE_SECONDS = 1.0


class Metrics(Service, Collector):
    """
    What Prometheus scrapes: counted where it happens, and read when it is scraped.

    The age of what each viewer was last sent, and its frame rate, are sampled once a second: noting them for each frame
    would cost as much as sending it.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._cameras: dict[str, ICameraStatus] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._capture_seconds = Histogram(
            "twistedcam_capture_seconds",
            "From the moment a picture was taken to its frame.",
            ["camera"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._age_seconds = Histogram(
            "twistedcam_viewer_age_seconds",
            "Age of the picture that a viewer was last sent, of each viewer once a second.",
            ["camera"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._sampling = LoopingCall(self._sample)
        self._sampling.clock = clock

    def watch_over(self, camera: ICameraStatus) -> None:
        """Include C{camera}."""
        self._cameras[camera.name] = camera

    def on_encoded(self, camera: str) -> Callable[[float], None]:
        """A function to be called with the seconds that each picture of C{camera} took to become a frame."""
        return self._capture_seconds.labels(camera).observe

    def startService(self) -> None:
        """Begin to sample."""
        super().startService()
        self._sampling.start(_SAMPLE_SECONDS, now=False)

    def stopService(self) -> None:
        """Sample no more."""
        super().stopService()
        self._sampling.stop()

    def _sample(self) -> None:
        now = self._sampling.clock.seconds()
        for name, camera in self._cameras.items():
            ages = self._age_seconds.labels(name)
            for _, outlet in outlets(camera):
                outlet.sample(now)
                if outlet.newest is not None:
                    ages.observe(outlet.newest.age or 0.0)

    def render(self, accept: str) -> tuple[str, bytes]:
        """The content type and the metrics, in the format that the Accept header asks for."""
        try:
            encode, kind = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is no number, as in "version=x"
            encode, kind = choose_encoder("")
        return kind, encode(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The metrics that are counted elsewhere."""
        yield InfoMetricFamily("twistedcam", "Versions.", VERSIONS)
        for name, text, read in _COUNTERS:
            family = CounterMetricFamily(f"twistedcam_{name}", text, labels=["camera"])
            for camera in self._cameras.values():
                family.add_metric([camera.name], read(camera))
            yield family
        viewers = GaugeMetricFamily("twistedcam_viewers", "Viewers that watch now.", labels=["camera", "encoding"])
        live = GaugeMetricFamily(
            "twistedcam_camera_state", "1 for the state the camera is in.", labels=["camera", "state"]
        )
        recorded = GaugeMetricFamily(
            "twistedcam_recording", "1 for a camera that is recorded, 0 while that fails.", labels=["camera"]
        )
        for camera in self._cameras.values():
            for encoding, hub in camera.hubs.items():
                viewers.add_metric([camera.name, encoding], len(hub))
            for one in CameraState:
                live.add_metric([camera.name, one], float(camera.state == one))
            if camera.recording is not None:
                recorded.add_metric([camera.name], float(not camera.recording()["problem"]))
        yield viewers
        yield live
        yield recorded


def _tally(camera: ICameraStatus) -> Tally:
    total = Tally()
    for hub in camera.hubs.values():
        total.add(hub.tally())
    return total


_COUNTERS: tuple[tuple[str, str, Callable[[Any], float]], ...] = (
    ("frames_captured", "Pictures taken from the camera.", lambda camera: camera.grabbed),
    ("frames_encoded", "Frames made of them, one for each encoding in use.", lambda camera: camera.encoded),
    ("frames_broken", "Pictures that could not be used.", lambda camera: camera.broken),
    ("camera_losses", "Times the camera was lost.", lambda camera: camera.losses),
    ("frames_sent", "Frames sent to viewers.", lambda camera: _tally(camera).begun),
    ("frames_dropped", "Frames that a newer one replaced before a viewer took them.", lambda c: _tally(c).dropped),
    ("sent_bytes", "Bytes of frames sent to viewers.", lambda camera: _tally(camera).sent_bytes),
)
