"""The reactor for scripts."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.processes import ProcessTestCase, turn
from twistedcam.app.background import ReactorError, running_reactor


class RunningTests(TestCase):
    """In a process whose reactor is running already."""

    async def test_running(self) -> None:
        """That reactor is returned unchanged, but not in its own thread."""
        await turn()
        seconds = reactor.seconds
        self.assertIs(await deferToThread(running_reactor, "do without"), reactor)
        self.assertEqual(reactor.seconds, seconds)
        message = "this would wait for ever in the reactor's own thread: do without"
        error = self.assertRaises(ReactorError, running_reactor, "do without")
        self.assertEqual(str(error), message)
        self.assertIsInstance(error, RuntimeError)


class ScriptTests(ProcessTestCase):
    """In a process whose reactor is not running."""

    async def test_thread(self) -> None:
        """It runs in a daemon thread, once, with a monotonic clock, and its log goes to Python's logging."""
        script = self.script(
            "import logging, threading, time\n"
            "logging.basicConfig(level=logging.INFO, format='%(name)s: %(message)s')\n"
            "from twisted.internet.threads import blockingCallFromThread\n"
            "from twisted.logger import Logger\n"
            "from twistedcam.app.background import running_reactor\n"
            "reactor = running_reactor('')\n"
            "print(running_reactor('') is reactor, reactor.seconds is time.monotonic)\n"
            "thread = blockingCallFromThread(reactor, threading.current_thread)\n"
            "print(thread.name, thread.daemon)\n"
            "Logger('test').info('a line')\n"
        )
        self.assertEqual(await script.ended, 0, script.output)
        for line in ("True True\n", "twistedcam True\n", "twistedcam: a line\n"):
            self.assertIn(line, script.output)
