"""
Servers to compare with, and a viewer for each: python -m benchmarks.peers serve|watch NAME --host HOST --port PORT

- ours: the server's own factory, hub and protocol; its viewer is twistedcam.watch
- tls: the same over TLS, as --share has it
- http: the same as the stream of our web server
- ungated: ours without pacing, with the kernel's default buffers
- tutorial: the tutorial's loop, pickled pictures 320 pixels wide with sendall to one viewer
- sendall: a thread for each viewer that sends it the newest picture with sendall, which is also uStreamer's rule
- imagezmq: PUB with send_jpg, as its documentation recommends for slow viewers; pip install imagezmq
- netgear: vidgear's NetGear in its publish pattern, with its own JPEG compression at the same quality
- gstreamer: fdsrc ! jpegparse ! multipartmux ! tcpserversink, told to drop what a slow viewer does not take

All send the same clip's pictures at the same rate and quality, and the time of capture with each of them. A viewer
prints for each picture when it arrived, when it was taken, and its size in bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import pickle
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from benchmarks.frames import FPS, images, make_frame, paced, quality
from twistedcam.access.admission import Admission
from twistedcam.access.share import make_share, over_tls
from twistedcam.codec import Image
from twistedcam.frame import Frame
from twistedcam.hub import Hub
from twistedcam.server.factory import ViewerServerFactory
from twistedcam.web.stream import PartStream
from twistedcam.wire.framing import PREFIX

_BITS, _BLOCK = 56, 8  # microseconds since the epoch, one square for each bit, of this many pixels
_TAKEN = re.compile(rb'"captured":([\d.]+)')


def camera_factory() -> tuple[Hub, ViewerServerFactory]:
    """A hub, and the server's factory with that hub as its only camera; their log is discarded."""
    from twisted.internet import reactor
    from twisted.logger import globalLogBeginner

    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)  # or Twisted would keep all events in memory
    hub = Hub()
    return hub, ViewerServerFactory(reactor, {"": hub}, hub, admission=Admission(reactor, 10**6))


def publish_clip(hub: Hub, fps: float) -> None:
    """Run the reactor, and publish the clip's pictures to C{hub}."""
    from twisted.internet import reactor
    from twisted.internet.task import LoopingCall

    numbers = iter(range(10**9))
    make_frame(0)
    LoopingCall(lambda: hub.publish(make_frame(next(numbers)))).start(1 / fps)
    reactor.run()


def _serve_ours(host: str, port: int, fps: float) -> None:
    from twisted.internet import reactor

    hub, factory = camera_factory()
    reactor.listenTCP(port, factory, 4096, host)
    publish_clip(hub, fps)


def _serve_tls(host: str, port: int, fps: float) -> None:
    from twisted.internet import reactor

    hub, factory = camera_factory()
    share = make_share(time.time())
    reactor.listenTCP(port, over_tls(factory, lambda: share), 4096, host)  # type: ignore[arg-type]
    publish_clip(hub, fps)


def _serve_http(host: str, port: int, fps: float) -> None:
    from twisted.internet import reactor

    hub, _ = camera_factory()

    class Streams(Resource):
        isLeaf = True

        def render_GET(self, request: Any) -> int:
            stream = PartStream(request, [hub], 0, reactor)
            request.notifyFinish().addErrback(lambda failure: stream.gone())
            return NOT_DONE_YET

    reactor.listenTCP(port, Site(Streams()), 4096, host)  # type: ignore[arg-type]
    publish_clip(hub, fps)


def _serve_ungated(host: str, port: int, fps: float) -> None:
    from twistedcam.pacing.tcp_link import TCPLink

    TCPLink.seconds_until_ready = lambda self: 0.0  # type: ignore[method-assign]
    TCPLink._keep_queue_short = lambda self, short: None  # type: ignore[method-assign]
    _serve_ours(host, port, fps)


