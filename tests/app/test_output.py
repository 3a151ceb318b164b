"""Standard output and standard error that hold nobody up, over real pipes."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import pty
import signal
import sys
import time
from typing import Any, TextIO

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.processes import ProcessTestCase, Running
from twistedcam.app import output
from twistedcam.app.output import MAX_WAITING_BYTES, QueuedStream


def fill(descriptor: int) -> None:
    """Fill the pipe C{descriptor}, to the last byte."""
    os.set_blocking(descriptor, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(descriptor, b"x" * size)
    os.set_blocking(descriptor, True)


class QueuedStreamTests(SynchronousTestCase):
    """A stream that is a pipe."""

    def setUp(self) -> None:
        self.reading, self.writing = os.pipe()
        self.stream = QueuedStream(self.file("utf-8"))

    def tearDown(self) -> None:
        # Closed for reading first, which ends the write that the thread may be in; and for writing when the thread has
        # nothing left to write, or it would write to what has the same descriptor next.
        with contextlib.suppress(OSError):
            os.close(self.reading)
        with self.stream._changed:
            self.assertTrue(self.stream._changed.wait_for(lambda: not self.stream._waiting, 30))
        with contextlib.suppress(OSError):
            os.close(self.writing)

    def file(self, encoding: str) -> TextIO:
        """The pipe as a text file."""
        return open(self.writing, "w", encoding=encoding, closefd=False)

    def finish(self) -> None:
        """Let everything be written, which takes no time if the pipe is read."""
        self.stream.finish(time.monotonic() + 30)

    def written(self) -> str:
        """What has been written, after the pipe is closed for writing."""
        self.finish()
        os.close(self.writing)
        with open(self.reading, closefd=False) as file:
            return file.read()

    def test_in_order(self) -> None:
        """Lines come out completely and in order, also one without an end."""
        for number in range(100):
            print("line", number, file=self.stream)
        print("the end", end="", file=self.stream)
        self.assertEqual(self.written(), "".join(f"line {number}\n" for number in range(100)) + "the end")

    def test_unread(self) -> None:
        """Writing to a full pipe does not block and is bounded; once it is read, the lines left out are counted."""
        fill(self.writing)
        line = "y" * 999 + "\n"
        kept = -(-MAX_WAITING_BYTES // 1000)
        for _ in range(10 * kept):
            self.stream.write(line)
        self.assertLess(self.stream._waiting_bytes, MAX_WAITING_BYTES + 1000)
        read = b""
        while read.count(b"\n") < kept:
            read += os.read(self.reading, 65536)
        self.finish()
        self.stream.write("and on\n")
        told = self.written()
        self.assertEqual(told, f"{9 * kept} lines were left out here: nobody read them in time\nand on\n")

    def test_finish(self) -> None:
        """At the end a pipe that nobody reads is waited for until the deadline only, by later lines too."""
        fill(self.writing)
        self.stream.write("line\n")
        self.stream.finish(time.monotonic() - 1)
        self.stream.write("a last line\n")
        self.stream.finish(time.monotonic() + 30)  # the first deadline stays

    def test_later_lines(self) -> None:
        """Lines after the end are written when C{write} returns: the process may be gone right after."""
        self.finish()
        self.stream.write("a last line\n")
        self.assertEqual(os.read(self.reading, 100), b"a last line\n")

    def test_closed(self) -> None:
        """What is written to a closed pipe is lost, and nothing is kept."""
        os.close(self.reading)
        for _ in range(10):
            self.stream.write("line\n")
        self.finish()
        self.assertEqual((self.stream._waiting_bytes, self.stream._left_out), (0, 0))

    def test_not_blocking(self) -> None:
        """A pipe that somebody has made non-blocking loses nothing."""
        fill(self.writing)
        os.set_blocking(self.writing, False)
        self.stream.write("line\n")
        read = b""
        while not read.endswith(b"line\n"):
            read += os.read(self.reading, 65536)

    def test_encoding(self) -> None:
        """What the encoding does not have is written as an escape sequence."""
        self.stream = QueuedStream(self.file("ascii"))
        self.stream.write("K\u00fcche \udcff\n")
        self.assertEqual((self.stream.encoding, self.written()), ("ascii", "K\\xfcche \\udcff\n"))

    def test_as_before(self) -> None:
        """It tells what the stream is."""
        self.assertEqual((self.stream.isatty(), self.stream.fileno()), (False, self.writing))
        self.assertTrue(self.stream.writable())
        ours, theirs = pty.openpty()
        with open(ours, "w") as _, open(theirs, "w") as terminal:
            self.assertTrue(QueuedStream(terminal).isatty())

    def test_fork(self) -> None:
        """In a child, which has no copy of the thread, writing goes on, and nothing is written twice."""
        print("parent", file=self.stream)
        self.finish()
        child = os.fork()
        if not child:
            self.stream._deadline = None
            print("child", file=self.stream)
            self.finish()
            os._exit(0)
        os.waitpid(child, 0)
        self.assertEqual(self.written(), "parent\nchild\n")


class InstallTests(SynchronousTestCase):
    """The streams of the process."""

    def setUp(self) -> None:
        self.calls: list[Any] = []
        self.patch(atexit, "register", self.calls.append)

    def addSystemEventTrigger(self, *call: Any) -> None:  # noqa: N802
        """Keep the call, in place of a reactor."""
        self.calls.append(call)

    def install(self, stdout: Any, original: Any) -> Any:
        """Install with these streams, and return C{sys.stdout}."""
        for name, value in (("stdout", stdout), ("__stdout__", original), ("stderr", None), ("__stderr__", None)):
            self.patch(sys, name, value)
        output.install(self)
        return sys.stdout

    def test_file(self) -> None:
        """A file is queued, under both of its names, and finished when the reactor has stopped, and at the exit."""
        file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        queued = self.install(file, file)
        self.assertIsInstance(queued, QueuedStream)
        self.assertIs(sys.__stdout__, queued)
        self.assertEqual(self.calls, [("after", "shutdown", output.finish), output.finish])
        output.finish()
        self.assertIsNotNone(queued._deadline)

    def test_others(self) -> None:
        """None, what is no file, and what is a replacement already, stay."""
        text = io.StringIO()
        file = io.TextIOWrapper(io.BytesIO())
        for stdout, original in ((None, None), (text, text), (file, text)):
            self.assertIs(self.install(stdout, original), stdout)


class UnreadTests(ProcessTestCase):
    """Commands whose output nobody reads."""

    def start_unread(self, *words: str) -> tuple[Running, int]:
        """C{twistd -n} whose output is a pipe, and the end of it to read; it is full at the start."""
        reading, writing = os.pipe()
        for descriptor in (reading, writing):
            self.addCleanup(os.close, descriptor)
        fill(writing)
        path = f"/proc/{os.getpid()}/fd/{writing}"
        return self.start("twistd", "-n", *words, shell=f"exec >{path} 2>&1"), reading

    async def assert_serves(self, *words: str) -> None:
        """A server with these words gives frames, and ends soon after SIGTERM."""
        server, _ = self.start_unread(*words, "camstream", "--camera", "test", "--listen", "unix:camera")
        self.assertEqual(await self.watch("--frames", "30").ended, 0)
        asked = time.monotonic()
        server.signal("TERM")
        await server.ended
        self.assertEqual(server.signalled, signal.SIGTERM)
        self.assertLess(time.monotonic() - asked, 5)

    async def test_server(self) -> None:
        """A server whose output nobody reads serves, and hears SIGTERM."""
        await self.assert_serves()

    async def test_journal(self) -> None:
        """The same holds for a journal that has stopped."""
        await self.assert_serves("--logger", "twistedcam.journal.observer")

    async def test_viewer(self) -> None:
        """A viewer whose output nobody reads ends when it is done."""
        self.serve("--camera", "test")
        words = ("camstream-client", "--endpoint", "unix:camera", "--headless", "--frames", "5")
        viewer, _ = self.start_unread(*words)
        self.assertEqual(await viewer.ended, 0)

    async def test_failing_viewer(self) -> None:
        """The same holds for one that fails, which keeps its exit status."""
        self.serve("--camera", "test")
        words = ("camstream-client", "--endpoint", "unix:camera", "--headless", "--camera", "none")
        viewer, _ = self.start_unread(*words)
        self.assertEqual(await viewer.ended, 1)

    async def test_read_late(self) -> None:
        """A list of cameras comes out completely when the pipe is read at last."""
        self.serve(*(word for number in range(50) for word in ("--camera", f"camera-{number}=test")))
        words = ("camstream-client", "--endpoint", "unix:camera", "--headless", "--list")
        viewer, reading = self.start_unread(*words)

        def read() -> bytes:
            told = b""
            while b"Server Shut Down" not in told:
                told += os.read(reading, 65536)
            return told

        told = (await deferToThread(read)).decode()
        self.assertEqual(await viewer.ended, 0)
        listed = [line for line in told.lstrip("x").splitlines() if line.startswith("camera-")]
        self.assertEqual(listed, [f"camera-{number}" for number in range(50)])

    async def test_closed_pipe(self) -> None:
        """A server whose output was closed, as by C{head -1}, serves, and hears SIGTERM."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        path = f"/proc/{os.getpid()}/fd/{writing}"
        server = self.start(
            "twistd", "-n", "camstream", "--camera", "test", "--listen", "unix:camera", shell=f"exec >{path} 2>&1"
        )
        os.read(reading, 10)
        os.close(reading)
        self.assertEqual(await self.watch("--frames", "30").ended, 0)
        server.signal("TERM")
        await server.ended.addTimeout(10, reactor)
        self.assertEqual(server.signalled, signal.SIGTERM)
