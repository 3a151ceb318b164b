"""Recordings by the server: segments, the bound on space, and what goes wrong with disks."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.processes import ProcessTestCase, turn
from tests.test_recording import times
from twistedcam.app.camera_config import RecordingConfig
from twistedcam.app.recorder import RETRY_SECONDS, STALL_SECONDS, CameraRecorder
from twistedcam.app.segments import Segments
from twistedcam.codec import encode_jpeg
from twistedcam.filenames import FileNames
from twistedcam.frame import NO_SIGNAL, stamp
from twistedcam.hub import Hub
from twistedcam.interfaces import ISink
from twistedcam.recording import Recording, RecordingError
from twistedcam.testing import SteppedReactor, SteppedThread

_NOISE = np.random.default_rng(1).integers(0, 255, (96, 128, 3), np.uint8)


class RecorderTestCase(TestCase):
    """A recorder whose thread and clock are stepped."""

    def setUp(self) -> None:
        self.reactor, self.thread, self.hub = SteppedReactor(), SteppedThread(), Hub()
        self.folder = os.path.join(os.path.abspath(self.mktemp()), "clips")
        os.makedirs(os.path.dirname(self.folder))
        self.count = 0

    def start(self, seconds: float = 10.0, keep: int = 10**9) -> CameraRecorder:
        """A recorder that has been started; files have a length and take a limited space."""
        config = RecordingConfig(self.folder, seconds, keep)
        clock = self.reactor.seconds
        recorder = CameraRecorder(self.reactor, "desk", self.hub, config, lambda: self.thread, clock, clock)
        verifyObject(ISink, recorder)
        recorder.startService()
        return recorder

    def give(self, count: int = 1, size: int = 1, **metadata: Any) -> None:
        """Frames, a second apart, each written at once."""
        jpeg = encode_jpeg(np.tile(_NOISE, (size, size, 1)))
        for _ in range(count):
            self.hub.publish(stamp(jpeg, "desk", self.count, self.reactor.seconds(), **metadata))
            self.count += 1
            self.work()
            self.reactor.advance(1)

    def work(self) -> None:
        """Do all that the thread has to do."""
        while self.thread.step():
            self.reactor.advance(0)

    def files(self) -> list[str]:
        """The names of the files, the oldest first."""
        return sorted(name for name in os.listdir(self.folder) if not name.startswith("."))


class SegmentTests(RecorderTestCase):
    """The files."""

    def test_segments(self) -> None:
        """A file ends before the first frame after its length, and each has the true times of its frames."""
        recorder = self.start(seconds=3)
        self.assertTrue(self.hub.is_watched)
        self.give(9)
        recorder.stopService()
        self.work()
        self.assertEqual([times(Path(self.folder, name)) for name in self.files()], [[0, 1, 2]] * 3)
        self.assertFalse(self.hub.is_watched)

    def test_keep(self) -> None:
        """The oldest files of this camera are deleted, and no others, so that all stay within the bound."""
        os.mkdir(self.folder)
        others = ("desk-old.mkv", "door-19700101-000000.mkv", "desk-19700101-000000.mp4")
        for name in others:
            Path(self.folder, name).write_bytes(bytes(10**6))
        old = Path(self.folder, "desk-19700101-000000.mkv")
        old.write_bytes(bytes(10**6))
        os.utime(old, (0, 0))
        recorder = self.start(seconds=2, keep=1_000_000)
        for _ in range(30):
            self.give()
            ours = [name for name in self.files() if name not in others]
            self.assertLess(sum(Path(self.folder, name).stat().st_size for name in ours), 1_000_000)
        self.assertFalse(old.exists())
        self.assertTrue(all(name in self.files() for name in others))
        recorder.stopService()
        self.work()

    def test_large(self) -> None:
        """A file ends early when it takes half of the space."""
        recorder = self.start(seconds=1000, keep=1_000_000)
        self.give(30, size=3)
        self.assertGreater(len(self.files()), 1)
        recorder.stopService()
        self.work()

    def test_no_signal(self) -> None:
        """NO SIGNAL cards are not recorded; the gap in the times remains."""
        recorder = self.start()
        self.give(2)
        self.give(3, state=NO_SIGNAL, reason="gone", since=1.0)
        self.give(1)
        recorder.stopService()
        self.work()
        self.assertEqual(times(Path(self.folder, self.files()[0])), [0, 1, 5])

    def test_outage(self) -> None:
        """An outage longer than a file is not part of one."""
        recorder = self.start(seconds=5)
        self.give(2)
        self.reactor.advance(7200)
        self.give(2)
        recorder.stopService()
        self.work()
        self.assertEqual([times(Path(self.folder, name)) for name in self.files()], [[0, 1]] * 2)

    def test_deleted(self) -> None:
        """When the file that is written is deleted, the recording goes on in another one within a second."""
        recorder = self.start()
        self.give(2)
        (name,) = self.files()
        os.unlink(os.path.join(self.folder, name))
        with capturedLogs() as logs:
            self.give(2)
        self.assertEqual(len(self.files()), 1)
        self.assertRegex(formatEvent(logs[0]), r"^desk: recording goes on in /.*\.mkv: the file was deleted$")
        recorder.stopService()
        self.work()

    def test_similar_names(self) -> None:
        """Cameras whose names become the same letters in a file's name do not delete one another's files."""
        config = RecordingConfig(self.folder, 1.0, 1_000_000)
        clock = self.reactor.seconds
        recorders = [Segments(config, name, clock, clock) for name in ("front door", "front-door")]
        jpeg = encode_jpeg(np.tile(_NOISE, (3, 3, 1)))
        for count in range(20):
            for recorder in recorders:
                recorder.add(stamp(jpeg, "", count, self.reactor.seconds()))
            self.reactor.advance(1)
        for recorder in recorders:
            recorder.close()
        plain = list(filter(FileNames.pattern("front-door", ".mkv"), self.files()))
        self.assertEqual(len(plain) * 2, len(self.files()))
        self.assertGreater(len(plain), 3)

    def test_two_servers(self) -> None:
        """A second server does not record the same camera into the same folder, until the first one has ended."""
        config = RecordingConfig(self.folder, 10.0, 10**9)
        clock = self.reactor.seconds
        first, second = (Segments(config, "desk", clock, clock) for _ in range(2))
        frame = stamp(encode_jpeg(_NOISE), "desk", 0, 0.0)
        first.add(frame)
        self.assertRaisesRegex(RecordingError, "another server", second.add, frame)
        self.assertEqual(len(self.files()), 1)
        first.close()
        second.add(frame)
        second.close()
        self.assertEqual(len(self.files()), 2)

    def test_huge_picture(self) -> None:
        """A picture that takes more than half of the space is not recorded."""
        segments = Segments(RecordingConfig(self.folder, 10.0, 1000), "desk", time.time, time.time)
        self.assertRaisesRegex(
            RecordingError, "--record-keep", segments.add, stamp(encode_jpeg(_NOISE), "desk", 0, 0.0)
        )
        segments.close()

    def test_new_size(self) -> None:
        """When the size of the pictures changes, a new file begins."""
        recorder = self.start()
        self.give(2)
        self.give(2, size=2)
        recorder.stopService()
        self.work()
        self.assertEqual(len(self.files()), 2)

    def test_newest(self) -> None:
        """While a frame is being written at most one waits, which is the newest."""
        recorder = self.start()
        for _ in range(5):
            self.hub.publish(stamp(encode_jpeg(_NOISE), "desk", self.count, float(self.count)))
            self.count += 1
        self.work()
        recorder.stopService()
        self.work()
        self.assertEqual(times(Path(self.folder, self.files()[0])), [0, 4])


class ProblemTests(RecorderTestCase):
    """Disks that cannot be written to."""

    def test_folder_vanishes(self) -> None:
        """A folder that is gone is made again, but not the one that it was in: a disk may have been mounted there."""
        recorder = self.start(seconds=1)
        self.give(2)
        shutil.rmtree(self.folder)
        self.give(3)
        self.assertTrue(self.files())
        shutil.rmtree(os.path.dirname(self.folder))
        self.give(3)
        self.assertEqual(recorder.status()["problem"], "the folder cannot be used: No such file or directory")
        self.assertFalse(os.path.exists(os.path.dirname(self.folder)))
        recorder.stopService()
        self.work()

    def test_full(self) -> None:
        """A full disk is told once, tried again every 30 seconds, leaves no empty files, and is got over."""
        recorder = self.start()
        full = OSError(errno.ENOSPC, "No space left on device", self.folder)
        with capturedLogs() as logs, patch.object(Recording, "_next_time", side_effect=full):
            for _ in range(3):
                self.give()
                self.assertEqual(recorder.status()["problem"], "No space left on device")
                self.assertFalse(recorder.may_begin())
                self.assertEqual(self.files(), [])
                self.reactor.advance(RETRY_SECONDS)
        (line,) = [formatEvent(event) for event in logs]
        self.assertRegex(line, "^desk: not recorded: /.*: No space left on device; trying again every 30 s$")
        self.give()
        self.assertEqual(recorder.status()["problem"], "")
        self.assertEqual(len(self.files()), 1)
        recorder.stopService()
        self.work()

    def test_unforeseen(self) -> None:
        """An error of another kind ends the file, not the recording; it is logged with its traceback."""
        recorder = self.start()
        with patch.object(Recording, "add", side_effect=KeyError("x")):
            self.give()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.reactor.advance(RETRY_SECONDS)
        self.give()
        self.assertEqual(recorder.status()["problem"], "")
        recorder.stopService()
        self.work()

    def test_slow_disk(self) -> None:
        """A disk that does not answer is reported, and recorded on again once it does."""
        recorder = self.start()
        self.hub.publish(stamp(encode_jpeg(_NOISE), "desk", 0, 0.0))
        with capturedLogs() as logs:
            self.reactor.advance(STALL_SECONDS)
            self.assertEqual(recorder.status()["problem"], "the disk has not answered for 10 s")
            self.work()
        self.assertEqual(len(logs), 2)
        self.assertEqual(recorder.status()["problem"], "")
        self.give()
        recorder.stopService()
        self.work()
        self.assertEqual((len(self.files()), self.reactor.getDelayedCalls()), (1, []))

    def test_hanging_disk(self) -> None:
        """A disk that hangs keeps the server from stopping for three seconds only, which is said in one line."""
        recorder = self.start()
        self.hub.publish(stamp(encode_jpeg(_NOISE), "desk", 0, 0.0))
        stopped = recorder.stopService()
        self.assertNoResult(stopped)
        with capturedLogs() as logs:
            self.reactor.advance(3)
        self.successResultOf(stopped)
        (line,) = [formatEvent(event) for event in logs]
        self.assertEqual(line, "desk: the last recording is not finished: the disk has not answered for 3 s")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_never_started(self) -> None:
        """A recorder that was never started can be stopped."""
        config = RecordingConfig(self.folder, 1, 1)
        self.successResultOf(CameraRecorder(self.reactor, "desk", self.hub, config).stopService())


class ProcessTests(ProcessTestCase):
    """The server as people start it."""

    async def test_disk_full(self) -> None:
        """A file that cannot grow ends in one line; what it has can be played, and viewers go on."""
        words = ("camstream", "--camera", "desk=test", "--record", "clips", "--listen", "unix:camera")
        server = self.start("twistd", "-n", *words, shell="ulimit -f 200")
        await server.said("desk: not recorded: .*File too large; trying again")
        (path,) = Path(self.folder, "clips").glob("*.mkv")
        self.assertGreater(len(times(path)), 5)
        self.assertEqual(await self.watch("--frames", "10").ended, 0)
        server.signal("TERM")
        await server.ended
        self.assertEqual(server.output.count("not recorded"), 1)
        self.assertNotIn("Traceback", server.output)

    async def test_record(self) -> None:
        """Nobody watches, and files are written that can be played, also the last one after SIGTERM."""
        server = self.serve("--camera", "desk=test,record=clips,record-segment=1")
        await server.said("desk: live")
        folder = Path(self.folder, "clips")
        while not folder.is_dir() or len(list(folder.glob("*.mkv"))) < 2:
            await turn()
        server.signal("TERM")
        await server.ended
        for path in folder.glob("*.mkv"):
            self.assertGreater(len(times(path)), 0)
        self.assertNotIn("Traceback", server.output)