def _marked(number: int) -> Image:
    """A picture with the current time as black and white squares, for protocols that cannot send it otherwise."""
    image = images()[number % len(images())].copy()
    now = int(time.time() * 1e6)
    for bit in range(_BITS):
        image[:_BLOCK, bit * _BLOCK : (bit + 1) * _BLOCK] = 255 * (now >> bit & 1)
    return image


def _taken(image: Image) -> float:
    """The time that L{_marked} wrote, from a picture of any size."""
    block = image.shape[1] * _BLOCK / images()[0].shape[1]
    row = image[int(block / 2), :, 0]
    return sum((int(row[int((bit + 0.5) * block)]) > 127) << bit for bit in range(_BITS)) / 1e6


def _serve_tutorial(host: str, port: int, fps: float) -> None:
    import imutils

    camera = paced(fps)
    for connection in _connections(host, port):
        with contextlib.suppress(OSError):
            while True:
                frame = imutils.resize(_marked(next(camera)), width=320)
                payload = pickle.dumps(frame)
                connection.sendall(struct.pack("Q", len(payload)) + payload)


def _serve_sendall(host: str, port: int, fps: float) -> None:
    newest = make_frame(0)
    renewed = threading.Condition()

    def capture() -> None:
        nonlocal newest
        for number in paced(fps):
            with renewed:
                newest = make_frame(number)
                renewed.notify_all()

    def send(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                with renewed:
                    renewed.wait()
                    frame = newest
                connection.sendall(frame.message)

    threading.Thread(target=capture, daemon=True).start()
    for connection in _connections(host, port):
        threading.Thread(target=send, args=(connection,), daemon=True).start()


def _connections(host: str, port: int) -> Iterator[socket.socket]:
    with socket.create_server((host, port), backlog=4096) as server:
        while True:
            yield server.accept()[0]


def _serve_imagezmq(host: str, port: int, fps: float) -> None:
    import imagezmq

    make_frame(0)
    sender = imagezmq.ImageSender(connect_to=f"tcp://{host}:{port}", REQ_REP=False)
    for number in paced(fps):
        sender.send_jpg("camera", make_frame(number).payload)


def _serve_netgear(host: str, port: int, fps: float) -> None:
    sender = _net_gear(host, port)
    for number in paced(fps):
        sender.send(_marked(number))


def _net_gear(host: str, port: int, receive: bool = False) -> Any:
    from vidgear.gears import NetGear

    options: Any = {"jpeg_compression": True, "jpeg_compression_quality": quality()}
    return NetGear(address=host, port=str(port), protocol="tcp", pattern=2, receive_mode=receive, **options)


def _serve_gstreamer(host: str, port: int, fps: float) -> None:
    source = "fdsrc fd=0 ! jpegparse ! multipartmux boundary=frame"
    drop = "recover-policy=latest buffers-soft-max=4 buffers-max=60"
    command = f"gst-launch-1.0 -q {source} ! tcpserversink sync=false host={host} port={port} {drop}"
    process = subprocess.Popen(command.split(), stdin=subprocess.PIPE)
    assert process.stdin is not None
    for number in paced(fps):
        process.stdin.write(make_frame(number).payload)
        process.stdin.flush()


Seen = tuple[float, float, int]  # when it arrived, when it was taken, its bytes


def _watch_ours(host: str, port: int) -> Iterator[Seen]:
    import twistedcam

    with twistedcam.Client(f"{host}:{port}", timeout=60) as client:
        while client.read()[0]:
            assert client.frame is not None
            yield time.time(), client.frame.captured or 0.0, len(client.frame.payload)


def messages(connection: socket.socket) -> Iterator[bytes]:
    """The messages, without their 8-byte lengths."""
    received = bytearray()
    while portion := connection.recv(1 << 18):
        received += portion
        while len(received) >= PREFIX.size:
            end = PREFIX.size + PREFIX.unpack_from(received)[0]
            if len(received) < end:
                break
            yield bytes(received[PREFIX.size : end])
            del received[:end]


def _watch_plainly(connection: socket.socket) -> Iterator[Seen]:
    for payload in messages(connection):
        yield time.time(), Frame.from_jpeg(payload).captured or 0.0, len(payload)


def _watch_sendall(host: str, port: int) -> Iterator[Seen]:
    return _watch_plainly(connect(host, port))


def _watch_tls(host: str, port: int) -> Iterator[Seen]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only times are measured
    return _watch_plainly(context.wrap_socket(connect(host, port)))


def _watch_http(host: str, port: int) -> Iterator[Seen]:
    connection = connect(host, port)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: benchmark\r\n\r\n")
    return _watch_parts(connection)


def _watch_tutorial(host: str, port: int) -> Iterator[Seen]:
    for payload in messages(connect(host, port)):
        frame = pickle.loads(payload)  # a neighbour's
        yield time.time(), _taken(frame), len(payload)


def _watch_imagezmq(host: str, port: int) -> Iterator[Seen]:
    import imagezmq

    hub = imagezmq.ImageHub(open_port=f"tcp://{host}:{port}", REQ_REP=False)
    while True:
        payload = hub.recv_jpg()[1]
        yield time.time(), Frame.from_jpeg(bytes(payload)).captured or 0.0, len(payload)


def _watch_netgear(host: str, port: int) -> Iterator[Seen]:
    receiver = _net_gear(host, port, receive=True)
    while True:
        image = receiver.recv()
        yield time.time(), _taken(image), image.size


def _watch_gstreamer(host: str, port: int) -> Iterator[Seen]:
    return _watch_parts(connect(host, port))


def _watch_parts(connection: socket.socket) -> Iterator[Seen]:
    received = bytearray()
    while portion := connection.recv(1 << 18):
        received += portion
        # A part is complete when all bytes of its Content-Length have arrived.
        while found := re.search(rb"Content-Length: (\d+)\r\n(?:.+\r\n)*\r\n", received):
            end = found.end() + int(found[1])
            if len(received) < end:
                break
            taken = _TAKEN.search(received, found.end(), end)
            if taken:
                yield time.time(), float(taken[1]), int(found[1])
            del received[:end]


def connect(host: str, port: int) -> socket.socket:
    """A connection to a server; waits until it listens."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection((host, port))
        time.sleep(0.05)


SERVERS: dict[str, Callable[[str, int, float], None]] = {
    "ours": _serve_ours,
    "tls": _serve_tls,
    "http": _serve_http,
    "ungated": _serve_ungated,
    "tutorial": _serve_tutorial,
    "sendall": _serve_sendall,
    "imagezmq": _serve_imagezmq,
    "netgear": _serve_netgear,
    "gstreamer": _serve_gstreamer,
}
_VIEWERS = {
    "ours": _watch_ours,
    "tls": _watch_tls,
    "http": _watch_http,
    "ungated": _watch_ours,
    "tutorial": _watch_tutorial,
    "sendall": _watch_sendall,
    "imagezmq": _watch_imagezmq,
    "netgear": _watch_netgear,
    "gstreamer": _watch_gstreamer,
}
# vidgear's subscriber is the one that listens.
VIEWER_LISTENS = {"netgear"}


def command(action: str, name: str, host: str, port: int, fps: float = FPS) -> list[str]:
    """The command line that runs one of them."""
    words = ["-m", "benchmarks.peers", action, name, "--host", host, "--port", str(port), "--fps", str(fps)]
    return [sys.executable, *words]


def main() -> None:
    """Serve, or watch, until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("serve", "watch"))
    parser.add_argument("name", choices=SERVERS)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9999)
    parser.add_argument("--fps", type=float, default=FPS)
    options = parser.parse_args()
    if options.action == "serve":
        SERVERS[options.name](options.host, options.port, options.fps)
        return
    for there, taken, size in _VIEWERS[options.name](options.host, options.port):
        print(f"{there:.6f} {taken:.6f} {size}", flush=True)


if __name__ == "__main__":
    main()
