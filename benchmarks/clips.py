"""
Clips and network cameras: python -m benchmarks.clips [--seconds 10]

Makes a 1080p30 H.264 file, and prints

- the CPU time that a server with one viewer takes to play it, as a file and by RTSP, with that of ffmpeg, which only
  decodes it at the same pace (ffmpeg -re -i FILE -f null -), in turns;
- the age of the pictures at a viewer, by the times that the RTSP server gives them;
- how long 12 cameras take until 8 of them are live, when the other 4 never answer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from fractions import Fraction
from typing import Any

import av
import numpy as np

from benchmarks.processes import cpu_share, free_port, server, watch

_FPS = 30
_TURNS = 3


def write_clip(path: str, seconds: int = 10) -> None:
    """A 1080p30 clip with noise that moves over a gradient, at some 6 Mbit/s."""
    noise = np.random.default_rng(1).integers(0, 60, (1080, 1920 * 2, 3), np.uint8)
    gradient = np.linspace(0, 190, 1920).astype(np.uint8)[None, :, None]
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("libx264", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.bit_rate, stream.options = 6_000_000, {"preset": "ultrafast", "bf": "0", "g": "30"}
        for n in range(seconds * _FPS):
            at = n * 8 % 1920
            frame = av.VideoFrame.from_ndarray(noise[:, at : at + 1920] + gradient, format="bgr24")
            frame.pts, frame.time_base = n, Fraction(1, _FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def serve_rtsp(path: str, port: int) -> None:
    """Send the pictures of the clip by RTSP, for ever."""
    from twisted.internet import reactor

    from tests.capture.rtsp_server import RTSPFactory, split_units

    with av.open(path) as container:
        stream = container.streams.video[0]
        filtered = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = [bytes(part) for packet in container.demux(stream) for part in filtered.filter(packet)]
    units = [split_units(packet) for packet in packets if packet]
    factory: Any = RTSPFactory(units, 1 / _FPS, repeats=True)
    reactor.listenTCP(port, factory, interface="127.0.0.1")
    reactor.run()


def ours(source: str, seconds: float) -> tuple[float, float]:
    """The share of a core that our server takes with one viewer, and the age of its pictures in milliseconds."""
    with server("--camera", source) as serving:
        watch(serving.words, 2 * _FPS)
        viewer = multiprocessing.get_context("spawn").Process(
            target=watch, args=(serving.words, int(_FPS * (seconds + 2))), daemon=True
        )
        viewer.start()
        share = cpu_share(serving.process, seconds)
        viewer.join()
        return share, watch(serving.words, _FPS * 2)["age"]


def ffmpeg(path: str, seconds: float) -> float:
    """The share of a core that ffmpeg takes to decode the clip at its own pace."""
    words = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-re", "-i", path, "-f", "null", "-"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        time.sleep(2)
        share = cpu_share(process.pid, seconds)
        process.kill()
    return share


def live_after(healthy: str) -> float:
    """The seconds until 8 of 12 cameras are live, of which 4 never answer."""
    dead = socket.create_server(("127.0.0.1", 0))
    cameras = [f"dead{n}=http://127.0.0.1:{dead.getsockname()[1]}/" for n in range(4)]
    cameras += [f"live{n}={healthy}" for n in range(8)]
    web = free_port()
    words = [word for camera in cameras for word in ("--camera", camera)]
    with server(*words, "--http", f"tcp:{web}:interface=127.0.0.1"):
        began = time.monotonic()
        for camera in cameras:
            address = f"http://127.0.0.1:{web}/stream/{camera.partition('=')[0]}"
            threading.Thread(target=_read, args=(address,), daemon=True).start()
        while time.monotonic() - began < 60:
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/state") as answer:
                states = [camera["state"] for camera in json.load(answer)["cameras"]]
            if states.count("live") == 8:
                break
            time.sleep(0.02)
        took = time.monotonic() - began
    dead.close()
    return took


def _read(address: str) -> None:
    with contextlib.suppress(OSError), urllib.request.urlopen(address) as stream:
        while stream.read(65536):
            pass


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    if shutil.which("ffmpeg") is None:
        parser.exit(1, "ffmpeg is not installed: apt install ffmpeg\n")
    folder = tempfile.mkdtemp()
    clip = os.path.join(folder, "clip.mp4")
    write_clip(clip)
    port = free_port()
    rtsp = multiprocessing.get_context("spawn").Process(target=serve_rtsp, args=(clip, port), daemon=True)
    rtsp.start()
    url = f"rtsp://127.0.0.1:{port}/"
    try:
        for _ in range(_TURNS):
            theirs = ffmpeg(clip, seconds)
            for name, source in (("file", clip), ("RTSP", url)):
                share, age = ours(source, seconds)
                print(
                    f"{name}: {share:.1%} of a core, ffmpeg {theirs:.1%}, ratio {share / theirs:.2f}; age {age:.1f} ms"
                )
        print(f"8 of 12 cameras, the others dead: live after {live_after(url):.2f} s")
    finally:
        rtsp.kill()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
