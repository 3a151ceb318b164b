"""Serving one's own images from a script."""

from __future__ import annotations

import io
import os
from typing import Any

import cv2
import numpy as np
from twisted.internet import reactor
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from tests.processes import ProcessTestCase
from twistedcam.app.serve import ServeError, start_server
from twistedcam.app.service import Server


class KeywordTests(TestCase):
    """The keywords of serve()."""

    async def refused(self, name: Any = "camera", **options: Any) -> str:
        """The one line of the error for these keywords."""
        with self.assertRaises(ServeError) as caught:
            await start_server(MemoryReactorClock(), [], name, options)
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        self.assertNotIn("--", message)
        return message

    async def test_refused(self) -> None:
        """What the command refuses is refused with the same message, in which options are named as keywords."""
        for options, message in (
            ({"quality": 0}, "quality: 0 is not a whole number from 1 to 100"),
            ({"fps": "fast"}, "fps: 'fast' is not a number"),
            ({"listen": 5}, "listen: 5 is not a string"),
            ({"max_viewers": 0}, "max_viewers: 0 is not"),
            ({"share": True, "open": True}, "share and open cannot be combined"),
            (
                {"colour": "red"},
                "colour: there is no such option; there are allow_host, allow_origin, announce, ",
            ),
            ({"camera": "test"}, "camera: there is no such option"),
            ({"help": True}, "help: there is no such option"),
            ({"name": 5}, "name: 5 is not a string"),
            ({"name": ""}, "name: '' is not a name of 1 to 200 characters that all print"),
            ({"name": "\x1b[2J"}, r"name: '\x1b[2J' is not a name"),
            ({"name": "x" * 201}, "is not a name of 1 to 200"),
            ({"format": "MJPG"}, "format: it has no effect on the images of a script, it is for devices: leave it out"),
            ({"control": ["gain=1"]}, "control: it has no effect on the images of a script"),
            ({"rotate": 45}, "rotate: 45 is none of 0, 90, 180 and 270"),
            ({"record_keep": "5"}, "record_keep: '5' is not a size"),
            ({"list_cameras": True}, "list_cameras: there is no such option"),
            ({"listen": "tcp:0"}, "use share to share it by a key, auth for"),
        ):
            self.assertIn(message, await self.refused(**options))

    async def test_wrong_images(self) -> None:
        """What cannot be served is refused at once, in one line that says what is accepted."""
        wrong: tuple[Any, ...] = ("video.avi", 0, None, {}, np.zeros(5, np.uint8), cv2.VideoCapture, b"", io.BytesIO())
        for images in wrong:
            with self.assertRaisesRegex(ServeError, "^images: it is [^\n]*: write an iterable of images"):
                await start_server(MemoryReactorClock(), images, "camera", {})
        with self.assertRaisesRegex(ServeError, "^images: the capture is not open: check [^\n]*$"):
            await start_server(MemoryReactorClock(), cv2.VideoCapture(), "camera", {})

    async def test_missing_key_folder(self) -> None:
        """A key that cannot be kept is refused when the server starts."""
        path = self.mktemp()
        with open(path, "w"):
            pass
        self.assertRegex(await self.refused(share=True, state_dir=path), "^share: ")

    async def test_all_keywords(self) -> None:
        """Each option of the command is a keyword, with Python's own types."""
        memory = MemoryReactorClock()
        options = {
            "listen": ["tcp:1:interface=127.0.0.1", "tcp:2"],
            "http": "tcp:3",
            "auth": ["memory:me:secret", "memory:you:secret"],
            "size": "640x480",
            "width": 0,
            "rotate": 180,
            "flip": "h",
            "overlay": ["time", "name"],
            "skip": 5,
            "stall": 9.5,
            "format": None,
            "control": [],
            "record": None,
            "record_segment": 60,
            "record_keep": "1G",
            "fps": 10,
            "quality": 90,
            "max_viewers": 3,
            "allow_origin": "*",
            "allow_host": "cam.example",
            "trusted_proxy": ["127.0.0.1", "::1"],
            "codec": "jpeg",
            "open": False,
            "share": False,
            "renew": False,
            "preview": False,
            "state_dir": None,
        }
        server = await start_server(memory, [], "mine", options)
        self.assertIsInstance(server, Server)
        self.assertEqual(list(server.cameras), ["mine"])
        self.assertEqual([port for port, *_ in memory.tcpServers], [1, 2, 3])
        await server.stopService()

    async def test_nothing_is_left(self) -> None:
        """If one endpoint is refused, the others are not listened on any more."""
        path = os.path.relpath(self.mktemp())
        with self.assertRaises(ServeError):
            await start_server(reactor, [], "camera", {"listen": [f"unix:{path}", "tcp:0"], "http": "off"})
        self.assertFalse(os.path.exists(path))


