"""Messages as any peer may send them: arbitrary JSON."""

from __future__ import annotations

import json
from typing import Any

from twistedcam.wire.framing import pack


def pack_json(message: dict[str, Any]) -> bytes:
    """A JSON object as it goes over the wire."""
    return pack(json.dumps(message, separators=(",", ":")).encode())
