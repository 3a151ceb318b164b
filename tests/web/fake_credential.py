"""The token of a shared camera, for the tests of the web server."""

from __future__ import annotations

from twistedcam.access.sharekey import make_secret, web_token


class FakeCredential:
    """A token that can be renewed."""

    def __init__(self) -> None:
        self.renew(bytes(range(32)))

    def renew(self, fingerprint: bytes) -> None:
        """Have a new token, and this fingerprint."""
        self.fingerprint = fingerprint
        self.token = web_token(make_secret())