class ServeTests(ProcessTestCase):
    """serve() in real scripts."""

    async def test_serve(self) -> None:
        """A script's images are served, and asked for only while somebody watches; an interrupt ends it."""
        script = self.script(
            "import numpy as np, twistedcam\n"
            "def images():\n"
            "    print('asked', flush=True)\n"
            "    while True:\n"
            "        yield np.full((60, 80, 3), 200, np.uint8)\n"
            "twistedcam.serve(images, 'mine', fps=20, listen='unix:camera', http='off')\n"
        )
        await script.said("listening on camera")
        self.assertNotIn("asked", script.output)
        self.assertEqual(await self.watch("--camera", "mine", "--frames", "10").ended, 0)
        self.assertEqual(script.output.count("asked"), 1)
        script.signal("INT")
        self.assertEqual(await script.ended, 0)
        self.assertNotIn("Traceback", script.output)

    async def test_captures(self) -> None:
        """cv2.VideoCapture, imutils' VideoStream, a client and an array are served; the end is a lost camera."""
        script = self.script(
            "import cv2, numpy as np, sys, time, twistedcam\n"
            "from imutils.video import VideoStream\n"
            "image = np.full((48, 64, 3), 200, np.uint8)\n"
            "writer = cv2.VideoWriter('clip.avi', cv2.VideoWriter_fourcc(*'MJPG'), 25, (64, 48))\n"
            "for _ in range(3000):\n"
            "    writer.write(image)\n"
            "writer.release()\n"
            "clip, short, stream = (kind('clip.avi') for kind in (cv2.VideoCapture, cv2.VideoCapture, VideoStream))\n"
            "while short.read()[0]:\n"
            "    pass\n"
            "client = twistedcam.Client('unix:array')\n"
            "sources = {'array': image, 'clip': clip, 'stream': stream, 'client': client, 'ended': short}\n"
            "sources['made'] = lambda: cv2.VideoCapture('clip.avi')\n"
            "for name, images in sources.items():\n"
            "    twistedcam.serve(images, name, block=False, listen=f'unix:{name}', http='off')\n"
            "print('serving', flush=True)\n"
            "sys.stdin.read()\n"
            "print(clip.isOpened(), client.isOpened(), flush=True)\n"
        )
        await script.said("serving")
        for name, count in (("array", 2), ("clip", 20), ("made", 20), ("client", 2), ("stream", 5), ("ended", 1)):
            viewer = self.twistd("camstream-client", "--endpoint", f"unix:{name}", "--headless", "--frames", str(count))
            self.assertEqual(await viewer.ended, 0, viewer.output + script.output)
        self.assertRegex(script.output, "ended.*it gives no more pictures")
        script.transport.closeStdin()  # type: ignore[union-attr]
        await script.said("True True")
        self.assertEqual(await script.ended, 0, script.output)
        self.assertNotIn("Traceback", script.output)

    async def test_refused(self) -> None:
        """What cannot be served is an error that says what to write instead."""
        script = self.script(
            "import twistedcam\n"
            "for options in ({'quality': 0}, {'listen': 'tcp:0'}):\n"
            "    try:\n"
            "        twistedcam.serve([], **options)\n"
            "    except twistedcam.ServeError as error:\n"
            "        print(error)\n"
        )
        self.assertEqual(await script.ended, 0, script.output)
        self.assertIn("quality: 0 is not a whole number", script.output)
        self.assertIn("would show the camera to other machines", script.output)
