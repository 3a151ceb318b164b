"""A live-camera service: every viewer sees the camera as it is now. The public names are listed in docs/python.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twistedcam.app.serve import ServeError, serve
    from twistedcam.app.watch import Client, WatchError, watch

__all__ = ["Client", "ServeError", "WatchError", "serve", "watch"]
__version__ = "0.1.0"

_MODULES = {
    "Client": "twistedcam.app.watch",
    "WatchError": "twistedcam.app.watch",
    "watch": "twistedcam.app.watch",
    "ServeError": "twistedcam.app.serve",
    "serve": "twistedcam.app.serve",
}


def __getattr__(name: str) -> Any:
    # Imported when first used: the commands start faster.
    if name not in _MODULES:
        raise AttributeError(f"module 'twistedcam' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
