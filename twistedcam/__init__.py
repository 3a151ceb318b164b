"""A live-camera service: every viewer sees the camera as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twistedcam.serving import ServeError, serve
    from twistedcam.watching import Client, WatchError, watch

__all__ = ["Client", "ServeError", "WatchError", "serve", "watch"]

_MODULES = {
    "Client": "twistedcam.watching",
    "WatchError": "twistedcam.watching",
    "watch": "twistedcam.watching",
    "ServeError": "twistedcam.serving",
    "serve": "twistedcam.serving",
}


def __getattr__(name: str) -> Any:
    # Only what is asked for is imported: the commands start the sooner.
    if name not in _MODULES:
        raise AttributeError(f"module 'twistedcam' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
