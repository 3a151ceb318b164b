"""Threads that nobody waits for."""

from __future__ import annotations

import threading

from twisted.trial.unittest import TestCase

from twistedcam.threads import DaemonThread


class DaemonThreadTests(TestCase):
    """The real thread."""

    def test_ends(self) -> None:
        """A thread that is stopped finishes its work, and ends."""
        done = threading.Event()
        thread = DaemonThread()
        thread.callInThread(done.set)
        worker = thread.threads[0]
        self.assertTrue(worker.daemon)
        thread.stop()
        worker.join(30)
        self.assertTrue(done.is_set())
        self.assertFalse(worker.is_alive())
