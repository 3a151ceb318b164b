"""The Pi's own camera, with a stand-in for picamera2."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, ClassVar
from unittest import mock

import numpy as np
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twistedcam import plugin
from twistedcam.capture.mode import Mode
from twistedcam.capture.picamera import PiCamera, open_picamera
from twistedcam.errors import CameraError
from twistedcam.interfaces import ICamera, IModeCameraPlugin


class FakeRequest:
    """Stands in for a C{CompletedRequest} of picamera2."""

    def __init__(self, device: FakePicamera2) -> None:
        self.device = device
        device.requests += 1

    def make_array(self, name: str) -> Any:
        assert name == "main"
        width, height = self.device.configured["main"]["size"]
        return np.full((height, width, 3), (200, 100, 0), np.uint8)

    def get_metadata(self) -> dict[str, int]:
        return {} if self.device.stamp is None else {"SensorTimestamp": self.device.stamp}

    def release(self) -> None:
        self.device.requests -= 1


class FakePicamera2:
    """Stands in for C{picamera2.Picamera2}."""

    cameras: ClassVar[list[dict[str, Any]]] = [{"Model": "imx708", "Num": 0}]
    opened: ClassVar[list[FakePicamera2]] = []
    is_busy = False

    def __init__(self) -> None:
        if self.is_busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.requests = 0
        self.stamp: int | None = None
        self.calls: list[str] = []
        self.configured: dict[str, Any] = {}
        self.camera_controls = {
            "AeEnable": (False, True, True),
            "Brightness": (-1.0, 1.0, 0.0),
            "ExposureTime": (1, 66666, None),
            "ScalerCrop": ((0, 0, 64, 64), (0, 0, 4608, 2592), None),
        }
        self.opened.append(self)

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.cameras

    def create_video_configuration(self, **options: Any) -> dict[str, Any]:
        return options

    def configure(self, options: dict[str, Any]) -> None:
        self.configured = options

    def start(self) -> None:
        self.calls.append("start")

    def close(self) -> None:
        self.calls.append("close")

    def capture_request(self) -> FakeRequest:
        return FakeRequest(self)


class PiCameraTestCase(SynchronousTestCase):
    """A test on a Pi."""

    def setUp(self) -> None:
        module = ModuleType("picamera2")
        module.Picamera2 = FakePicamera2  # type: ignore[attr-defined]
        self.patch(FakePicamera2, "opened", [])
        self.install(module)

    def install(self, module: ModuleType | None) -> None:
        """Make C{picamera2} this module until the end of the test, or an import that fails."""
        modules = mock.patch.dict(sys.modules, {"picamera2": module})
        modules.start()
        self.addCleanup(modules.stop)


class OpenTests(PiCameraTestCase):
    """The mode in which it is opened, and why it cannot be."""

    def refused(self, mode: Mode = Mode()) -> str:
        """Why it is not opened; what was opened is closed again."""
        with self.assertRaises(CameraError) as caught:
            open_picamera(mode)
        for device in FakePicamera2.opened:
            self.assertEqual(device.calls, ["close"])
        return str(caught.exception)

    def test_mode(self) -> None:
        """Size, rate and controls are those asked for, in the types that libcamera has for them."""
        open_picamera(Mode((640, 480), 25, controls=(("AeEnable", 0), ("Brightness", 1), ("ExposureTime", 5000))))
        (device,) = FakePicamera2.opened
        self.assertEqual(device.calls, ["start"])
        self.assertEqual(device.configured["main"], {"size": (640, 480), "format": "RGB888"})
        self.assertIs(device.configured["queue"], False)
        limits = {"FrameDurationLimits": (40000, 40000)}
        controls = {"AeEnable": False, "Brightness": 1.0, "ExposureTime": 5000} | limits
        self.assertEqual(device.configured["controls"], controls)
        self.assertEqual([type(value) for value in device.configured["controls"].values()], [bool, float, int, tuple])

    def test_plugin(self) -> None:
        """It is found as a plugin by its name, and is given the mode; without one it has its default."""
        verifyObject(IModeCameraPlugin, plugin.find_plugin("picamera"))
        plugin.open_plugin("picamera", Mode((320, 240)))
        plugin.open_plugin("picamera")
        sizes = [device.configured["main"]["size"] for device in FakePicamera2.opened]
        self.assertEqual(sizes, [(320, 240), (1280, 720)])

    def test_missing_package(self) -> None:
        """Without picamera2 the error says how it is installed."""
        self.install(None)
        message = self.refused()
        self.assertIn("sudo apt install python3-picamera2", message)
        self.assertIn("--system-site-packages", message)

    def test_no_camera(self) -> None:
        """A Pi without a camera, and one whose camera another program has."""
        self.patch(FakePicamera2, "is_busy", True)
        self.assertIn("in use by another program", self.refused())
        self.patch(FakePicamera2, "cameras", [])
        self.assertIn("no Pi camera was found; check its cable", self.refused())

    def test_controls(self) -> None:
        """The error of a control says what there is, and that of a value says which there are."""
        known = "AeEnable, Brightness, ExposureTime, ScalerCrop"
        for wanted, message in (
            (("brightness", 1), f"the Pi's camera has no control 'brightness'; it has {known}"),
            (("Brightness", 2), "the control Brightness of the Pi's camera cannot be 2, it is -1.0 to 1.0"),
            (("ScalerCrop", 2), "the control ScalerCrop of the Pi's camera is not a number, and cannot be set here"),
        ):
            self.assertEqual(self.refused(Mode(controls=(wanted,))), message)
        self.assertIn("pixel format cannot be chosen", self.refused(Mode(format="MJPG")))


class PictureTests(PiCameraTestCase):
    """Its pictures."""

    def setUp(self) -> None:
        super().setUp()
        open_picamera(Mode((64, 48)))
        (self.device,) = FakePicamera2.opened
        self.camera = PiCamera(self.device, monotonic=lambda: 100.0, boottime=lambda: 5000.0)

    def test_picture(self) -> None:
        """Pictures are as the camera gives them, blue first; every request is given back."""
        verifyObject(ICamera, self.camera)
        self.camera.grab()
        image = self.camera.retrieve()
        self.assertEqual((image.shape, image[0, 0].tolist()), ((48, 64, 3), [200, 100, 0]))
        self.assertEqual(self.device.requests, 0)
        self.camera.close()
        self.assertEqual(self.device.calls, ["start", "close"])

    def test_time(self) -> None:
        """The time of capture is that of the sensor, which has another clock; without it, that of delivery."""
        for stamp, taken in ((4999.95, 99.95), (4000.0, 100.0), (5000.5, 100.0), (None, 100.0)):
            self.device.stamp = None if stamp is None else int(stamp * 1e9)
            self.assertAlmostEqual(self.camera.grab(), taken)
