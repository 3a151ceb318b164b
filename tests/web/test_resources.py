"""The page and the paths of the web server."""

from __future__ import annotations

import time

from tests.web.browser import PICTURE, FakeStatus, WebTestCase
from twistedcam.encodings import ENCODING_JPEG
from twistedcam.frame import Frame, stamp
from twistedcam.testing import RecordingSink


class ResourcesTests(WebTestCase):
    """The page, and wrong paths."""

    async def test_page(self) -> None:
        """The page and its files are served, with headers that keep other pages and scripts out."""
        await self.serve()
        for path, kind in (("/", "text/html"), ("/page.js", "javascript"), ("/style.css", "css"), ("/icon.svg", "svg")):
            answer = await self.ask(path)
            self.assertEqual(answer.status, 200)
            self.assertIn(f"content-type: {kind}" if "/" in kind else kind, answer.head)
            for header in ("x-content-type-options: nosniff", "cache-control: no-store", "default-src 'none'"):
                self.assertIn(header, answer.head)
            self.assertNotIn("access-control", answer.head)
            self.assertIn("cross-origin-resource-policy: same-origin", answer.head)

    async def test_mistakes(self) -> None:
        """A wrong path or query is answered with one line that says what is valid."""
        await self.serve()
        for path, code, text in (
            ("/stream/cellar", 404, "no camera 'cellar' here; the cameras are: desk, front door"),
            ("/snapshot/cellar", 404, "the cameras are: desk, front door"),
            ("/stream/desk/more", 404, "no camera 'more'"),
            ("/nothing", 404, "there are: /, /stream"),
            ("/../../etc/passwd", 404, "there are: /, /stream"),
            ("/stream/..%2f..%2fetc", 404, "no camera"),
            ("/stream?fps=fast", 400, "fps=fast is not a number from 0 to 1000"),
            ("/stream?fps=-1", 400, "fps=-1"),
            ("/stream?fps=nan", 400, "fps=nan"),
            ("/stream?width=0", 400, "width=0 is not a number from 1"),
            ("/snapshot?max_age=x", 400, "max_age=x"),
            ("/?action=dance", 400, "stream or snapshot"),
            ("/?action=stream_x", 400, "with the number of a camera: stream_0"),
            ("/?action=stream_" + 5000 * "9", 400, "with the number of a camera: stream_0"),
            ("/?action=stream_2", 404, "no camera 2 here; there are 2, numbered from 0"),
            ("/stream/cellar.jpg", 404, "no camera 'cellar' here"),
            ("/stream/desk/desk/", 404, "no camera 'desk'"),
            ("/state.jpg", 404, "there are: /, /stream"),
        ):
            answer = await self.ask(path)
            self.assertEqual((answer.status, answer.body.count(b"\n")), (code, 1), path)
            self.assertIn(text, answer.body.decode())
            self.assertIn("content-type: text/plain", answer.head)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_addresses_of_others(self) -> None:
        """A camera is found at the addresses that other programs have, as well as at its own."""
        self.cameras["desk.jpg"] = FakeStatus("desk.jpg")
        await self.serve()
        paths = {
            "desk": ("", ".jpg", ".JPEG", "/", "/desk", "/desk/", "/desk.mjpg", "/desk.mjpeg/"),
            "front door": ("/front%20door/", "/front%20door.jpg"),
            "desk.jpg": ("/desk.jpg", "/desk.jpg/", "/desk.jpg.jpg"),
        }
        actions = {"desk": ("", "_0"), "front door": ("_1",), "desk.jpg": ("_2",)}
        for name, camera in self.cameras.items():
            camera.hubs[ENCODING_JPEG].attach(RecordingSink())
            camera.hubs[ENCODING_JPEG].publish(stamp(PICTURE, name, 1, time.time()))
            addresses = [f"/snapshot{path}" for path in paths[name]]
            addresses += [f"/?action=snapshot{number}" for number in actions[name]]
            for path in addresses:
                self.assertEqual(Frame.from_jpeg((await self.ask(path)).body).camera, name, path)
            for path in addresses:
                answer = await self.ask(path.replace("snapshot", "stream"), "HEAD")
                self.assertEqual((answer.status, "multipart/x-mixed-replace" in answer.head), (200, True), path)

    async def test_health(self) -> None:
        """A health check needs no more than an answer."""
        await self.serve()
        self.assertEqual((await self.ask("/healthz")).body, b"ok\n")
