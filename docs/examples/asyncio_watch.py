"""
A camera in an asyncio program without threads: Twisted and asyncio run on one event loop.

    python asyncio_watch.py [SERVER [FRAMES]]
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from twisted.internet import asyncioreactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

import twistedcam
from twistedcam.frame import Frame


async def frames(reactor: Any, server: str, camera: str = "") -> AsyncGenerator[Frame, None]:
    """The frames of a camera for a task of asyncio's, which waits for futures where Twisted waits for Deferreds."""
    loop = asyncio.get_running_loop()
    async with aclosing(twistedcam.watch(reactor, server, camera)) as found:
        while True:
            yield await Deferred.fromCoroutine(anext(found)).asFuture(loop)


async def main(reactor: Any) -> None:
    """Print the number, the age and the size of each frame. Everything of asyncio's can be used here."""
    server = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9999"
    left = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    async with aclosing(frames(reactor, server)) as found:
        async for frame in found:
            print(frame.sequence, f"{frame.age or 0.0:.3f} s old", len(frame.payload), "bytes of JPEG")
            await asyncio.sleep(0.01)
            left -= 1
            if not left:
                break


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncioreactor.install(loop)  # before anything imports twisted.internet.reactor
    react(lambda reactor: Deferred.fromFuture(loop.create_task(main(reactor))))
