"""The options of C{twistd camstream-client}."""

from __future__ import annotations

import atexit
import io
import os
import sys
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import TestCase

from twistedcam import client_tap
from twistedcam.access.credentials import KeyCredentials, NoCredentials, PasswordCredentials
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
        """Each option has its place in the configuration; paths are absolute."""
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

    def test_endpoint(self) -> None:
        """An endpoint takes the place of host and port."""
        self.assertEqual(str(parse("--endpoint", "unix:/run/camera", "--headless").address), "unix:/run/camera")

    def test_access(self) -> None:
        """A key, TLS with or without an authority, and a password."""
        Path("password").write_text("secret\n")
        self.addCleanup(os.remove, "password")
        password = ("--user", "me", "--password-file", "password")
        for words, kind, over_tls in (
            ((), NoCredentials, False),
            (("--key", KEY), KeyCredentials, True),
            (("--tls",), NoCredentials, True),
            (("--tls", *password), PasswordCredentials, True),
            (password, PasswordCredentials, False),
        ):
            address = parse("--headless", *words).address
            self.assertIsInstance(address.make_credentials(), kind)
            self.assertEqual(address.tls is not None, over_tls)

    def test_key_from_the_environment(self) -> None:
        """A key that must not appear in a list of processes comes from the environment."""
        self.patch(os, "environ", {"TWISTEDCAM_KEY": KEY})
        self.assertIsInstance(parse("--headless", "--key", "-").address.make_credentials(), KeyCredentials)


class RefusalTests(TestCase):
    """Options that are wrong are refused in one line, before anything starts."""

    def refused(self, *words: str) -> str:
        """The one line that says what is wrong."""
        message = str(self.assertRaises(usage.UsageError, parse, *words))
        self.assertNotIn("\n", message)
        return message

    def test_refused(self) -> None:
        """The line names the option, and says what to write instead."""
        self.patch(sys, "stdin", io.StringIO())  # not a terminal
        for words, message in (
            (("--port", "0"), "--port: '0' is not a whole number from 1 to 65535"),
            (("--port", "http"), "--port: 'http'"),
            (("--frames", "0"), "--frames: '0'"),
            (("--endpoint", "carrier-pigeon:1"), "--endpoint: 'carrier-pigeon:1' is not an endpoint"),
            (("--endpoint", "tcp"), "write it like tcp:HOST:9999"),
            (("--snapshot", "picture.png"), "--snapshot: "),
            (("--snapshot", "missing/picture.jpg"), "no folder"),
            (("--record", "video.mp4"), "--record: "),
            (("--max-message", "0"), "--max-message: '0'"),
            (("--key", "1234"), "--key: a key has 24 letters and digits, this one has 4"),
            (("--key", "28T5-CY4T-QKFF-04HM-ASW9-BF32"), "there is a typing error in it"),
            (("--key", KEY, "--tls"), "a key needs neither --tls nor --user"),
            (("--key", "-"), "--key: there is no terminal to ask at, set TWISTEDCAM_KEY"),
            (("--ca", "authority.pem"), "--ca: an authority is needed with --tls only"),
            (("--tls", "--ca", "missing.pem"), "--ca: missing.pem: No such file"),
            (("--tls", "--ca", __file__), "holds no certificate in PEM"),
            (("--user", "me", "--password-file", "missing"), "--password-file: "),
        ):
            self.assertIn(message, self.refused("--headless", *words))

    def test_no_display(self) -> None:
        """Where no window can open, the way without one is named."""
        self.patch(sys, "platform", "linux")
        self.patch(os, "environ", {})
        self.assertIn("use --headless", self.refused())


class HelpTests(TestCase):
    """C{--help}."""

    def test_groups(self) -> None:
        """Each option is in one of its groups."""
        options = Options()
        told = options.getUsage(100)
        for option in options.longOpt:
            self.assertRegex(told, rf"--{option.rstrip('=')}[= \n]")
        for group in options.groups:
            self.assertIn(f"\n{group}:\n", told)


class ServiceTests(TestCase):
    """The service that twistd runs."""

    def test_end(self) -> None:
        """What fails sets the exit status of the process and stops the reactor."""
        memory = MemoryReactorClock()
        options = Options()
        options.parseOptions(["--headless", "--host", "127.0.0.1"])
        registered: list[tuple[object, ...]] = []
        self.patch(atexit, "register", lambda *args: registered.append(args))
        makeService(options, memory)._quit()
        self.assertEqual((memory.whenRunningHooks[-1][0], registered), (memory.stop, []))
        makeService(options, memory)._fail("refused")
        self.assertEqual((memory.whenRunningHooks[-1][0], registered[0][1]), (memory.stop, 1))
