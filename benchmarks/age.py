"""
The age of pictures on one machine, and its cost: python -m benchmarks.age [--viewers 1,10,100,500,2000] [--tls]

The test card at 640 x 480, 30 a second, from the real server to one real headless viewer, which reports the ages, and
to further connections that one process reads. The server has one core and the viewers have the others, because they
stand for other machines. CPU time is that of the server, including camera and encoding, as a share of one core. The
times of encoding and decoding such a picture are printed as well: the lowest age possible.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.fanout import Reader, read_plainly
from benchmarks.processes import Server, allow_many_connections, cpu_share, memory, milliseconds, server, watch
from twistedcam.capture.cards import TestCard
from twistedcam.codec import decode, encode_jpeg
from twistedcam.frame import Frame

_FPS = 30

_first, *_others = sorted(os.sched_getaffinity(0))
_SERVERS_CORE = ("taskset", "-c", str(_first))
_VIEWERS_CORES = ("taskset", "-c", ",".join(map(str, _others or [_first])))


def measure(serving: Server, viewers: int, frames: int) -> str:
    """A row of the table, for one viewer that looks at its pictures, and others that only read."""
    crowd: list[Reader] = []
    if viewers > 1:
        crowd.append(read_plainly(serving.port, viewers - 1, frames / _FPS + 5, _VIEWERS_CORES))
        crowd[0].settled()  # at first each link is sampled for each frame
    with ThreadPoolExecutor() as pool:
        seeing = pool.submit(watch, serving.words, frames, _VIEWERS_CORES)
        time.sleep(2)
        share = cpu_share(serving.process, frames / _FPS - 3)
        held = memory(serving.process)
        seen = seeing.result()
    for reader in crowd:
        reader.end()
    return (
        f"{viewers} viewers: age median {seen['age']:.1f} ms, p99 {seen['age_p99']:.1f} ms, {seen['fps']:.2f} fps, "
        f"{seen['dropped']:.0f} dropped; CPU {share:.1%}, {held:.1f} MB"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--viewers", default="1,500")
    parser.add_argument("--tls", action="store_true", help="as --share does; for one viewer")
    options = parser.parse_args()
    allow_many_connections()
    words = ("--camera", "test", "--width", "640", "--max-viewers", "10000", *(["--share"] if options.tls else []))
    with server(*words, end=_SERVERS_CORE) as serving:
        watch(serving.words, 10)  # the camera is open from here on
        for viewers in map(int, options.viewers.split(",")):
            print(measure(serving, viewers, options.frames), flush=True)
    image = TestCard().retrieve()
    frame = Frame.from_jpeg(encode_jpeg(image))
    encode, decoding = milliseconds(lambda: encode_jpeg(image)), milliseconds(lambda: decode(frame))
    print(
        f"encoding takes {encode:.1f} ms of that, decoding {decoding:.1f} ms more; {len(frame.payload)} bytes a picture"
    )


if __name__ == "__main__":
    main()
