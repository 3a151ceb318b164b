"""Sets the V4L2 controls of a device, such as its exposure, by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twistedcam.capture.v4l2 import Node
from twistedcam.capture.v4l2_types import Control
from twistedcam.errors import CameraError


def set_controls(path: str, node: Node, wanted: Sequence[tuple[str, int]]) -> None:
    """
    Set the controls C{wanted}, pairs of a name and a value, of the device at C{path}.

    One that is inactive is set after those that make it active, whatever the order. Raises L{CameraError}.
    """
    left = list(wanted)
    while left:
        controls = node.controls()  # anew: each that is set may change others' state and range
        for name, _ in left:
            if name not in controls:
                raise CameraError(f"{path} has no control {name!r}; {_those_of(controls)}")
        name, value = next((pair for pair in left if not controls[pair[0]].is_inactive), left[0])
        left.remove((name, value))
        control = controls[name]
        problem = _state_problem(control, controls) or _value_problem(node, control, value)
        if problem:
            raise CameraError(f"{path}: the control {name} {problem}")
        _set(path, node, control, value)


def _set(path: str, node: Node, control: Control, value: int) -> None:
    try:
        node.set(control, value)
    except OSError as error:
        raise CameraError(f"{path}: the control {control.name} cannot be set to {value}: {error.strerror}") from None


def _those_of(controls: Mapping[str, Control]) -> str:
    return f"it has {', '.join(controls)}" if controls else "it has none"


def _state_problem(control: Control, controls: Mapping[str, Control]) -> str:
    if control.is_read_only:
        return "can only be read"
    if control.is_inactive:
        automatic = [name for name in controls if "auto" in name and not controls[name].is_inactive]
        which = f" ({', '.join(automatic)})" if automatic else ""
        return f"is inactive, because an automatic one{which} is on: switch that off as well"
    return ""


def _value_problem(node: Node, control: Control, value: int) -> str:
    if control.is_button:
        return ""
    if control.is_menu:
        items = node.menu(control)
        listed = ", ".join(f"{index} ({text})" for index, text in items.items())
        return "" if value in items else f"cannot be {value}, it is one of {listed}"
    if control.is_bitmask:
        bits = control.most & 0xFFFFFFFF
        return "" if value & ~bits == 0 else f"cannot be {value}, its bits are those of {bits}"
    if not control.least <= value <= control.most:
        return f"cannot be {value}, it is {range_of(control)}"
    if control.step > 1 and (value - control.least) % control.step:
        return f"cannot be {value}, it is {range_of(control)}"
    return ""


def range_of(control: Control) -> str:
    """The values of a control that is a number: C{0 to 255}."""
    steps = f" in steps of {control.step}" if control.step > 1 else ""
    return f"{control.least} to {control.most}{steps}"
