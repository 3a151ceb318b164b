"""When a server is announced on the local network, what of it, and how that is taken back."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import gatherResults
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.optional import needs
from twistedcam.app import announcer, config, service
from twistedcam.app.announcer import Announced, Announcer, Publisher, announced_access, find_announced
from twistedcam.app.config import ConfigError, Local, Open, Passwords, Shared, make_config, parse_cameras
from twistedcam.app.service import Server
from twistedcam.client.discovery import FoundServer, find_servers
from twistedcam.net import reachable
from twistedcam.testing import SteppedThread
from twistedcam.wire.announcement import Announcement

DESK = Announcement("open", False, ("desk",))
THERE = Announced(9999, ("192.0.2.1",), DESK)
ELSEWHERE = Announced(9999, ("198.51.100.1",), DESK)


class FakeListener:
    """A listener at an address, or one that does not listen yet."""

    def __init__(self, address: Any = None, is_tls: bool = False) -> None:
        self.port = None if address is None else self
        self.getHost = lambda: address
        self.is_tls = is_tls


class FoundTests(SynchronousTestCase):
    """Which of the listeners are announced."""

    def find(self, wire: list[FakeListener], web: FakeListener | None = None) -> Announced | None:
        """What is found on a machine with one address."""
        self.patch(announcer, "reachable", lambda host: ["192.0.2.1"] if host == "0.0.0.0" else reachable(host))
        return find_announced(DESK, wire, web)  # type: ignore[arg-type]

    def test_reachable_only(self) -> None:
        """Nothing is announced that only this machine can reach, or that has no IP address."""
        for address in (
            None,
            IPv4Address("TCP", "127.0.0.1", 9999),
            IPv6Address("TCP", "::1", 9999),
            IPv6Address("TCP", "::ffff:127.0.0.1", 9999),
            UNIXAddress("/run/camera"),
            object(),
        ):
            self.assertIsNone(find_announced(DESK, [FakeListener(address)], None))  # type: ignore[list-item]

    def test_onion(self) -> None:
        """The name of an onion service is not announced."""
        onion = FakeListener(type("Onion", (), {"host": "abc.onion", "port": 80})())
        self.assertIsNone(find_announced(DESK, [onion], None))  # type: ignore[list-item]

    def test_no_network(self) -> None:
        """A machine without a network has only its loopback addresses, which are not announced."""
        self.patch(announcer, "reachable", lambda host: ["127.0.0.1"])
        anywhere = FakeListener(IPv4Address("TCP", "0.0.0.0", 9999))
        self.assertIsNone(find_announced(DESK, [anywhere], None))  # type: ignore[list-item]

    def test_true_port(self) -> None:
        """The port is that of the first listener others can reach, at those of its addresses that they can."""
        local = FakeListener(IPv4Address("TCP", "127.0.0.1", 9999))
        open_one = FakeListener(IPv4Address("TCP", "0.0.0.0", 45678), is_tls=True)
        found = self.find([local, open_one, FakeListener(IPv4Address("TCP", "0.0.0.0", 1))])
        self.assertEqual(found, Announced(45678, ("192.0.2.1",), Announcement("open", True, ("desk",))))

    def test_link_local(self) -> None:
        """The zone of an IPv6 address means nothing to other machines."""
        found = self.find([FakeListener(IPv6Address("TCP", "fe80::1%eth0", 9999))])
        self.assertEqual(found and found.addresses, ("fe80::1",))

    def test_web(self) -> None:
        """The web server is named if others can reach it, and not if only this machine can."""
        wire = [FakeListener(IPv4Address("TCP", "0.0.0.0", 9999))]
        web = FakeListener(IPv4Address("TCP", "0.0.0.0", 8443), is_tls=True)
        found = self.find(wire, web)
        assert found is not None
        self.assertEqual((found.announcement.http_port, found.announcement.is_https), (8443, True))
        for local in (FakeListener(IPv4Address("TCP", "127.0.0.1", 8080)), FakeListener()):
            found = self.find(wire, local)
            self.assertEqual(found and found.announcement.http_port, 0)


class FakePublisher:
    """Keeps what it was told; publishing fails with C{error}, if that is set."""

    def __init__(self, on_problem: Callable[[str], None]) -> None:
        self.on_problem = on_problem
        self.published: Announced | None = None
        self.closed = False
        self.error: Exception | None = None

    def publish(self, announced: Announced) -> str:
        self.withdraw()
        if self.error is not None:
            raise self.error
        self.published = announced
        return "vm\x1b"

    def withdraw(self) -> None:
        self.published = None

    def close(self) -> None:
        self.closed = True


class AnnouncerTests(SynchronousTestCase):
    """When it is announced, and taken back."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.callFromThread = lambda call, *args: call(*args)  # type: ignore[attr-defined]
        self.thread = SteppedThread()
        self.found: Announced | None = THERE
        self.publishers: list[FakePublisher] = []
        self.announcer = Announcer(self.reactor, lambda: self.found, self.make_publisher, lambda: self.thread)

    def make_publisher(self, on_problem: Callable[[str], None]) -> FakePublisher:
        """A publisher that the tests see."""
        self.publishers.append(FakePublisher(on_problem))
        return self.publishers[-1]

    def run_reactor(self) -> list[str]:
        """Let the reactor run, and the thread work: the lines of the log."""
        with capturedLogs() as logs:
            self.announcer.startService()
            for call, args, keywords in self.reactor.whenRunningHooks:
                call(*args, **keywords)
            self.work()
        return [formatEvent(event) for event in logs]

    def work(self) -> None:
        """Do all the thread has to do."""
        while self.thread.step():
            pass

    def later(self) -> list[str]:
        """Ten seconds later: the lines of the log."""
        with capturedLogs() as logs:
            self.reactor.advance(10)
            self.work()
        return [formatEvent(event) for event in logs]

    def test_running(self) -> None:
        """It is announced when the reactor runs, and not before; the log shows its name as printable text."""
        self.announcer.startService()
        self.assertEqual(self.publishers, [])
        self.assertEqual(self.run_reactor(), ["announced on the network as vm\\x1b"])
        self.assertEqual(self.publishers[0].published, THERE)

    def test_stopped_before(self) -> None:
        """A server that is stopped before the reactor runs, as after a start that failed, is never announced."""
        self.announcer.startService()
        self.successResultOf(self.announcer.stopService())
        for call, args, keywords in self.reactor.whenRunningHooks:
            call(*args, **keywords)
        self.assertEqual((self.publishers, self.reactor.getDelayedCalls()), ([], []))

    def test_stopped(self) -> None:
        """The stop waits until it is taken back, and leaves nothing behind; it can be started again."""
        self.run_reactor()
        stopped = self.announcer.stopService()
        self.assertNoResult(stopped)
        self.work()
        self.successResultOf(stopped)
        self.assertIsNone(self.publishers[0].published)
        self.assertTrue(self.thread.stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.run_reactor(), ["announced on the network as vm\\x1b"])

    def test_stopped_meanwhile(self) -> None:
        """A stop while it is being announced cuts that short, takes it back after it, and logs nothing."""
        self.announcer.startService()
        for call, args, keywords in self.reactor.whenRunningHooks:
            call(*args, **keywords)
        self.publishers[0].error = ValueError("cut short")
        with capturedLogs() as logs:
            stopped = self.announcer.stopService()
            self.assertTrue(self.publishers[0].closed)
            self.work()
        self.successResultOf(stopped)
        self.assertEqual(list(logs), [])

    def test_stop_in_vain(self) -> None:
        """A network that hangs does not hold up the stop for more than two seconds."""
        self.run_reactor()
        stopped = self.announcer.stopService()
        self.reactor.advance(1.9)
        self.assertNoResult(stopped)
        self.reactor.advance(0.2)
        self.successResultOf(stopped)

    def test_addresses_change(self) -> None:
        """Other addresses are announced within ten seconds; the same ones are not announced again."""
        self.run_reactor()
        self.assertEqual(self.later(), [])
        self.found = ELSEWHERE
        self.assertEqual(len(self.later()), 1)
        self.assertEqual(self.publishers[0].published, ELSEWHERE)
        self.found = None
        self.assertIn("not announced on the network", self.later()[0])
        self.assertIsNone(self.publishers[0].published)

    def test_nothing_yet(self) -> None:
        """With nothing to announce one line says so, and it is announced when there is something."""
        self.found = None
        self.assertIn("not announced on the network", self.run_reactor()[0])
        self.assertEqual(self.later(), [])
        self.found = THERE
        self.later()
        self.assertEqual(self.publishers[0].published, THERE)

    def test_errors(self) -> None:
        """An error is one line, whatever its kind; it is tried again when the addresses have changed."""
        self.found = None
        self.run_reactor()
        for error, found in ((OSError(19, "No such device"), THERE), (RuntimeError(""), ELSEWHERE)):
            self.publishers[0].error, self.found = error, found
            (line,) = self.later()
            self.assertIn(str(error) or "RuntimeError", line)
            self.assertEqual(self.later(), [])

    def test_problem(self) -> None:
        """A problem that its thread tells is one line."""
        self.run_reactor()
        with capturedLogs() as logs:
            self.publishers[0].on_problem("no route\n")
        self.assertEqual(
            [formatEvent(event) for event in logs], ["the server may not be found on the network: no route\\n"]
        )


