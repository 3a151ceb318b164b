"""
Frames in an asyncio program, without a thread: python asyncio_reactor.py [ADDRESS [COUNT]]

Twisted's reactor runs in asyncio's loop.
"""

import asyncio
import sys

from twisted.internet import asyncioreactor
from twisted.internet.defer import Deferred

loop = asyncio.new_event_loop()
asyncioreactor.install(loop)  # before anything imports the reactor

from twisted.internet import reactor  # noqa: E402

import twistedcam  # noqa: E402


async def main(address: str = "127.0.0.1", count: str = "100") -> None:
    """Show what comes."""
    frames = twistedcam.watch(reactor, address)
    for _ in range(int(count)):
        frame = await Deferred.fromCoroutine(anext(frames)).asFuture(loop)
        print(f"{frame.camera} #{frame.sequence}, {(frame.age or 0) * 1000:.0f} ms old")


task = loop.create_task(main(*sys.argv[1:]))
task.add_done_callback(lambda _: reactor.stop())
reactor.run()
task.result()
