"""The viewer as a service: how its parts are put together, what its keys do, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.logger import Logger

from twistedcam import recording
from twistedcam.client import overlay
from twistedcam.client.config import ClientConfig
from twistedcam.client.connector import Connector
from twistedcam.client.recorder import Recorder
from twistedcam.client.report import Report
from twistedcam.client.session import Session
from twistedcam.client.snapshot import Snapshot
from twistedcam.client.timelapse import TimeLapse
from twistedcam.client.window import Window
from twistedcam.filenames import FileNames
from twistedcam.frame import Frame
from twistedcam.interfaces import IDisplay, IOutput
from twistedcam.threads import DaemonThread

log = Logger()


class Program(MultiService):
    """
    Connects to a server, gives each frame to its outputs, and ends: C{leave} is called once, with the exit status.

    C{monotonic} measures time and C{now} is the time of day, both in seconds. Without C{display} there is no window;
    for one, C{make_thread} returns the thread in which pictures are decoded.
    """

    def __init__(
        self,
        config: ClientConfig,
        reactor: Any,
        monotonic: Callable[[], float],
        now: Callable[[], float],
        leave: Callable[[int], None],
        display: IDisplay | None = None,
        make_thread: Callable[[], Any] = DaemonThread,
    ) -> None:
        super().__init__()
        self._config = config
        self._leave = leave
        self._is_leaving = False
        self._names = FileNames(".", now)
        self.session = Session(monotonic, self._frame, self._fail, config.allow_pickle, self._cameras_received)
        self.recorder = Recorder(monotonic, self._say, self._recording_failed, config.record)
        self.window = None if display is None else self._make_window(reactor, display, make_thread)
        self._outputs = self._make_outputs()
        self._connector = Connector(
            reactor, config.address, self.session, config.camera, config.max_message_bytes, config.adapt, config.prefix
        )
        self._connector.setServiceParent(self)

    def _make_window(self, reactor: Any, display: IDisplay, make_thread: Callable[[], Any]) -> Window:
        return Window(
            reactor,
            display,
            self._names,
            self._quit,
            make_thread,
            self._status,
            self._notice,
            banner=lambda: self.recorder.status,
            keys={"r": self._toggle_recording, "n": self._next_camera},
        )

    def _make_outputs(self) -> Sequence[IOutput]:
        config = self._config
        outputs: list[IOutput] = [] if self.window is None else [self.window]
        outputs += [Report(self.session), self.recorder]
        if config.snapshot_every:
            outputs.append(TimeLapse(self.session.monotonic, config.snapshot_every, self._names))
        if config.snapshot:
            outputs.append(Snapshot(config.snapshot, self._quit, self._fail))
        return outputs

    def startService(self) -> None:
        """Open the window and connect. If twistd goes to the background, it has done so by now."""
        if self.window is not None:
            self.window.start()
        super().startService()

    def stopService(self) -> Any:
        """End the outputs, and close the connection."""
        self.session.stop()
        for output in self._outputs:
            output.stop()
        return super().stopService()

    def _frame(self, frame: Frame) -> None:
        for output in self._outputs:
            output.frame(frame)
        if 0 < self._config.frames <= self.session.received:
            self._quit()

    def _status(self, frame: Frame) -> list[str]:
        shown = 0 if self.window is None else self.window.shown
        missed = self.session.dropped + self.session.received - shown
        return overlay.status_lines(frame, str(self._config.address), self.session.fps(), missed)

    def _notice(self) -> str:
        session = self.session
        return overlay.notice(session.state, session.problem, str(self._config.address), session.newest is not None)

    def _say(self, message: str) -> None:
        if self.window is not None:
            self.window.say(message)

    def _toggle_recording(self) -> None:
        newest = self.session.newest
        if self.recorder.is_recording:
            self.recorder.stop()
        elif newest is None:
            self._say("there is no picture yet")
        else:
            self.recorder.start(self._names.new_path(newest, recording.SUFFIX))

    def _recording_failed(self, problem: str) -> None:
        if self._config.record and self.window is None:
            self._fail(problem)
            return
        log.error("{problem}", problem=problem)
        self._say(problem)

    def _next_camera(self) -> None:
        names, newest = self.session.cameras, self.session.newest
        if len(names) < 2 or newest is None:
            self._say("the server has no other camera")
            return
        name = _after(newest.camera, names)
        self._connector.choose(name)
        self._say(f"camera {name}")

    def _cameras_received(self) -> None:
        if self._config.lists_cameras:
            for name in self.session.cameras:
                print(name, file=sys.__stdout__, flush=True)
            self._quit()

    def _fail(self, reason: str) -> None:
        log.error("{reason}", reason=reason)
        self._end(1)

    def _quit(self) -> None:
        self._end(0)

    def _end(self, status: int) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            self.session.stop()
            self._leave(status)


def _after(name: str, names: Sequence[str]) -> str:
    """The name that follows C{name}; the first one after the last, or if it is not among them."""
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]
