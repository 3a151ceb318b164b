"""Recordings, read back by the library that players use."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import numpy as np
from twisted.trial.unittest import TestCase

from tests.processes import ProcessTestCase, turn
from twistedcam import recording
from twistedcam.capture.mode import Mode
from twistedcam.capture.sources import parse_source
from twistedcam.codec import encode_jpeg, encode_pickle
from twistedcam.frame import Frame, stamp
from twistedcam.recording import Recording, RecordingError

JPEG = encode_jpeg(np.zeros((48, 64, 3), np.uint8))


def times(path: str | Path) -> list[float]:
    """The time at which each frame of a video is shown, in seconds; all of them are decoded."""
    import av

    with av.open(str(path)) as container:
        return [round(float(frame.time or 0), 3) for frame in container.decode(video=0)]


class RecordingTests(TestCase):
    """One file."""

    def setUp(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        self.path = os.path.join(folder, "video.mkv")
        self.now = 0.0
        self.recording = Recording(self.path, lambda: self.now)

    def add(self, *captured: float | None) -> None:
        """Frames that came a tenth of a second after one another, taken at these times."""
        for number, at in enumerate(captured):
            self.now += 0.1
            frame = stamp(JPEG, "desk", number, 0.0 if at is None else at)
            self.recording.add(frame if at is not None else Frame(frame.payload, width=64, height=48))

    def test_uneven(self) -> None:
        """Each frame is shown at its own time of capture, and the file has the length of all of them."""
        self.add(5.0, 5.04, 5.05, 7.0)
        self.recording.close()
        self.assertEqual(times(self.path), [0.0, 0.04, 0.05, 2.0])
        import av

        with av.open(self.path) as container:
            self.assertGreaterEqual(container.duration or 0, 2_000_000)

    def test_rate(self) -> None:
        """No rate is declared but that of the frames, and players that read the file show them at their times."""
        self.add(*(float(count) / 2 for count in range(9)))
        self.recording.close()
        import av

        with av.open(self.path) as container:
            (stream,) = container.streams
            self.assertEqual((stream.average_rate, stream.base_rate), (2, 2))
        camera = parse_source(self.path, ()).open(Mode())
        started = camera.grab()
        later = [round(camera.grab() - started, 2) for _ in range(2)]
        camera.close()
        self.assertEqual(later, [0.5, 1.0])

    def test_as_they_came(self) -> None:
        """The frames are not encoded again."""
        self.add(5.0)
        self.recording.close()
        import av

        with av.open(self.path) as container:
            (packet,) = [packet for packet in container.demux() if packet.size]
            self.assertEqual(Frame.from_jpeg(bytes(packet)).captured, 5.0)

    def test_clock_set(self) -> None:
        """If the camera's clock was set, or has no time, times of arrival are used; times always grow."""
        self.add(5.0, 3605.0, 3605.1, 5.2, 5.2, None)
        self.recording.close()
        self.assertEqual(times(self.path), [0.0, 0.1, 0.2, 0.3, 0.301, 0.401])

    def test_pickle(self) -> None:
        """A pickle's picture is recorded as well; a broken one is skipped."""
        for payload in (encode_pickle(np.zeros((48, 64, 3), np.uint8)), b"\x80\x04."):
            self.recording.add(Frame(payload, width=64, height=48))
        self.recording.close()
        self.assertEqual(len(times(self.path)), 1)

    def test_hostile_frames(self) -> None:
        """Whatever is wrong with a frame, the recording goes on or ends with one line."""
        for number, size in enumerate((-1, 0, 2**31, 2**40)):
            made = Recording(self.path.replace("video", f"video{number}"), lambda: self.now)
            with contextlib.suppress(RecordingError):
                made.add(Frame(JPEG, width=size, height=48, captured=1e12))
                made.add(Frame(JPEG, width=64, height=48, captured=-1e12))
            made.close()

    def test_sizes_change(self) -> None:
        """A stream may change the size of its pictures, as cameras and links do; each frame is in the file."""
        for number, (height, width) in enumerate(((48, 64), (24, 32), (480, 640), (1, 1), (48, 64))):
            self.recording.add(
                stamp(encode_jpeg(np.zeros((height, width, 3), np.uint8)), "desk", number, float(number))
            )
        self.recording.close()
        self.assertEqual(times(self.path), [0.0, 1.0, 2.0, 3.0, 4.0])

    def test_damaged_pictures(self) -> None:
        """Pictures that are cut off, or only a header, are written as they came, and harm none of the others."""
        noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
        whole = stamp(encode_jpeg(noise), "desk", 0, 0.0).payload
        header = whole.index(b"\xff\xda")
        for number, end in enumerate((None, -2, -500, header + 14, header + 2, None)):
            self.recording.add(Frame(whole[:end], width=64, height=48, captured=float(number)))
        self.recording.close()
        self.assertEqual(self.recording.frames, 6)
        import av

        with av.open(self.path) as container:
            packets = [packet for packet in container.demux() if packet.size]
        self.assertEqual([bytes(packet) for packet in (packets[0], packets[-1])], [whole, whole])

    def test_odd_first_frame(self) -> None:
        """A first frame of any proportions that a JPEG can have begins a recording, which later ones go on."""
        for number, (height, width) in enumerate(((65_500, 1), (1, 65_500))):
            made = Recording(self.path.replace("video", f"video{number}"), lambda: self.now)
            made.add(stamp(encode_jpeg(np.zeros((height, width, 3), np.uint8)), "desk", 0, 0.0))
            made.add(stamp(JPEG, "desk", 1, 1.0))
            made.close()
            self.assertEqual(made.frames, 2)

    def test_nothing(self) -> None:
        """Without a frame there is no file."""
        self.recording.close()
        self.assertFalse(os.path.exists(self.path))

    def test_check_path(self) -> None:
        """What cannot be a recording is refused before there is a frame, and no existing file is overwritten."""
        Path(self.path).write_bytes(b"kept")
        folder = os.path.dirname(self.path)
        for path, why in (
            (self.path, "exists already"),
            (os.path.join(folder, "video.mp4"), "end with .mkv"),
            (os.path.join(folder, "gone", "video.mkv"), "no such folder"),
        ):
            self.assertRaisesRegex(RecordingError, why, recording.check_path, path)
        self.assertEqual(Path(self.path).read_bytes(), b"kept")


