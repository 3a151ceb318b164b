"""Work that may take long or never end, in a thread of its own."""

from __future__ import annotations

import threading
from functools import partial

from twisted.python.threadpool import ThreadPool


class DaemonThread(ThreadPool):
    """
    One daemon thread, for a camera or a decoder.

    A call that never returns blocks neither the reactor's own threads, which are joined when it stops, nor the end of
    the process.
    """

    threadFactory = partial(threading.Thread, daemon=True)  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__(minthreads=0, maxthreads=1, name="daemon")
        self.start()

    def stop(self) -> None:
        """End the thread once its work is done, without waiting for it."""
        threading.Thread(target=super().stop, daemon=True).start()
