"""What is shown of the servers that are found on the local network."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from tests.emulated_link import ip
from tests.optional import needs
from tests.processes import ProcessTestCase, Running
from twistedcam import client_tap
from twistedcam.client import discovery
from twistedcam.client.discovery import DiscoveryError, FoundServer, find_servers
from twistedcam.client_tap import Options
from twistedcam.wire.announcement import SERVICE_TYPE, Announcement

_HOST = "10.98.7.1"


def found(*announced: Any, addresses: tuple[str, ...] = ("192.0.2.1",), port: int = 9999, **more: Any) -> FoundServer:
    """A server with this announcement."""
    return FoundServer("desk", addresses, port, Announcement(*announced, **more))


class ShownTests(SynchronousTestCase):
    """The lines for a server."""

    def test_commands(self) -> None:
        """The command to type has the options that the server needs, and no more."""
        for server, words in (
            (found("open", False), ""),
            (found("open", False, port=80), " --port 80"),
            (found("open", True), " --tls"),
            (found("key", True), " --key -"),
            (found("password", True), " --tls --user NAME"),
            (found("password", False, port=80), " --port 80 --user NAME"),
        ):
            self.assertEqual(server.commands(), [f"twistd -n camstream-client --host 192.0.2.1{words}"])

    def test_each_address(self) -> None:
        """There is a command for each address: which one can be reached from here is not known."""
        hosts = [
            command.rpartition(" ")[2]
            for command in found("open", False, addresses=("192.0.2.1", "fe80::1%eth0")).commands()
        ]
        self.assertEqual(hosts, ["192.0.2.1", "fe80::1%eth0"])

    def test_lines(self) -> None:
        """Name, addresses, port, cameras, command and the address for a browser."""
        server = found("open", False, ("desk", "door"), 8080, addresses=("2001:db8::1",))
        self.assertEqual(
            server.describe(),
            [
                "desk: 2001:db8::1, port 9999, open to everybody",
                "  cameras: desk, door",
                "  twistd -n camstream-client --host 2001:db8::1",
                "  http://[2001:db8::1]:8080/",
            ],
        )
        self.assertEqual(len(found("key", True).describe()), 2)


class FakeInfo:
    """What python-zeroconf tells of one service."""

    name = f"\x1b]0;desk\x07{'x' * 500}.{SERVICE_TYPE}"
    port: int | None = 9999
    properties: dict[bytes, bytes | None] = {b"access": b"open"}
    addresses = ["192.0.2.1"]

    def __init__(self, **other: Any) -> None:
        vars(self).update(other)

    def parsed_scoped_addresses(self) -> list[str]:
        return self.addresses


class StrangersTests(SynchronousTestCase):
    """What strangers on the network say."""

    def find(self, *infos: FakeInfo) -> list[FoundServer]:
        """The servers that are found if these answer."""

        async def browse(*ignored: Any) -> list[FakeInfo]:
            return list(infos)

        self.patch(discovery, "_browse", browse)
        self.patch(discovery, "find_spec", lambda name: name)
        return find_servers()

    def test_printable(self) -> None:
        """Names are printable and bounded, and so is the number of addresses."""
        (server,) = self.find(FakeInfo(addresses=[f"192.0.2.{number}" for number in range(99)]))
        self.assertTrue(server.name.isprintable())
        self.assertEqual((len(server.name), len(server.addresses)), (63, 4))

    def test_passed_over(self) -> None:
        """What is incomplete or none of ours is passed over, and the rest is found in order."""
        good = FakeInfo(name=f"b.{SERVICE_TYPE}"), FakeInfo(name=f"a.{SERVICE_TYPE}")
        bad = (
            FakeInfo(port=None),
            FakeInfo(addresses=[]),
            FakeInfo(properties={}),
            FakeInfo(properties={b"access": None}),
        )
        self.assertEqual([server.name for server in self.find(*good, *bad)], ["a", "b"])

    def test_errors(self) -> None:
        """An error of the network is one line."""

        async def browse(*ignored: Any) -> list[Any]:
            raise OSError(101, "Network is\nunreachable")

        self.patch(discovery, "_browse", browse)
        self.patch(discovery, "find_spec", lambda name: name)
        error = self.assertRaises(DiscoveryError, find_servers)
        self.assertIn("Network is\\nunreachable", str(error))

    def test_no_package(self) -> None:
        """Without the package one line says how to install it."""
        self.patch(discovery, "find_spec", lambda name: None)
        error = self.assertRaises(DiscoveryError, find_servers)
        self.assertIn("pip install 'twistedcam[discover]'", str(error))


class OptionTests(TestCase):
    """The option --find."""

    def test_alone(self) -> None:
        """It is refused together with options that would have no effect."""
        for words, named in (
            (["--host", "desk"], "--host"),
            (["--list"], "--list"),
            (["--key", "-"], "--key"),
            (["--headless", "--record", "x.mkv"], "--headless"),
        ):
            error = self.assertRaises(UsageError, Options().parseOptions, ["--find", *words])
            self.assertIn(named, str(error))

    def test_status(self) -> None:
        """The status is 0 if there are servers; the same text as that of a failed command says that there are none."""
        for servers, status in (([found("open", False)], 0), ([], client_tap.NOTHING_FOUND)):
            self.patch(client_tap, "find_servers", lambda servers=servers: servers)
            with redirect_stdout(StringIO()) as output:
                ended = self.assertRaises(SystemExit, Options().parseOptions, ["--find"])
            self.assertEqual(len(output.getvalue().splitlines()), 2 * len(servers))
            self.assertEqual(ended.code, status)

    def test_problem(self) -> None:
        """A network that cannot be asked is one line."""

        def find() -> None:
            raise DiscoveryError("no network")

        self.patch(client_tap, "find_servers", find)
        error = self.assertRaises(UsageError, Options().parseOptions, ["--find"])
        self.assertEqual(str(error), "--find: no network")


@contextmanager
def network(name: str) -> Iterator[None]:
    """A network namespace with a device of its own, whose address is C{_HOST}."""
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "add", "lan", "type", "veth", "peer", "name", "other")
        ip("-n", name, "addr", "add", f"{_HOST}/24", "dev", "lan")
        for device in ("lan", "other"):
            ip("-n", name, "link", "set", device, "up")
        yield
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@needs("zeroconf")
class CommandTests(ProcessTestCase):
    """The commands, on a network of their own."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid():
            raise SkipTest("needs root, for a network of its own")
        self.name = f"twistedcam-find-{os.getpid()}"
        self.network = network(self.name)
        try:
            self.network.__enter__()
        except (OSError, subprocess.CalledProcessError) as error:
            raise SkipTest(f"this machine makes no networks: {error}") from None
        self.addCleanup(self.network.__exit__, None, None, None)

    def there(self, *words: str) -> Running:
        """A command of twistd in that network."""
        return self.start("twistd", "-n", *words, shell=f'set -- ip netns exec {self.name} "$@"')

    async def find(self) -> tuple[int, str]:
        """The status and the output of --find."""
        finding = self.there("camstream-client", "--find")
        return await finding.ended, finding.output

    async def test_found(self) -> None:
        """A shared server is found, with the command to type and without its key; after SIGTERM it is gone."""
        server = self.there(
            "camstream", "--announce", "--share", "--state-dir", "state", "--listen", "tcp:0", "-c", "x=test"
        )
        await server.said("announced on the network as ")
        port = re.findall(r"listening on 0\.0\.0\.0:(\d+)", server.output)[0]
        status, output = await self.find()
        while status:  # on a busy machine its answer may be late
            status, output = await self.find()
        self.assertIn(f"{_HOST}, port {port}, shared by a key\n", output)
        self.assertIn(f"  twistd -n camstream-client --host {_HOST} --port {port} --key -\n", output)
        self.assertNotIn("cameras", output)
        key = Path(self.folder, "state", "share-key.txt").read_text().strip()
        self.assertNotIn(key, output)
        began = time.monotonic()
        server.signal("TERM")
        await server.ended
        self.assertLess(time.monotonic() - began, 5)
        self.assertNotIn("Traceback", server.output)
        status, output = await self.find()
        self.assertEqual((status, output), (1, f"{client_tap.NOTHING_FOUND}\n"))

    async def test_killed_at_once(self) -> None:
        """A server that is stopped while it is being announced ends in time and without a word about that."""
        server = self.there("camstream", "--announce", "--open", "--listen", "tcp:0", "-c", "test")
        await server.said("listening on")
        server.signal("TERM")
        await server.ended
        self.assertNotIn("announced", server.output)
        self.assertNotIn("Traceback", server.output)

    async def test_no_network(self) -> None:
        """Without a network the server says in one line that it is not announced, and serves."""
        ip("-n", self.name, "addr", "flush", "dev", "lan")
        server = self.there("camstream", "--announce", "--open", "--listen", "tcp:0", "-c", "test")
        await server.said("not announced on the network")
        self.assertIn("listening on", server.output)
        ip("-n", self.name, "link", "set", "lo", "down")
        self.assertEqual((await self.find())[0], 1)
