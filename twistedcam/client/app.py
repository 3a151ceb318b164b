"""One run of the viewer: what it does with frames, what it says, and how it ends."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.internet import ClientService
from twisted.application.service import MultiService
from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from twistedcam import recording
from twistedcam.client import snapshot
from twistedcam.client.connection import CONNECT_SECONDS, RETRY, ReportingEndpoint, ServerConnectionFactory
from twistedcam.client.recorder import Recorder
from twistedcam.client.session import CONNECTED, Viewer
from twistedcam.client.snapshot import SnapshotError
from twistedcam.client.window import Window
from twistedcam.frame import LIVE, Frame
from twistedcam.interfaces import IDisplay
from twistedcam.rates import RateLimit

log = Logger()

MIB = 1024 * 1024
_AGES_REMEMBERED = 10_000


class Program(MultiService):
    """
    One run of the viewer: connects, does with frames what the options say, and ends.

    C{leave} is called once, with the exit status; without a C{display} there is no window.
    """

    def __init__(
        self, options: Mapping[str, Any], reactor: Any, leave: Callable[[int], None], display: IDisplay | None
    ) -> None:
        super().__init__()
        self._leave = leave
        self._leaving = False
        self._frames = options["frames"]
        self._snapshot = options["snapshot"]
        self._record = options["record"]
        self._lists = options["list"]
        self._has_to_record = bool(self._record) and display is None
        seconds = options["snapshot-every"]
        self._timelapse = RateLimit(1 / seconds) if seconds else None
        self._recorder = Recorder(self._recording_failed)
        self._ages: deque[float] = deque(maxlen=_AGES_REMEMBERED)
        self._first_at = 0.0
        self._server = options["endpoint"] or f"{options['host']}:{options['port']}"
        allow_pickle = bool(options["allow-pickle"])
        self.viewer = Viewer(time.monotonic, self._frame, self._fail, allow_pickle, self._told_cameras)
        self.window: Window | None = None
        if display is not None:
            keys = {"r": self._toggle_recording, "n": self._next_camera}
            self.window = Window(
                reactor,
                display,
                self._quit,
                self._status,
                self._notice,
                banner=lambda: self._recorder.status,
                keys=keys,
            )
        limit = options["max-message"] * MIB
        self._factory = ServerConnectionFactory(
            self.viewer, reactor, options["camera"], limit, options["make_credentials"], not options["no-adapt"]
        )
        endpoint = ReportingEndpoint(_endpoint(options, reactor), self._attempt_failed)
        ClientService(endpoint, self._factory, RETRY, clock=reactor).setServiceParent(self)

    def startService(self) -> None:
        """Open the window and connect: after twistd has gone to the background, if it does."""
        if self.window is not None:
            self.window.start()
        super().startService()

    def stopService(self) -> Any:
        """Say what was seen, and close window and connection."""
        if self.window is not None:
            self.window.stop()
        self.viewer.stop()
        self._stop_recording()
        self._report()
        return super().stopService()

    def _frame(self, frame: Frame) -> None:
        viewer = self.viewer
        if viewer.received == 1:
            self._first_at = viewer.monotonic()
        age = frame.age
        if age is not None:
            self._ages.append(age)
        self._keep(frame)
        if self._snapshot is not None:
            self._write_snapshot(frame)
        elif self.window is not None:
            self.window.show(frame)
        if self._frames and viewer.received >= self._frames:
            self._quit()

    def _keep(self, frame: Frame) -> None:
        """Do with C{frame} what recording and time-lapse ask."""
        if self._record is not None:
            path, self._record = self._record, None
            self._recorder.start(path)
        self._recorder.add(frame)
        if self._timelapse is not None and frame.state == LIVE and self._timelapse.due(self.viewer.monotonic()):
            try:
                snapshot.write(frame, snapshot.name_for(frame))
            except SnapshotError as problem:
                log.error("no snapshot: {problem}", problem=problem)

    def _toggle_recording(self) -> None:
        if self._recorder.is_recording:
            self._stop_recording()
        elif self.viewer.newest is None:
            self._say("there is no picture yet")
        else:
            self._recorder.start(snapshot.name_for(self.viewer.newest, suffix=recording.SUFFIX))

    def _stop_recording(self) -> None:
        said = self._recorder.stop()
        if said:
            log.info("{said}", said=said)
            self._say(said)

    def _recording_failed(self, problem: str) -> None:
        if self._has_to_record:
            self._fail(problem)
            return
        log.error("{problem}", problem=problem)
        self._say(problem)

    def _say(self, message: str) -> None:
        if self.window is not None:
            self.window.say(message)

    def _told_cameras(self) -> None:
        if self._lists:
            for name in self.viewer.cameras:
                print(name, file=sys.__stdout__, flush=True)
            self._quit()

    def _next_camera(self) -> None:
        names, newest = self.viewer.cameras, self.viewer.newest
        if len(names) < 2 or newest is None:
            self._say("the server has no other camera")
            return
        at = names.index(newest.camera) if newest.camera in names else -1
        name = names[(at + 1) % len(names)]
        self._factory.choose(name)
        self._say(f"camera {name}")

    def _write_snapshot(self, frame: Frame) -> None:
        try:
            snapshot.write(frame, self._snapshot)
        except SnapshotError as problem:
            self._fail(f"no snapshot: {problem}")
            return
        state = "" if frame.state == LIVE else f" (it shows no live picture: {frame.reason})"
        log.info("snapshot written: {path}{state}", path=self._snapshot, state=state)
        self._quit()

    def _attempt_failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(error.DNSLookupError) and not self.viewer.has_connected:
            self._fail(f"the host of {self._server} is not known: check --host, or write its address")
        elif failure.check(error.ConnectionRefusedError):
            self.viewer.disconnected(f"nothing listens at {self._server}, is the server running?")
        else:
            self.viewer.disconnected(f"{self._server}: {failure.getErrorMessage()}")

    def _fail(self, reason: str) -> None:
        log.error("{reason}", reason=reason)
        self._end(1)

    def _quit(self) -> None:
        self._end(0)

    def _end(self, status: int) -> None:
        if not self._leaving:
            self._leaving = True
            self.viewer.stop()
            self._leave(status)

    def _notice(self) -> str:
        viewer = self.viewer
        if viewer.state != CONNECTED:
            return f"{viewer.state}: {viewer.problem or self._server}"
        return "" if viewer.newest is not None else "waiting for the first picture"

    def _status(self, frame: Frame | None) -> list[str]:
        if frame is None or self.window is None:
            return []
        viewer = self.viewer
        age = frame.age
        missed = viewer.dropped + viewer.received - self.window.shown
        return [
            f"{frame.camera or self._server}: {frame.state}",
            f"{viewer.fps():.1f} fps",
            "age unknown" if age is None else f"age {age * 1000:.0f} ms",
            f"{missed} frames dropped",
            *([f"smaller by {frame.scale}: the link is slow"] if frame.scale > 1 else []),
        ]

    def _report(self) -> None:
        viewer = self.viewer
        seconds = viewer.monotonic() - self._first_at
        if viewer.received < 2 or not seconds:
            return
        log.info(
            "{count} frames in {seconds:.1f} s, {fps:.2f} fps, {dropped} dropped, age {age}",
            count=viewer.received,
            seconds=seconds,
            fps=(viewer.received - 1) / seconds,
            dropped=viewer.dropped,
            age=_summary(sorted(self._ages)),
        )


def _summary(ages: list[float]) -> str:
    if not ages:
        return "unknown"
    median, p99 = ages[len(ages) // 2] * 1000, ages[len(ages) * 99 // 100] * 1000
    return f"{median:.1f} ms (p99 {p99:.1f} ms)"


def _endpoint(options: Mapping[str, Any], reactor: Any) -> IStreamClientEndpoint:
    if options["endpoint"] is not None:
        plain = clientFromString(reactor, options["endpoint"])
    else:
        plain = HostnameEndpoint(reactor, options["host"], options["port"], timeout=CONNECT_SECONDS)
    return wrapClientTLS(options["tls_context"], plain) if options["tls_context"] else plain
