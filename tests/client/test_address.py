"""A server's address, as people write it."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.client.fakes import FakeServer
from twistedcam.access.credentials import KeyCredentials, NoCredentials, PasswordCredentials
from twistedcam.access.sharekey import KeyTextError
from twistedcam.client.address import Address, AddressError, parse_host
from twistedcam.errors import TwistedcamError
from twistedcam.interfaces import ICredentials
from twistedcam.secret import Secret

KEY = "28T5-CY4T-QKFF-04HM-ASW9-BF31"


class ParseTests(SynchronousTestCase):
    """Hosts, ports, IPv6 and endpoint strings."""

    def test_hosts(self) -> None:
        """A host may have a port; an IPv6 address needs brackets only if it has one."""
        for text, host, port in (
            ("desk", "desk", 9999),
            ("desk:80", "desk", 80),
            ("10.0.0.1:99", "10.0.0.1", 99),
            ("[::1]:99", "::1", 99),
            ("[::1]", "::1", 9999),
            ("::1", "::1", 9999),
            ("fe80::1%eth0", "fe80::1%eth0", 9999),
            ("[fe80::1%eth0]:99", "fe80::1%eth0", 99),
            ("münchen.example:99", "münchen.example", 99),
            ("cam_1.local.", "cam_1.local.", 9999),
        ):
            address = Address.parse(text)
            self.assertEqual((address.host, address.port, address.endpoint), (host, port, ""), text)

    def test_written(self) -> None:
        """An address is shown as people write it."""
        for text, shown in (("desk", "desk:9999"), ("::1", "[::1]:9999"), ("unix:/run/camera", "unix:/run/camera")):
            self.assertEqual(str(Address.parse(text)), shown)

    def test_endpoints(self) -> None:
        """Endpoint strings of all kinds are told apart from hosts."""
        for text in (
            "unix:/run/camera",
            "unix:5",
            "tcp:desk:99",
            "tcp:desk",
            "ssl:desk:99",
            "tls:desk:99",
            "onion:x:80",
        ):
            self.assertEqual(Address.parse(text).endpoint, text)

    def refused(self, text: Any) -> str:
        """The one line of the error for C{text}."""
        error = self.assertRaises(AddressError, lambda: Address.parse(text).to_endpoint(reactor))
        self.assertNotIn("\n", str(error))
        self.assertLess(len(str(error)), 250)
        self.assertIsInstance(error, ValueError)
        self.assertIsInstance(error, TwistedcamError)
        return str(error)

    def test_refused(self) -> None:
        """What is not an address is refused in one line that says what to write."""
        for text in ("", " ", "desk ", "a desk", ":80", "[::1", "[desk]", "[desk]:80", "[::1]80", "::1:99999", "-1"):
            self.assertIn("HOST:PORT", self.refused(text))
        for text in ("99999", "1.2.3.256", "1.2.3.4.5", ".", "a..b", "desk/x", "me@desk", "/run/camera", "x" * 300):
            self.assertIn("HOST:PORT", self.refused(text))
        self.assertIn("is not an endpoint", self.refused("desk:x"))

    def test_wrong_types(self) -> None:
        """What is not a string is refused in the same way."""
        for value in (None, b"desk", 9999, ("desk", 9999)):
            self.assertIn("is not a string: write HOST", self.refused(value))

    def test_wrong_ports(self) -> None:
        """The port has to be a number from 1 to 65535."""
        ports = ("0", "65536", "99999", "-1", "", "80 ", "80:1", "8" * 5000, "٣")
        for text in (
            "127.0.0.1:x",
            "[::1]:x",
            *(f"{host}:{port}" for host in ("127.0.0.1", "[::1]") for port in ports),
        ):
            self.assertIn("a port is a number from 1 to 65535", self.refused(text))
        for text in ("desk:0", "desk:", "unix:", "tcp:", "desk:-1", "desk:80:1"):
            self.assertIn("a port is a number from 1 to 65535", self.refused(text))

    def test_urls(self) -> None:
        """A URL is refused with the address to write instead; what may be a password in it is not shown."""
        for text, advice in (
            ("http://desk:8000/stream", "as desk:9999"),
            ("https://me:secret@10.0.0.1/", "as 10.0.0.1:9999"),
            ("camstream://[::1]:99", "as [::1]:9999"),
            ("rtsp://", "as HOST:PORT"),
        ):
            error = self.refused(text)
            self.assertTrue(error.endswith(advice), error)
            self.assertNotIn("secret", error)


class HostTests(SynchronousTestCase):
    """Hosts whose port is given apart."""

    def test_hosts(self) -> None:
        """A name or an IP address; the brackets of an IPv6 address are left out."""
        for text, host in (("desk", "desk"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("[::1]", "::1")):
            self.assertEqual(parse_host(text), host)

    def test_refused(self) -> None:
        """What can never be a host is refused in one line that says what to write."""
        for text, message in (
            ("127.0.0.1:29101", "write them apart, the host as 127.0.0.1 and the port as 29101"),
            ("[::1]:99", "write them apart, the host as ::1 and the port as 99"),
            ("http://desk:8000/", "a URL (http://) is not an address: write the host"),
            ("", "write the name of a machine"),
            ("desk:", "write the name of a machine"),
            ("127.0.0.1:29101:1", "write the name of a machine"),
            ("unix:/run/camera", "write the name of a machine"),
            ("[desk]", "write the name of a machine"),
            ("a desk", "write the name of a machine"),
            ("desk:" + "8" * 5000, "write them apart"),
        ):
            error = self.assertRaises(AddressError, parse_host, text)
            self.assertIn(message, str(error))
            self.assertNotIn("\n", str(error))


class EndpointTests(SynchronousTestCase):
    """The endpoints that addresses stand for."""

    def test_host(self) -> None:
        """A host and a port."""
        for text, shown in (("desk:80", "desk:80"), ("[::1]:99", "[::1]:99")):
            endpoint = Address.parse(text).to_endpoint(reactor)
            self.assertEqual(repr(endpoint), f"<HostnameEndpoint {shown}>")

    def test_string(self) -> None:
        """An endpoint string, refused if it is not valid."""
        endpoint = Address.parse("unix:/run/camera").to_endpoint(reactor)
        self.assertEqual(type(endpoint).__name__, "UNIXClientEndpoint")
        error = self.assertRaises(AddressError, Address.parse("carrier-pigeon:x").to_endpoint, reactor)
        self.assertEqual(
            str(error),
            "'carrier-pigeon:x' is not an endpoint (Unknown endpoint type: 'carrier-pigeon'): "
            "write it like tcp:HOST:9999",
        )

    def test_object(self) -> None:
        """An endpoint of one's own."""
        server = FakeServer()
        self.assertIs(Address(endpoint=server).to_endpoint(reactor), server)

    def test_over_tls(self) -> None:
        """With TLS the endpoint is wrapped."""
        endpoint = Address().with_tls().to_endpoint(reactor)
        self.assertNotIsInstance(endpoint, HostnameEndpoint)
        error = self.assertRaises(AddressError, Address().with_tls, b"no certificate")
        self.assertIn("holds no certificate in PEM", str(error))


class CredentialsTests(SynchronousTestCase):
    """The credentials that addresses bring along."""

    def test_kinds(self) -> None:
        """None, a key over TLS, or a password; no representation shows a secret."""
        plain = Address()
        for address, kind, over_tls in (
            (plain, NoCredentials, False),
            (plain.with_key(KEY), KeyCredentials, True),
            (plain.with_password("me", Secret("secret")), PasswordCredentials, False),
        ):
            credentials = address.make_credentials()
            self.assertIsInstance(credentials, kind)
            self.assertEqual(address.tls is not None, over_tls)
            self.assertTrue(verifyObject(ICredentials, credentials))
            self.assertNotIn("secret", repr(address))
        self.assertRaises(KeyTextError, plain.with_key, "1234")
