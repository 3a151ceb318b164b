"""The options of C{twistd camstream-client}."""

from __future__ import annotations

import os
import struct
from dataclasses import replace

from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError
from twisted.trial.unittest import TestCase

from twistedcam import client_tap
from twistedcam.app import runtime
from twistedcam.client.address import Address
from twistedcam.client.config import ClientConfig
from twistedcam.client_tap import Options, makeService
from twistedcam.wire.framing import read_prefix

KEY = "28T5-CY4T-QKFF-04HM-ASW9-BF31"


def parse(*words: str) -> ClientConfig:
    """The configuration that C{words} make."""
    options = Options()
    options.parseOptions(words)
    return options.config


class ConfigTests(TestCase):
    """What options mean."""

    def test_defaults(self) -> None:
        """Without options the first camera of a server on this machine is watched in a window."""
        self.patch(client_tap, "check_display", lambda: None)
        self.assertEqual(parse(), ClientConfig(Address("127.0.0.1", 9999)))
        self.assertTrue(parse().opens_window)

    def test_all(self) -> None:
        """Each option is in the configuration; paths are absolute."""
        words = "--host desk --port 99 --camera door --list --no-adapt --allow-pickle --max-message 2 --frames 5"
        more = "--prefix >L --snapshot x.jpg --snapshot-every 0.5 --record x.mkv --headless"
        expected = ClientConfig(
            address=Address("desk", 99),
            camera="door",
            lists_cameras=True,
            adapt=False,
            allow_pickle=True,
            max_message_bytes=2 * 1024 * 1024,
            prefix=read_prefix(">L"),
            frames=5,
            snapshot=os.path.abspath("x.jpg"),
            snapshot_every=0.5,
            record=os.path.abspath("x.mkv"),
            headless=True,
        )
        found = parse(*words.split(), *more.split())
        self.assertEqual(found.prefix.format, ">L")
        self.assertEqual(replace(found, prefix=expected.prefix), expected)

    def refused(self, *words: str) -> str:
        """The one line of the error for C{words}."""
        error = self.assertRaises(UsageError, parse, *words)
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_hosts(self) -> None:
        """What cannot be the name of a host is refused at once, with what to write."""
        for host in ("desk", "::1", "10.0.0.1", "b\u00fccher.example", "fe80::1%eth0"):
            self.assertEqual(parse("--headless", "--host", host).address.host, host)
        for host, advice in (
            ("127.0.0.1:29101", "write them apart, the host as 127.0.0.1 and the port as 29101"),
            ("[::1]:99", "write them apart, the host as ::1 and the port as 99"),
            (
                "http://desk:8080/",
                "a URL (http://) is not an address: write the host and the server's own port, as desk",
            ),
            ("two words", "'two words' is not a host: write the name of a machine, such as camera.local, or its IP"),
            ("", "'' is not a host"),
            ("unix:/run/camera", "is not a host"),
        ):
            self.assertIn(advice, self.refused("--headless", "--host", host))

    def test_prefixes(self) -> None:
        """A form of lengths has four or eight bytes in an order that is given."""
        for text in ("<Q", ">L", "!Q", "=I", "<l", ">q", "!i"):
            self.assertEqual(parse("--headless", "--prefix", text).prefix.pack(1), struct.pack(text, 1))
        for text in ("", "Q", "L", "<H", "QQ", ">LL", "8", "<", "@Q"):
            self.assertIn("is not the form of a length", self.refused("--headless", "--prefix", text))

    def test_windows(self) -> None:
        """No window opens where none is wanted or nothing would be shown in it."""
        for words in (("--headless",), ("--list",), ("--snapshot", "x.jpg")):
            self.assertFalse(parse(*words).opens_window)

    def test_end(self) -> None:
        """The viewer ends the process with its status."""
        memory = MemoryReactorClock()
        left: list[tuple[object, int]] = []
        self.patch(runtime, "leave", lambda reactor, status: left.append((reactor, status)))
        options = Options()
        options.parseOptions(["--headless", "--host", "127.0.0.1"])
        makeService(options, memory)._quit()
        makeService(options, memory)._fail("refused")
        self.assertEqual(left, [(memory, 0), (memory, 1)])
