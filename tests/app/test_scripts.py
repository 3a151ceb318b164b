"""Clients and servers in real scripts: how they end, after a fork, and in the reactor's own thread."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import urlopen

from twisted.internet.threads import deferToThread

from tests.processes import ProcessTestCase, Running, turn

_IMPORTS = "import sys, twistedcam\naddress = sys.argv[1]\n"


class ServedTestCase(ProcessTestCase):
    """A real server with a test picture, and what it says of its viewers."""

    async def serve_test(self) -> None:
        """Start the server."""
        running = self.twistd(
            *("camstream", "--camera", "test", "--listen", "tcp:0:interface=127.0.0.1"),
            *("--http", "tcp:0:interface=127.0.0.1"),
        )
        self.address = (await running.said(r"listening on (127\.0\.0\.1:\d+)"))[1]
        self.web = (await running.said(r"(http://127\.0\.0\.1:\d+/)"))[1]

    async def camera(self) -> Any:
        """What the server's C{/state} says of its camera."""

        def get() -> Any:
            with urlopen(f"{self.web}state") as answer:
                return json.load(answer)["cameras"][0]

        return await deferToThread(get)

    async def ended(self) -> None:
        """Wait until the server has no viewers."""
        while (await self.camera())["viewers"]:
            await turn()

    async def ran(self, text: str, *words: str) -> str:
        """The output of a script that succeeds; it begins with L{_IMPORTS}."""
        script = self.script(_IMPORTS + text, self.address, *words)
        self.assertEqual(await script.ended, 0, script.output)
        for word in ("Traceback", "Warning", "Exception ignored"):
            self.assertNotIn(word, script.output)
        return script.output


class EndTests(ServedTestCase):
    """A client that is not closed."""

    async def test_dropped(self) -> None:
        """Five clients that were dropped are gone from the server's state, and the camera is off."""
        await self.serve_test()
        script = self.script(
            _IMPORTS + "for _ in range(5):\n"
            "    print(twistedcam.Client(address).read()[0], flush=True)\n"
            "print('dropped', flush=True)\n"
            "sys.stdin.read()\n",
            self.address,
        )
        await script.said("(True\n){5}dropped")
        await self.ended()
        while (await self.camera())["state"] != "closed":
            await turn()

    async def test_left_loop(self) -> None:
        """A loop over the pictures that is left by break, an exception or a return ends its connection."""
        await self.serve_test()
        script = self.script(
            _IMPORTS + "for image in twistedcam.Client(address):\n"
            "    break\n"
            "try:\n"
            "    for image in twistedcam.Client(address):\n"
            "        1 / 0\n"
            "except ZeroDivisionError:\n"
            "    pass\n"
            "def first():\n"
            "    for image in twistedcam.Client(address):\n"
            "        return image\n"
            "print(first().shape, flush=True)\n"
            "sys.stdin.read()\n",
            self.address,
        )
        await script.said(r"\(240, 320, 3\)")
        await self.ended()

    async def test_circle(self) -> None:
        """A client in a reference cycle ends its connection when the garbage is collected, in whatever thread."""
        await self.serve_test()
        await self.ran(
            "import gc\n"
            "from twisted.internet import reactor\n"
            "from twisted.internet.threads import blockingCallFromThread\n"
            "gc.disable()\n"
            "for collect in (gc.collect, lambda: blockingCallFromThread(reactor, gc.collect)):\n"
            "    client = twistedcam.Client(address)\n"
            "    print(client.read()[0])\n"
            "    client.itself, connector = client, client._watching._connector\n"
            "    del client\n"
            "    collect()\n"
            "    while connector.running:\n"
            "        pass\n"
        )

    async def test_interpreter_exit(self) -> None:
        """A script that ends with open clients, in a generator that closes one too, ends at once and says nothing."""
        await self.serve_test()
        output = await self.ran(
            "import warnings\n"
            "warnings.simplefilter('always', ResourceWarning)\n"
            "def images():\n"
            "    with twistedcam.Client(address) as client:\n"
            "        yield from client\n"
            "found, client = images(), twistedcam.Client(address)\n"
            "print(next(found).shape, client.read()[0])\n"
            "import builtins, time\n"
            "builtins.found, builtins.client = found, client\n"
        )
        self.assertEqual(output, "(240, 320, 3) True\n")

    async def test_stopped_reactor(self) -> None:
        """When a script has stopped the reactor, clients say so, close at once, and new ones are refused."""
        await self.serve_test()
        output = await self.ran(
            "from twisted.internet import reactor\n"
            "client = twistedcam.Client(address, timeout=None)\n"
            "client.read()\n"
            "reactor.callFromThread(reactor.stop)\n"
            "try:\n"
            "    while True:\n"
            "        client.read()\n"
            "except twistedcam.WatchError as error:\n"
            "    print(error, client.problem == str(error), client.isOpened())\n"
            "client.close()\n"
            "try:\n"
            "    twistedcam.Client(address)\n"
            "except RuntimeError as error:\n"
            "    print(error)\n"
        )
        self.assertIn("the reactor was stopped True False\nthe reactor cannot be started (", output)


