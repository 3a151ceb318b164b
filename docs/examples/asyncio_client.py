"""
A camera in an asyncio program: its pictures are read in a thread, and other tasks run meanwhile.

    python asyncio_client.py [SERVER [PICTURES]]
"""

from __future__ import annotations

import asyncio
import sys

import twistedcam


async def show(server: str, pictures: int) -> None:
    """Print the size and the age of each picture."""
    client = await asyncio.to_thread(twistedcam.Client, server)
    try:
        while pictures:
            done, image = await asyncio.to_thread(client.read)
            if not done or image is None or client.frame is None:
                print(client.problem)
                continue
            print(image.shape, f"{client.frame.age or 0.0:.3f} s old")
            pictures -= 1
    finally:
        await asyncio.to_thread(client.close)


async def tick() -> None:
    """Another task, which the pictures do not hold up."""
    while True:
        print("tick")
        await asyncio.sleep(0.1)


async def main() -> None:
    """Run both tasks until the pictures are shown."""
    server = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9999"
    ticking = asyncio.create_task(tick())
    await show(server, int(sys.argv[2]) if len(sys.argv) > 2 else 100)
    ticking.cancel()


if __name__ == "__main__":
    asyncio.run(main())
