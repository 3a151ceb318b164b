"""The page, in a real browser."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.chromium import Chromium, needs_chromium
from tests.web.browser import PICTURE, FakeStatus, WebTestCase
from twistedcam.access.guards import PasswordGuard, make_portal
from twistedcam.camera_status import CameraState
from twistedcam.codec import encode_jpeg
from twistedcam.encodings import ENCODING_JPEG
from twistedcam.frame import stamp
from twistedcam.web.authenticators import BasicAuthenticator
from twistedcam.web.site import AuthenticatedSite

NAMES = "[...document.querySelectorAll('h2')].map((title) => title.textContent).join()"
# Of the image that is shown.
_BRIGHTNESS = """(() => {
    const pixel = new OffscreenCanvas(1, 1).getContext("2d");
    pixel.drawImage(document.querySelector("img"), 0, 0, 1, 1);
    return pixel.getImageData(0, 0, 1, 1).data[0];
})()"""
SUMMARY = "document.querySelector('#summary').textContent"


class PageTestCase(WebTestCase):
    """Two cameras of 20 pictures a second, whose pictures are C{delay} seconds old when they are sent."""

    def make_clock(self) -> Any:
        return reactor

    def setUp(self) -> None:
        super().setUp()
        self.delay = 0.0
        self.sequence = 0
        self.connections: list[Any] = []
        self.wrap = self.with_connections
        publishing = LoopingCall(self.publish)
        publishing.start(0.05)
        self.addCleanup(publishing.stop)

    def with_connections(self, site: Any) -> Any:
        """C{site}, whose connections are kept in a list."""
        build = site.buildProtocol

        def build_and_keep(address: Any) -> Any:
            self.connections.append(build(address))
            return self.connections[-1]

        site.buildProtocol = build_and_keep
        return site

    def publish(self) -> None:
        """A picture of each camera, to all who watch."""
        self.sequence += 1
        for camera in self.cameras.values():
            picture = stamp(PICTURE, camera.name, self.sequence, time.time() - self.delay)
            for hub in camera.hubs.values():
                hub.publish(picture)

    async def start(self) -> Chromium:
        """A server, and a browser."""
        await self.serve()
        return await Chromium(self).start()

    async def open(self) -> Chromium:
        """A browser that shows the page of a server."""
        browser = await self.start()
        await browser.open(f"http://127.0.0.1:{self.port}/")
        return browser

    async def is_live(self, browser: Chromium, name: str = "desk") -> None:
        """The page of the current window says that the camera is live, and shows its pictures."""
        await browser.until(f"cameras.get({name!r})?.root.querySelector('.state').textContent", "live")
        await browser.run("cameras.forEach((camera) => { camera.lastDrawn = 0; })")
        await browser.until(f"cameras.get({name!r}).lastDrawn > 0")


@needs_chromium
class PlayTests(PageTestCase):
    """Where and how the page can be opened."""

    async def test_six_windows(self) -> None:
        """A browser opens six connections to a server: the page plays in six windows at once."""
        browser = await self.start()
        address = f"http://127.0.0.1:{self.port}/"
        windows = [await browser.open_window(address) for _ in range(6)]
        for window in windows:
            await browser.switch_to(window)
            await self.is_live(browser, "front door")
        self.assertEqual(len(self.face.streams), 6)

    async def test_address(self) -> None:
        """
        The page works below any path, as behind a reverse proxy, and where its address has a name and a password in it,
        with which fetch() fails. Its links are without them.
        """
        guard = PasswordGuard(make_portal([InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")]))
        browser = await self.start()
        outside, inside = Resource(), Resource()
        outside.putChild(b"house", inside)
        inside.putChild(b"cam", self.face.root)
        site: Site = AuthenticatedSite(outside, BasicAuthenticator(guard), self.admission, reactor=reactor)
        port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
        self.addCleanup(port.stopListening)
        address = f"127.0.0.1:{port.getHost().port}/house/cam/"
        await browser.open(f"http://me:secret@{address}?from=elsewhere#top")
        await self.is_live(browser)
        link = await browser.run("document.querySelectorAll('.snapshot')[1].href")
        self.assertEqual(link, f"http://{address}snapshot/front%20door")

    async def test_wanted(self) -> None:
        """Only what is looked at is asked for: nothing of a paused camera, one alone in full screen."""
        browser = await self.open()
        await self.is_live(browser, "front door")
        door = self.cameras["front door"]
        await browser.run("document.querySelectorAll('.pause')[1].click()")
        await self.until(lambda: not any(hub.is_watched for hub in door.hubs.values()))
        await self.is_live(browser, "desk")
        await browser.run("document.querySelectorAll('.pause')[1].click()")
        await self.is_live(browser, "front door")
        await browser.command(
            "Runtime.evaluate", expression="document.querySelectorAll('.full')[1].click()", userGesture=True
        )
        await self.until(lambda: not any(hub.is_watched for hub in self.cameras["desk"].hubs.values()))
        await self.is_live(browser, "front door")
        await browser.run("document.exitFullscreen()")
        await self.is_live(browser, "desk")


@needs_chromium
class ChangeTests(PageTestCase):
    """What comes and goes while the page is open."""

    async def test_cameras(self) -> None:
        """Cameras that are gone vanish, those that come appear, in the order of the server."""
        browser = await self.open()
        await browser.until(NAMES, "desk,front door")
        last = self.cameras.pop("front door")
        self.cameras |= {"attic": FakeStatus("attic"), last.name: last}
        await browser.until(NAMES, "desk,attic,front door")
        await self.is_live(browser, "attic")
        del self.cameras["desk"]
        await browser.until(NAMES, "attic,front door")
        await self.is_live(browser, "front door")

    async def test_states(self) -> None:
        """A camera that plays stored pictures says so; one without a signal, and a problem with pictures, are named."""
        self.cameras["desk"].is_stored = True
        door = self.cameras["front door"]
        door.state, door.reason, door.problem = CameraState.LOST, "it was unplugged", "too large for JPEG"
        browser = await self.open()
        states = "[...document.querySelectorAll('.state')].map((state) => state.textContent).join()"
        await browser.until(states, "stored pictures,no signal")
        await browser.until(SUMMARY, "no signal: front door")
        label = await browser.run("document.querySelectorAll('canvas')[1].getAttribute('aria-label')")
        self.assertEqual(label, "Camera front door, no signal: it was unplugged")
        self.assertEqual(await browser.run("cameras.get('front door').notice"), "too large for JPEG")

    async def test_server_gone(self) -> None:
        """A server that stops is told, and when another one answers in its place, its cameras are shown."""
        browser = await self.open()
        await self.is_live(browser)
        self.stop_listening()
        for connection in self.connections:
            connection.transport.abortConnection()
        await browser.until(SUMMARY, "the server does not answer")
        self.assertEqual(await browser.run("cameras.get('desk').notice"), "the server does not answer")
        del self.cameras["desk"]
        self.cameras["attic"] = FakeStatus("attic")
        await self.serve(self.port)
        await browser.until(NAMES, "front door,attic")
        await self.is_live(browser, "attic")
        await browser.until(SUMMARY, "connected")

    async def test_full_server(self) -> None:
        """The reason of a refusal is told as it is, and the page plays at the next attempt when there is room."""
        self.admission.viewers.limit = 0
        browser = await self.open()
        await browser.until(SUMMARY, "the viewer limit of 0 has been reached, try again later")
        self.admission.viewers.limit = 1
        await browser.run("connection.wake()")
        await self.is_live(browser)

    async def test_password_changed(self) -> None:
        """A page that is no longer let in does not ask for the password each second, but has a button to try again."""
        checker = InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")
        self.authenticator = BasicAuthenticator(PasswordGuard(make_portal([checker])))
        browser = await self.start()
        await browser.open(f"http://me:secret@127.0.0.1:{self.port}/")
        await self.is_live(browser)
        self.assertFalse(await browser.run("document.querySelector('#again').checkVisibility()"))
        checker.users[b"me"] = b"other"
        for stream in tuple(self.face.streams):
            stream.end()
        await browser.until("document.querySelector('#again').checkVisibility()")
        self.assertEqual(await browser.run(SUMMARY), "this camera asks for a name and a password")
        self.assertEqual(await browser.run("document.querySelector('.state').textContent"), "refused")


@needs_chromium
class SilentTests(PageTestCase):
    """A server whose own clock stands, so that it says nothing by itself."""

    def make_clock(self) -> Any:
        return WebTestCase.make_clock(self)

    def publish(self) -> None:
        """Nothing."""

    async def test_silence(self) -> None:
        """A connection on which nothing comes is given up, with the reason."""
        browser = await self.open()
        await browser.until(SUMMARY, "connected")
        await browser.until(SUMMARY, "nothing has come for 4 s")
        await browser.until(SUMMARY, "connected")


@needs_chromium
class ImageTests(WebTestCase):
    """A stream as an image of a browser."""

    def make_clock(self) -> Any:
        return reactor

    async def test_shown_at_once(self) -> None:
        """
        Each picture is shown when it comes, not only when the next one does, in an image as large as the window; a
        user whose name and password are in the address sees it as well.
        """
        checker = InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")
        self.authenticator = BasicAuthenticator(PasswordGuard(make_portal([checker])))
        await self.serve()
        browser = await Chromium(self).start()
        address = f"http://me:secret@127.0.0.1:{self.port}/stream/desk"
        opening = Deferred.fromCoroutine(browser.open(address))  # it has been opened when there is a picture
        await self.until(lambda: self.hub.is_watched)
        for sequence, colour in enumerate((0, 255, 128)):
            jpeg = encode_jpeg(np.full((48, 64, 3), colour, np.uint8))
            self.hub.publish(stamp(jpeg, "desk", sequence, time.time()))
            await opening
            await browser.until(_BRIGHTNESS, colour)
        size = "(({width, height}) => [width === innerWidth, height === innerHeight].join())"
        shown = await browser.run(f"{size}(document.querySelector('img').getBoundingClientRect())")
        self.assertEqual(shown, "true,true")
        self.assertEqual(await browser.run("document.title"), "desk")


@needs_chromium
class PaceTests(PageTestCase):
    """The page keeps its pictures young."""

    async def test_late_pictures(self) -> None:
        """Pictures that come late are asked for smaller, then less often; if that does not help, the page says so."""
        browser = await self.open()
        await self.is_live(browser)
        self.assertTrue(self.cameras["desk"].hubs[ENCODING_JPEG].is_watched)
        self.delay = 3.0
        await self.until(lambda: self.cameras["desk"].hubs["jpeg/4"].is_watched)
        await browser.run("ladder.goTo(STEPS.length - 2)")  # which would come in two seconds
        await browser.until(SUMMARY, "the connection is too slow: pictures come late")
        self.assertEqual([outlet._limit._period for outlet in self.cameras["desk"].hubs["jpeg/4"]], [1.0])  # type: ignore[union-attr]
        too_slow = "the connection is too slow: pictures are 3 s old"
        await browser.until("document.querySelector('.notice').textContent", too_slow)
        await browser.until("cameras.get('desk').state", "late")

    async def test_ladder(self) -> None:
        """
        One late picture changes nothing. After a while of young pictures the page asks for more, and waits twice as
        long before the next try if they were late again. The link is too slow if the least comes late, too.
        """
        browser = await Chromium(self).start()
        await self.serve()
        await browser.open(f"http://127.0.0.1:{self.port}/pace.js")
        await browser.command("Runtime.evaluate", expression=(await self.ask("/pace.js")).body.decode())
        await browser.command(
            "Runtime.evaluate",
            expression="""
            const ladder = new AgeLadder((a, b) => a !== b);
            let now = 0;
            /** The step, and whether it changed, after pictures of this age for so long. */
            function pictures(age, seconds) {
              for (const end = now + seconds; now < end; now += 0.1) ladder.judge(age, now);
              return ladder.step;
            }""",
        )
        steps = [
            await browser.run(f"pictures({age}, {seconds})")
            for age, seconds in ((0.1, 5), (3, 0.1), (0.1, 5), (3, 1), (3, 1), (0.1, 9), (0.1, 2))
        ]
        self.assertEqual(steps, [0, 0, 0, 1, 2, 2, 1])
        steps = [
            await browser.run(f"pictures({age}, {seconds})")
            for age, seconds in ((3, 1), (0.1, 19), (0.1, 2), (3, 1), (0.1, 39), (0.1, 2), (0.1, 42), (0.1, 60))
        ]
        self.assertEqual(steps, [2, 2, 1, 2, 2, 1, 1, 0])
        slow = [
            await browser.run(f"[pictures({age}, {seconds}), ladder.tooSlow]") for age, seconds in ((3, 9), (0.1, 3))
        ]
        self.assertEqual(slow, [[5, True], [5, False]])

    async def test_reading(self) -> None:
        """Messages are cut from chunks of any size, and each byte is copied once, however many chunks come."""
        browser = await self.open()
        whole = await browser.run("""(() => {
            const sizes = [5, 1000000, 1, 70000];
            const stream = new Uint8Array(sizes.reduce((sum, size) => sum + 8 + size, 0));
            let at = 0;
            for (const size of sizes) {
              new DataView(stream.buffer).setBigUint64(at, BigInt(size), true);
              stream.fill(size % 251, at + 8, at += 8 + size);
            }
            let copied = 0;
            const set = Uint8Array.prototype.set;
            Uint8Array.prototype.set = function (bytes, at) { copied += bytes.length; set.call(this, bytes, at); };
            const reader = new MessageReader(), found = [];
            for (let from = 0, size = 1; from < stream.length; from += size, size = size % 1500 + 1)
              for (const payload of reader.read(stream.subarray(from, from + size)))
                found.push([payload.length, payload.every((byte) => byte === payload.length % 251)]);
            Uint8Array.prototype.set = set;
            return { found, copied: copied / stream.length };
        })()""")
        self.assertEqual(whole, {"found": [[5, True], [1000000, True], [1, True], [70000, True]], "copied": 1})
        for length in ("0n", "0x1_0000_0000n", "0x2d2d_7477_6973_7465n"):
            script = f"""(() => {{
                const prefix = new DataView(new ArrayBuffer(8));
                prefix.setBigUint64(0, {length.replace("_", "")}, true);
                try {{ [...new MessageReader().read(new Uint8Array(prefix.buffer))]; }}
                catch (error) {{ return error.message; }}
            }})()"""
            self.assertEqual(await browser.run(script), "what came is no message of a twistedcam server")

    async def test_newest(self) -> None:
        """Of several pictures that have arrived only the newest is decoded."""
        browser = await self.open()
        await self.is_live(browser)
        await browser.run("""(() => {
            const camera = cameras.get("desk"), offer = camera.offer, decode = createImageBitmap;
            globalThis.decoded = 0;
            globalThis.createImageBitmap = (blob) => { decoded++; return decode(blob); };
            camera.offer = (picture) => {
              for (let i = 0; i < 5; i++) offer.call(camera, picture);
              camera.offer = () => {};
            };
            cameras.get("front door").offer = () => {};
        })()""")
        await browser.until("cameras.get('desk').isDrawing === false && decoded > 0")
        self.assertIn(await browser.run("decoded"), (1, 2))  # 2 if one was being decoded at that time