class ConfigTests(SynchronousTestCase):
    """The option --announce."""

    def configure(self, **given: Any) -> config.ServerConfig:
        """The configuration for these options."""
        return make_config(MemoryReactorClock(), parse_cameras(["test"]), {"announce": True, **given})

    @needs("zeroconf")
    def test_opt_in(self) -> None:
        """It is announced only if that was asked for."""
        self.assertTrue(self.configure(open=True).announce)
        self.assertFalse(self.configure(open=True, announce=False).announce)

    def test_refused(self) -> None:
        """It is refused where nobody else may watch, and without the package it needs, with what to write."""
        error = self.assertRaises(ConfigError, self.configure)
        self.assertIn("--share", str(error))
        self.patch(config, "find_spec", lambda name: None)
        error = self.assertRaises(ConfigError, self.configure, open=True)
        self.assertIn("pip install 'twistedcam[discover]'", str(error))

    def test_access(self) -> None:
        """How viewers are let in has a name."""
        kinds = (Open(), Local(), Shared(None), Passwords(()))  # type: ignore[arg-type]
        self.assertEqual([announced_access(kind) for kind in kinds], ["open", "open", "key", "password"])


class SecretTests(SynchronousTestCase):
    """What strangers are told."""

    @needs("zeroconf")
    def test_names(self) -> None:
        """The names of cameras are announced where everybody may watch, and not where a key is needed."""
        announced: list[Callable[[], Any]] = []
        self.patch(service, "Announcer", lambda reactor, find: announced.append(find) or Service())  # type: ignore[func-returns-value]
        self.patch(service, "find_announced", lambda announcement, wire, web: announcement)
        for given in ({"open": True}, {"share": True, "state-dir": self.mktemp()}):
            cameras = parse_cameras(["desk=test", "door=test"])
            reactor = MemoryReactorClock()
            Server(make_config(reactor, cameras, {"announce": True, **given}), reactor).privilegedStartService()
        self.assertEqual([find().cameras for find in announced], [("desk", "door"), ()])
        self.assertEqual([find().access for find in announced], ["open", "key"])


