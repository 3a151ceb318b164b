"""A server's address, as people write it."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.client.fakes import FakeServer
from twistedcam.access.credentials import KeyCredentials, NoCredentials, PasswordCredentials
from twistedcam.access.sharekey import KeyTextError
from twistedcam.client.address import Address, AddressError
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
            ("my_cam.local.", "my_cam.local.", 9999),
            ("b\u00fccher.example:80", "b\u00fccher.example", 80),
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

    def test_refused(self) -> None:
        """What is not an address is refused in one line that says what to write."""
        for text in (
            *("", " ", ":80", "desk:", "desk:0", "desk:65536", "desk:99999", "desk:-1", "desk: 80", "10.0.0.1:99:1"),
            *("[::1", "[desk]:80", "[::1]80", "[::1]:", "[::1]:x", "[::1]:0", "::1:", "1:2:3"),
            *(
                "two words",
                "desk\n",
                "me@desk",
                "desk/cam",
                "-desk",
                "desk,door",
                "http://desk:8080/",
                "camstream://desk",
            ),
        ):
            error = self.assertRaises(AddressError, lambda text=text: Address.parse(text).to_endpoint(reactor))
            self.assertNotIn("\n", str(error))
            self.assertIsInstance(error, ValueError)
            self.assertIsInstance(error, TwistedcamError)
        self.assertIn("HOST:PORT", str(self.assertRaises(AddressError, Address.parse, "[desk]")))
        self.assertIn("open it in a browser", str(self.assertRaises(AddressError, Address.parse, "http://desk:8080")))
        for value in (None, b"desk", 9999, ("desk", 9999)):
            self.assertIn("is not a string", str(self.assertRaises(AddressError, Address.parse, value)))


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
