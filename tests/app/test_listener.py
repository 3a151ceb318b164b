"""Listening on endpoints that answer at once, and on those that answer later."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from io import StringIO
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.processes import ProcessTestCase
from twistedcam.app.listener import Listener, StartError


class NamedAddress:
    """An address whose host is a name, as that of an onion service."""

    host = "abc.onion"
    port = 80


@implementer(IListeningPort)
class FakePort:
    """Listens at C{address}."""

    def __init__(self, address: Any) -> None:
        self.address = address
        self.stopped = False

    def startListening(self) -> None:  # noqa: N802
        """Do nothing."""

    def stopListening(self) -> None:  # noqa: N802
        """Set C{stopped}."""
        self.stopped = True

    def getHost(self) -> Any:  # noqa: N802
        """Return C{address}."""
        return self.address


@implementer(IStreamServerEndpoint)
class FakeEndpoint:
    """Answers when C{answer} fires, which may have happened already."""

    def __init__(self, canceller: Callable[[Deferred[Any]], None] | None = None) -> None:
        self.answer: Deferred[Any] = Deferred(canceller)
        self.asked = 0

    def listen(self, protocolFactory: Any) -> Deferred[Any]:
        """Return C{answer}."""
        self.asked += 1
        return self.answer


class FakeReactor(Clock):
    """A reactor that runs unless C{running} is False."""

    running = True

    def callWhenRunning(self, function: Callable[..., object], *args: Any) -> None:  # noqa: N802
        """Call it now, or never."""
        if self.running:
            function(*args)


class Terminal(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


class BrokenTerminal(Terminal):
    """A terminal that is not there any more."""

    def write(self, text: str) -> int:
        """Fail."""
        raise OSError(errno.EIO, "Input/output error")


LOCAL = IPv4Address("TCP", "127.0.0.1", 9998)
PUBLIC = IPv4Address("TCP", "192.0.2.1", 9998)
IN_USE = CannotListenError("127.0.0.1", 9998, OSError(98, "Address already in use"))


class ListenerTests(TestCase):
    """A listener on a fake endpoint."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.endpoint = FakeEndpoint()
        self.port = FakePort(LOCAL)
        self.left: list[int] = []
        self.observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)

    def listener(
        self, is_open: bool = False, may_fail: bool = False, description: str = "onion:80", is_secret: bool = False
    ) -> Listener:
        """A listener that is not started."""
        return Listener(
            self.reactor,
            self.endpoint,
            Factory(),
            description,
            is_open,
            lambda address, is_terminal: [f"go to {address.host}{' with KEY' if is_terminal else ''}"],
            is_secret,
            may_fail=may_fail,
            leave=self.left.append,
        )

    def start(self, **options: Any) -> Listener:
        """A listener started as by twistd."""
        listener = self.listener(**options)
        listener.privilegedStartService()
        listener.startService()
        return listener

    def logged(self) -> list[str]:
        """The lines of the log."""
        return [event["log_format"].format(**event) for event in self.observer]

    def test_fakes(self) -> None:
        """The fakes provide their interfaces."""
        verifyObject(IStreamServerEndpoint, self.endpoint)
        verifyObject(IListeningPort, self.port)

    def test_at_once(self) -> None:
        """An endpoint that answers at once is announced, and closed when the service stops."""
        self.endpoint.answer.callback(self.port)
        listener = self.start()
        self.assertEqual(self.endpoint.asked, 1)
        self.assertIs(listener.port, self.port)
        self.assertEqual(self.logged(), ["listening on 127.0.0.1:9998", "watch with: go to 127.0.0.1"])
        self.successResultOf(listener.stopService())
        self.assertTrue(self.port.stopped)

    def test_without_privileged_start(self) -> None:
        """Under twist, which has no privileged start, it listens when it is started."""
        self.endpoint.answer.callback(self.port)
        listener = self.listener()
        listener.startService()
        self.assertIs(listener.port, self.port)

    def test_late(self) -> None:
        """An endpoint that answers later is asked once, waited for, and announced when it listens."""
        listener = self.start()
        self.assertEqual((self.endpoint.asked, listener.port, self.logged()), (1, None, []))
        self.endpoint.answer.callback(self.port)
        self.assertIs(listener.port, self.port)
        self.assertEqual(self.logged()[0], "listening on 127.0.0.1:9998")
        self.successResultOf(listener.stopService())
        self.assertTrue(self.port.stopped)

    def test_failure_at_once(self) -> None:
        """An endpoint that fails at once fails the start."""
        self.endpoint.answer.errback(IN_USE)
        error = self.assertRaises(StartError, self.start)
        self.assertRegex(str(error), "cannot listen on onion:80: it is in use")
        self.assertEqual(self.left, [])

    def test_late_failure(self) -> None:
        """An endpoint that fails later ends the process with one line and exit status 1."""
        for error, reason in (
            (IN_USE, "it is in use"),
            (OSError(13, "Permission denied"), "Permission denied"),
            (RuntimeError("Tor is not running"), "RuntimeError: Tor is not running"),
        ):
            self.setUp()
            self.start()
            self.endpoint.answer.errback(error)
            (line,) = self.logged()
            self.assertIn(f"cannot listen on onion:80: {reason}", line)
            self.assertEqual(self.left, [1])

    def test_may_fail(self) -> None:
        """If listening may fail, a failure is a warning, at once or later, and it is not tried twice."""
        self.start(may_fail=True)
        self.endpoint.answer.errback(IN_USE)
        self.endpoint = FakeEndpoint()
        self.endpoint.answer.errback(IN_USE)
        self.start(may_fail=True)
        self.assertEqual((self.endpoint.asked, self.left, len(self.logged())), (1, [], 2))
        for line in self.logged():
            self.assertIn("not listening on onion:80: it is in use", line)

    def test_not_local_at_once(self) -> None:
        """A camera that is not open to others is not shown at an address that they can reach."""
        self.port = FakePort(PUBLIC)
        self.endpoint.answer.callback(self.port)
        self.assertRaisesRegex(StartError, "would show the camera to other machines", self.start)
        self.assertTrue(self.port.stopped)

    def test_not_local_late(self) -> None:
        """The same holds for an endpoint that turns out to have such an address later, of any kind."""
        for address in (PUBLIC, NamedAddress(), object()):
            self.setUp()
            self.port = FakePort(address)
            listener = self.start()
            self.endpoint.answer.callback(self.port)
            (line,) = self.logged()
            self.assertIn("would show the camera to other machines", line)
            self.assertEqual((self.left, self.port.stopped, listener.port), ([1], True, None))

    def test_open(self) -> None:
        """A camera that is open to others is served at such addresses, also later, and at a name."""
        self.port = FakePort(NamedAddress())
        listener = self.start(is_open=True)
        self.endpoint.answer.callback(self.port)
        self.assertIs(listener.port, self.port)
        self.assertEqual(self.logged(), ["listening on abc.onion:80", "watch with: go to abc.onion"])

    def test_local(self) -> None:
        """This machine's own addresses need not be open, nor does what systemd listens on."""
        for address, description in ((LOCAL, "x"), (UNIXAddress("/run/cam"), "unix:x"), (PUBLIC, "systemd:x")):
            self.setUp()
            self.reactor.running = False
            self.endpoint.answer.callback(FakePort(address))
            self.assertIsNotNone(self.start(description=description).port)

    def test_secret(self) -> None:
        """A secret is written to a terminal and nowhere else; what is no secret is logged."""
        terminal, file, closed = Terminal(), StringIO(), Terminal()
        closed.close()
        self.port = FakePort(LOCAL)
        for output, shown, logged in (
            (terminal, "watch with: go to 127.0.0.1 with KEY\n", []),
            (file, "", ["watch with: go to 127.0.0.1"]),
            (closed, None, ["watch with: go to 127.0.0.1"]),
            (None, None, ["watch with: go to 127.0.0.1"]),
        ):
            self.setUp()
            self.patch(sys, "__stdout__", output)
            self.endpoint.answer.callback(self.port)
            self.start(is_secret=True)
            self.assertEqual(self.logged()[1:], logged)
            if output is not None and shown is not None:
                self.assertEqual(output.getvalue(), shown)
        self.setUp()
        self.patch(sys, "__stdout__", terminal)
        self.endpoint.answer.callback(self.port)
        self.start()
        self.assertEqual(self.logged()[-1], "watch with: go to 127.0.0.1")

    def test_terminal_closed(self) -> None:
        """A terminal that was closed is no reason to fail."""
        self.patch(sys, "__stdout__", BrokenTerminal())
        self.endpoint.answer.callback(self.port)
        self.assertIs(self.start(is_secret=True).port, self.port)

    def test_stopped_while_pending(self) -> None:
        """A service that is stopped before its endpoint has answered cancels it, silently."""
        cancelled: list[Any] = []
        self.endpoint = FakeEndpoint(cancelled.append)
        listener = self.start()
        self.successResultOf(listener.stopService())
        self.assertEqual(cancelled, [self.endpoint.answer])
        self.assertEqual((self.left, self.logged()), ([], []))

    def test_answers_when_cancelled(self) -> None:
        """An endpoint that answers although it was cancelled does not go on listening."""
        self.endpoint = FakeEndpoint(lambda answer: answer.callback(self.port))
        listener = self.start()
        self.successResultOf(listener.stopService())
        self.assertTrue(self.port.stopped)
        self.assertEqual((listener.port, self.left, self.logged()), (None, [], []))

    def test_cancelled_by_itself(self) -> None:
        """An endpoint that is cancelled by something else has failed like any other."""
        self.start()
        self.endpoint.answer.errback(CancelledError())
        self.assertEqual(self.left, [1])

    def test_started_again(self) -> None:
        """A service that is started again listens again."""
        self.endpoint.answer.callback(self.port)
        listener = self.start()
        listener.stopService()
        self.endpoint.answer = Deferred()
        self.endpoint.answer.callback(FakePort(LOCAL))
        listener.startService()
        self.assertEqual(self.endpoint.asked, 2)
        self.assertIsNot(listener.port, self.port)


class CommandTests(ProcessTestCase):
    """The command, with an endpoint that answers later."""

    async def test_late(self) -> None:
        """It serves when the endpoint listens."""
        server = self.twistd("camstream", "--camera", "test", "--listen", r"late:0.2:unix\:camera")
        await server.said("listening on camera")
        self.assertEqual(await self.watch("--frames", "2").ended, 0)

    async def test_late_failure(self) -> None:
        """It ends with one line and exit status 1 if the endpoint fails."""
        server = self.twistd("camstream", "--camera", "test", "--listen", r"late:0.2:unix\:missing/camera")
        self.assertEqual(await server.ended, 1)
        self.assertEqual(server.output.count("cannot listen on late:0.2:unix"), 1)
        self.assertIn("Server Shut Down", server.output)
        self.assertNotIn("Traceback", server.output)
        self.assertNotIn("Unhandled", server.output)