class ForkTests(ServedTestCase):
    """Forked processes, which have no thread of the reactor."""

    async def test_multiprocessing(self) -> None:
        """A client made in the child, and one made before the fork, both read there; the parent's goes on."""
        await self.serve_test()
        output = await self.ran(
            "import multiprocessing, os, warnings\n"
            "warnings.simplefilter('ignore', DeprecationWarning)\n"
            "context = multiprocessing.get_context('fork')\n"
            "client = twistedcam.Client(address)\n"
            "print(client.read()[0], flush=True)\n"
            "def child(results):\n"
            "    results.put(client.read()[0])\n"
            "    results.put(client.problem)\n"
            "    with twistedcam.Client(address) as another:\n"
            "        results.put(another.read()[0])\n"
            "    client.close()\n"
            "for _ in range(2):\n"
            "    results = context.Queue()\n"
            "    process = context.Process(target=child, args=(results,))\n"
            "    process.start()\n"
            "    print([results.get() for _ in range(3)])\n"
            "    process.join()\n"
            "    print(process.exitcode, client.read()[0], client.problem)\n"
        )
        self.assertEqual(output, "True\n" + "[True, '', True]\n0 True \n" * 2)

    async def test_fork_of_a_fork(self) -> None:
        """os.fork, twice, from the main thread and after a read; each process ends as usual, with its finalizers."""
        await self.serve_test()
        output = await self.ran(
            "import os, warnings\n"
            "warnings.simplefilter('ignore', DeprecationWarning)\n"
            "client = twistedcam.Client(address)\n"
            "def read(generation):\n"
            "    print(generation, client.read()[0], flush=True)\n"
            "    if generation < 2:\n"
            "        child = os.fork()\n"
            "        if not child:\n"
            "            return read(generation + 1)\n"
            "        assert os.waitpid(child, 0)[1] == 0\n"
            "        print(generation, client.read()[0], flush=True)\n"
            "read(0)\n"
        )
        self.assertEqual(output, "0 True\n1 True\n2 True\n1 True\n0 True\n")

    async def test_dropped(self) -> None:
        """A client that a forked process drops or closes unused stays connected in the first one."""
        await self.serve_test()
        output = await self.ran(
            "import os, warnings\n"
            "warnings.simplefilter('ignore', DeprecationWarning)\n"
            "client, other = twistedcam.Client(address), twistedcam.Client(address)\n"
            "print(client.read()[0], other.read()[0], flush=True)\n"
            "port = client._watching._connector._factory.connection\n"
            "child = os.fork()\n"
            "if not child:\n"
            "    client.close()\n"
            "    print(client.read(), client.problem, flush=True)\n"
            "    del client, other\n"
            "    sys.exit()\n"
            "os.waitpid(child, 0)\n"
            "print(client.read()[0], other.read()[0])\n"
            "print(port is client._watching._connector._factory.connection)\n"
        )
        self.assertEqual(output, "True True\n(False, None) the client was closed\nTrue True\nTrue\n")

    async def test_before_it_runs(self) -> None:
        """Where the reactor was only imported before the fork, both processes read at the same time."""
        await self.serve_test()
        output = await self.ran(
            "import os\n"
            "from twisted.internet import reactor\n"
            "child = os.fork()\n"
            "with twistedcam.Client(address) as client:\n"
            "    found = [client.read()[0] for _ in range(20)]\n"
            "if child:\n"
            "    assert os.waitpid(child, 0)[1] == 0\n"
            "print(all(found), flush=True)\n"
        )
        self.assertEqual(output, "True\nTrue\n")

    async def test_serve(self) -> None:
        """A forked process serves, too, while the first one serves its own images."""
        script = self.script(
            "import os, sys, numpy, twistedcam, warnings\n"
            "warnings.simplefilter('ignore', DeprecationWarning)\n"
            "image = numpy.zeros((48, 64, 3), numpy.uint8)\n"
            "twistedcam.serve(image, 'first', block=False, listen='unix:first', http='off')\n"
            "child = os.fork()\n"
            "if not child:\n"
            "    twistedcam.serve(image, 'second', block=False, listen='unix:second', http='off')\n"
            "sys.stdin.read()\n"
        )
        self.addCleanup(script.transport.closeStdin)  # type: ignore[union-attr]  # which ends both
        await script.said("listening on first")
        await script.said("listening on second")
        for name in ("first", "second"):
            viewer = self.twistd("camstream-client", "--endpoint", f"unix:{name}", "--headless", "--frames", "2")
            self.assertEqual(await viewer.ended, 0, viewer.output + script.output)
            self.assertIn(name, viewer.output)