class ProcessTests(ProcessTestCase):
    """The viewer as people start it."""

    async def test_record(self) -> None:
        """--record writes each frame, and a viewer that is killed leaves what was written so far."""
        server = self.serve("--camera", "test")
        await server.said("listening on")
        self.assertEqual(await self.watch("--frames", "30", "--record", "whole.mkv").ended, 0)
        whole = times(Path(self.folder, "whole.mkv"))
        self.assertEqual(len(whole), 30)
        self.assertTrue(0.8 < whole[-1] < 2, whole)
        killed = self.watch("--record", "killed.mkv")
        path = Path(self.folder, "killed.mkv")
        while not path.exists() or path.stat().st_size < 300_000:
            await turn()
        killed.signal("KILL")
        await killed.ended
        self.assertEqual(killed.signalled, signal.SIGKILL)
        self.assertGreater(len(times(path)), 20)

    async def test_disk_full(self) -> None:
        """Without a window, a recording that cannot go on ends the viewer, with status 1 and one line."""
        server = self.serve("--camera", "test")
        await server.said("listening on")
        words = ("camstream-client", "--endpoint", "unix:camera", "--headless", "--record", "video.mkv")
        viewer = self.start("twistd", "-n", *words, shell="ulimit -f 200")
        self.assertEqual(await viewer.ended, 1)
        self.assertRegex(viewer.output, "the recording has ended: .*File too large")
        self.assertNotIn("Traceback", viewer.output)

    async def test_time_lapse(self) -> None:
        """--snapshot-every writes a picture to a file of its own at each interval."""
        server = self.serve("--camera", "test")
        await server.said("listening on")
        self.assertEqual(await self.watch("--snapshot-every", "0.2", "--frames", "30").ended, 0)
        pictures = [name for name in os.listdir(self.folder) if name.endswith(".jpg")]
        self.assertTrue(3 <= len(pictures) <= 8, pictures)

    async def test_list(self) -> None:
        """--list prints the server's cameras."""
        server = self.serve("--camera", "desk=test", "--camera", "door=test")
        await server.said("listening on")
        viewer = self.watch("--list")
        self.assertEqual(await viewer.ended, 0)
        self.assertRegex(viewer.output, r"(?m)^desk\ndoor$")
