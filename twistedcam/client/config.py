"""The viewer's configuration: what its options mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from twistedcam.client.address import Address
from twistedcam.wire.framing import MAX_BYTES_FROM_SERVER, PREFIX


@dataclass(frozen=True)
class ClientConfig:
    """
    The server and camera to watch, what to accept, and what to do with the frames.

    C{camera} is the server's first one if empty, and C{prefix} the form of the lengths that the server writes.
    C{frames} is how many frames to take, C{snapshot} and C{record} are absolute paths, C{snapshot_every} is in seconds;
    0 or an empty string means that it was not asked for.
    """

    address: Address = field(default_factory=Address)
    camera: str = ""
    lists_cameras: bool = False
    adapt: bool = True
    allow_pickle: bool = False
    max_message_bytes: int = MAX_BYTES_FROM_SERVER
    prefix: Struct = PREFIX
    frames: int = 0
    snapshot: str = ""
    snapshot_every: float = 0.0
    record: str = ""
    headless: bool = False

    @property
    def opens_window(self) -> bool:
        """Whether the viewer needs a window."""
        return not self.headless and not self.lists_cameras and not self.snapshot