class ReactorThreadTests(ServedTestCase):
    """In the reactor's own thread, where a wait for it would never end."""

    async def test_refused(self) -> None:
        """Each call that would wait is refused in one line that says what to use; close works."""
        await self.serve_test()
        output = await self.ran(
            "from twisted.internet import reactor\n"
            "from twisted.internet.threads import blockingCallFromThread\n"
            "client = twistedcam.Client(address)\n"
            "calls = (\n"
            "    lambda: twistedcam.Client(address), client.read, client.grab, lambda: client.get(3),\n"
            "    lambda: next(iter(client)), lambda: twistedcam.serve([], listen='unix:x', http='off'),\n"
            ")\n"
            "for call in calls:\n"
            "    try:\n"
            "        blockingCallFromThread(reactor, call)\n"
            "    except RuntimeError as error:\n"
            "        print(error)\n"
            "print(client.read()[0])\n"
            "blockingCallFromThread(reactor, client.close)\n"
            "print(client.read(), client.problem)\n"
        )
        refused = "this would wait for ever in the reactor's own thread: "
        self.assertEqual(output.count(f"{refused}use twistedcam.watch there"), 5)
        self.assertEqual(output.count(f"{refused}call serve() by twisted"), 1)
        self.assertIn("True\n(False, None) the client was closed\n", output)

    async def test_foreign_loop(self) -> None:
        """A reactor that cannot be started, as on a loop of asyncio's that runs already, is an error in one line."""
        self.address = "unix:nothing"
        output = await self.ran(
            "import asyncio\n"
            "from twisted.internet import asyncioreactor\n"
            "async def main():\n"
            "    asyncioreactor.install(asyncio.get_running_loop())\n"
            "    try:\n"
            "        twistedcam.Client(address)\n"
            "    except RuntimeError as error:\n"
            "        print(error)\n"
            "asyncio.run(main())\n"
        )
        self.assertRegex(output, "^the reactor cannot be started \\(.*already running.*\\): use .*\n$")

    async def test_twisted_program(self) -> None:
        """In a program of Twisted's, a coroutine is refused, and a thread of the pool reads."""
        await self.serve_test()
        output = await self.ran(
            "from twisted.internet import defer, task, threads\n"
            "async def main(reactor):\n"
            "    try:\n"
            "        twistedcam.Client(address)\n"
            "    except RuntimeError as error:\n"
            "        print(error)\n"
            "    client = await threads.deferToThread(twistedcam.Client, address)\n"
            "    print((await threads.deferToThread(client.read))[0])\n"
            "task.react(lambda reactor: task.deferLater(reactor, 0, lambda: None).addCallback(\n"
            "    lambda _: defer.Deferred.fromCoroutine(main(reactor))))\n"
        )
        self.assertRegex(output, "^this would wait for ever in the reactor's own thread: .*\nTrue\n$")


class CaptureTests(ServedTestCase):
    """What scripts for cv2.VideoCapture call."""

    async def test_capture(self) -> None:
        """A script for a capture runs unchanged: size and rate, grab and retrieve, and the loop that reads."""
        await self.serve_test()
        output = await self.ran(
            "import cv2\n"
            "cap = twistedcam.Client(address)\n"
            "print(cap.isOpened(), cap.getBackendName(), cap.set(cv2.CAP_PROP_FRAME_WIDTH, 640))\n"
            "print(cap.get(cv2.CAP_PROP_FRAME_WIDTH), cap.get(cv2.CAP_PROP_FRAME_HEIGHT))\n"
            "print(20 < cap.get(cv2.CAP_PROP_FPS) < 40, cap.get(cv2.CAP_PROP_POS_MSEC))\n"
            "print(cap.retrieve(), cap.grab(), cap.retrieve()[1].shape)\n"
            "count = 0\n"
            "while cap.isOpened():\n"
            "    ok, frame = cap.read(None)\n"
            "    if not ok:\n"
            "        break\n"
            "    count += 1\n"
            "    if count == 5:\n"
            "        cap.release()\n"
            "print(count, cap.grab(), cap.retrieve(), cap.get(cv2.CAP_PROP_FPS) > 0)\n"
        )
        self.assertEqual(
            output,
            "True TWISTEDCAM False\n320.0 240.0\nTrue 0.0\n(False, None) True (240, 320, 3)\n"
            "5 False (False, None) True\n",
        )

    async def test_unknown(self) -> None:
        """Without a server the size and the rate are 0.0, after the time that a read waits, as for OpenCV."""
        self.address = "unix:nothing"
        output = await self.ran(
            "client = twistedcam.Client(address, timeout=0.1)\n"
            "print([client.get(prop) for prop in (3, 4, 5)], client.read(), client.isOpened())\n"
        )
        self.assertIn("[0.0, 0.0, 0.0] (False, None) True\n", output)

    async def test_interrupt(self) -> None:
        """A read without a timeout waits, and Ctrl-C ends it."""
        script: Running = self.script(
            "import twistedcam\n"
            "client = twistedcam.Client('unix:nothing', timeout=None)\n"
            "try:\n"
            "    print('reading', flush=True)\n"
            "    client.read()\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted', client.problem)\n"
        )
        await script.said("reading")
        script.signal("INT")
        self.assertEqual(await script.ended, 0, script.output)
        self.assertRegex(script.output, "interrupted (unix:nothing: .*No such file|connecting to unix:nothing)")
