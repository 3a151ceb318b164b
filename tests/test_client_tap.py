"""The options of C{twistd camstream-client}."""

from __future__ import annotations

import os

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from twistedcam import client_tap
from twistedcam.app import runtime
from twistedcam.client.address import Address
from twistedcam.client.config import ClientConfig
from twistedcam.client_tap import Options, makeService

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
        more = "--snapshot x.jpg --snapshot-every 0.5 --record x.mkv --headless"
        expected = ClientConfig(
            address=Address("desk", 99),
            camera="door",
            lists_cameras=True,
            adapt=False,
            allow_pickle=True,
            max_message_bytes=2 * 1024 * 1024,
            frames=5,
            snapshot=os.path.abspath("x.jpg"),
            snapshot_every=0.5,
            record=os.path.abspath("x.mkv"),
            headless=True,
        )
        self.assertEqual(parse(*words.split(), *more.split()), expected)

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
