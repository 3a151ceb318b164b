"""A daemon thread, for calls that may take long or never return."""

from __future__ import annotations

import threading
from functools import partial

from twisted.python.threadpool import ThreadPool


class DaemonThread(ThreadPool):
    """
    One daemon thread, for a camera or a decoder.

    A call that never returns does not keep the process from ending, as it would in the reactor's own thread pool, whose
    threads are joined when the reactor stops.
    """

    threadFactory = partial(threading.Thread, daemon=True)  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__(minthreads=0, maxthreads=1, name="daemon")
        self.start()

    def stop(self) -> None:
        """End the thread once its work is done, without waiting for it."""
        threading.Thread(target=super().stop, daemon=True).start()
