"""The controls of a device, set by their names."""

from __future__ import annotations

import sys

from tests.capture.fake_v4l2 import BITMASK, BOOLEAN, BUTTON, MENU, READ_ONLY, FakeControl, FakeDriverTestCase, FakeNode
from twistedcam.capture.controls import set_controls
from twistedcam.capture.v4l2 import Node
from twistedcam.errors import CameraError


class ControlTests(FakeDriverTestCase):
    """Controls of a webcam."""

    if sys.platform != "linux":
        skip = "V4L2 is Linux's"

    def setUp(self) -> None:
        super().setUp()
        exposures = {1: "Manual Mode", 3: "Aperture Priority Mode"}
        self.node = FakeNode(
            controls=[
                FakeControl("Brightness", least=-64, most=64),
                FakeControl("Auto Exposure", MENU, most=3, value=3, items=exposures),
                FakeControl("Exposure Time, Absolute", least=1, most=5000, step=3, master=("Auto Exposure", 3)),
                FakeControl("White Balance, Automatic", BOOLEAN, most=1),
                FakeControl("Serial", flags=READ_ONLY),
                FakeControl("Bits", BITMASK, most=0x80000005 - (1 << 32)),
                FakeControl("Reset", BUTTON, most=0, step=0),
                FakeControl("Camera Controls", 6, most=0, step=0),
            ]
        )
        self.path = self.add("video0", self.node)

    def set(self, *wanted: tuple[str, int]) -> list[tuple[str, int]]:
        """Set controls, and return what the driver was given."""
        self.node.sets.clear()
        with Node(self.path) as node:
            set_controls(self.path, node, wanted)
        return self.node.sets

    def refused(self, *wanted: tuple[str, int]) -> str:
        """The error, without the path, of controls that are refused."""
        with self.assertRaises(CameraError) as caught:
            self.set(*wanted)
        return str(caught.exception).removeprefix(self.path)

    def test_set(self) -> None:
        """Controls are set by the names that v4l2-ctl gives them, negative values and bits as well."""
        wanted = (("brightness", -64), ("white_balance_automatic", 1), ("bits", 0x80000001), ("reset", 1))
        names = ["Brightness", "White Balance, Automatic", "Bits", "Reset"]
        values = [-64, 1, 0x80000001 - (1 << 32), 1]
        self.assertEqual(self.set(*wanted), list(zip(names, values, strict=True)))

    def test_order(self) -> None:
        """A control that another one makes active is set after it, in whichever order they are given."""
        pairs = (("auto_exposure", 1), ("exposure_time_absolute", 100))
        for wanted in (pairs, pairs[::-1]):
            self.node.controls[1].value = 3
            self.assertEqual(self.set(*wanted), [("Auto Exposure", 1), ("Exposure Time, Absolute", 100)])

    def test_unknown(self) -> None:
        """The error of an unknown control names those that there are, and nothing is set."""
        message = self.refused(("brightness", 1), ("zoom", 1))
        names = "brightness, auto_exposure, exposure_time_absolute, white_balance_automatic, serial, bits, reset"
        self.assertEqual(message, f" has no control 'zoom'; it has {names}")
        self.assertEqual(self.node.sets, [])
        self.node.controls.clear()
        self.assertEqual(self.refused(("zoom", 1)), " has no control 'zoom'; it has none")

    def test_values(self) -> None:
        """The error of a value names those that it may have."""
        for name, value, message in (
            ("brightness", 65, "cannot be 65, it is -64 to 64"),
            ("auto_exposure", 2, "cannot be 2, it is one of 1 (Manual Mode), 3 (Aperture Priority Mode)"),
            ("bits", 2, "cannot be 2, its bits are those of 2147483653"),
            ("serial", 1, "can only be read"),
        ):
            self.assertEqual(self.refused((name, value)), f": the control {name} {message}")
        message = self.refused(("auto_exposure", 1), ("exposure_time_absolute", 3))
        self.assertEqual(message, ": the control exposure_time_absolute cannot be 3, it is 1 to 5000 in steps of 3")

    def test_inactive(self) -> None:
        """The error of an inactive control names those that may have made it so."""
        message = self.refused(("exposure_time_absolute", 100))
        self.assertIn("is inactive, because an automatic one (auto_exposure, white_balance_automatic) is on", message)

    def test_refused_by_the_device(self) -> None:
        """What the driver refuses is told with its reason."""
        self.node.controls[0].kind = 1

        def fail(argument: bytearray) -> None:
            raise OSError(5, "Input/output error")

        self.node._set = fail  # type: ignore[method-assign]
        message = self.refused(("brightness", 3))
        self.assertEqual(message, ": the control brightness cannot be set to 3: Input/output error")
