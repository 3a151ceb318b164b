"""
Pictures in an asyncio program, each in a NumPy array: python asyncio_thread.py [ADDRESS [COUNT]]

The client's connection runs in a thread of its own, and so does each wait for a picture.
"""

import asyncio
import sys

import twistedcam


async def main(address: str = "127.0.0.1", count: str = "100") -> None:
    """Show what comes."""
    with twistedcam.Client(address) as client:
        for _ in range(int(count)):
            is_there, _image = await asyncio.to_thread(client.read)
            frame = client.frame
            if is_there and frame is not None:
                print(f"{frame.camera} #{frame.sequence}, {(frame.age or 0) * 1000:.0f} ms old")
            else:
                print(client.problem or "no signal")


asyncio.run(main(*sys.argv[1:]))