@needs("zeroconf")
class MulticastTests(TestCase):
    """Real multicast DNS, over the loopback interface."""

    timeout = 60
    here = ("127.0.0.1",)

    def publisher(self) -> Publisher:
        """A publisher, which takes back what it announced when the test ends."""
        self.problems: list[str] = []
        publisher = Publisher(self.problems.append)
        self.addCleanup(deferToThread, publisher.withdraw)
        return publisher

    async def find(self, *names: str) -> dict[str, FoundServer]:
        """The servers that are found, by name; on a busy machine the answers of C{names} may take more than one try."""
        while True:
            found = {server.name: server for server in await deferToThread(find_servers, 2.5, self.here)}
            if set(names) <= set(found):
                return found

    async def test_found_and_gone(self) -> None:
        """A server is found with all it announces, and not any more once that is taken back."""
        publisher = self.publisher()
        announcement = Announcement("key", True, (), 8080, True, "1.2")
        name = await deferToThread(publisher.publish, Announced(45678, self.here, announcement))
        server = (await self.find(name))[name]
        self.assertEqual((server.port, server.addresses, server.announcement), (45678, self.here, announcement))
        await deferToThread(publisher.withdraw)
        self.assertNotIn(name, await self.find())

    async def test_two_servers(self) -> None:
        """Two servers of one machine have different names, even if they start at the same time."""
        announced = [Announced(port, self.here, DESK) for port in (45671, 45672)]
        names = await gatherResults([deferToThread(self.publisher().publish, one) for one in announced])
        found = await self.find(*names)
        self.assertEqual([found[name].port for name in names], [45671, 45672])

    async def test_same_name(self) -> None:
        """A name that is taken, as by another machine of that name, gets a number."""
        announced = Announced(45676, self.here, DESK)
        first = await deferToThread(self.publisher().publish, announced)
        await self.find(first)
        publisher, second = self.publisher(), first
        while second == first:  # on a busy machine the first may answer too late
            second = await deferToThread(publisher.publish, announced)
        self.assertEqual(second, f"{first}-2")

    def test_usual_port(self) -> None:
        """The usual port is not part of the name, nor is the domain of the machine."""
        self.patch(socket, "gethostname", lambda: f"{'h' * 63}.example.org")
        self.assertEqual(announcer._instance_name(9999), "h" * 50)
        self.assertEqual(announcer._instance_name(65535), f"{'h' * 50}-65535")

    async def test_cut_short(self) -> None:
        """A stop while it is being announced does not wait for that."""
        publisher = self.publisher()
        self.patch(threading, "excepthook", lambda args: self.fail(str(args)))
        publisher.close()
        with self.assertRaises(CancelledError):
            await deferToThread(publisher.publish, Announced(45673, self.here, DESK))
        await deferToThread(publisher.withdraw)
        self.assertNotIn(45673, [server.port for server in (await self.find()).values()])

    async def test_first_problem(self) -> None:
        """Of the problems that the package logs, the first is told, once, until it is announced again."""
        publisher = self.publisher()
        await deferToThread(publisher.publish, Announced(45674, self.here, DESK))
        for number in range(3):
            logging.getLogger("zeroconf").warning("no route %d", number)
        self.assertEqual(self.problems, ["no route 0"])

    async def test_no_such_address(self) -> None:
        """An address that this machine does not have is an error."""
        for address in ("192.0.2.77", "2001:db8::77"):
            with self.assertRaises((OSError, RuntimeError)):
                await deferToThread(self.publisher().publish, Announced(45675, (address,), DESK))
