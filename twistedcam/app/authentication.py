"""How viewers authenticate: the TLS, guards and authenticators of the server's listeners."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from twistedcam.access.guards import KeyGuard, PasswordGuard, make_portal
from twistedcam.access.share import Share, ShareError, load
from twistedcam.access.sharekey import web_token
from twistedcam.app.config import Access, Local, Passwords, Shared
from twistedcam.app.listener import StartError
from twistedcam.interfaces import IGuard
from twistedcam.secret import Secret
from twistedcam.web.authenticators import BasicAuthenticator, RequestAuthenticator, TokenAuthenticator

log = Logger()

_NO_TLS = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nthis server speaks TLS only: use https\n"


class Authentication:
    """
    No authentication: viewers are let in without credentials. The base class of the other kinds.

    C{is_open} says whether other machines may connect. C{key} and C{token} are the secrets to show over TCP and over
    HTTP, or None.
    """

    key: Secret | None = None
    token: Secret | None = None

    def __init__(self, is_open: bool = True) -> None:
        self.is_open = is_open

    def over_tcp(self, factory: IProtocolFactory) -> IProtocolFactory:
        """C{factory}, wrapped in TLS if viewers have to use it."""
        return factory

    def over_http(self, factory: IProtocolFactory) -> IProtocolFactory:
        """C{factory}, wrapped in TLS if HTTP clients have to use it."""
        return factory

    def make_guard(self) -> IGuard | None:
        """The guard of one connection over TCP, or None if it needs none."""
        return None

    def make_authenticator(self) -> RequestAuthenticator | None:
        """How HTTP requests show credentials, or None if they need none."""
        return None


class PasswordAuthentication(Authentication):
    """Viewers show a name and a password."""

    def __init__(self, access: Passwords) -> None:
        super().__init__()
        self._portal = make_portal(list(access.checkers))

    def make_guard(self) -> IGuard:
        """A guard that checks passwords."""
        return PasswordGuard(self._portal)

    def make_authenticator(self) -> RequestAuthenticator:
        """HTTP's basic authentication."""
        return BasicAuthenticator(PasswordGuard(self._portal))


class KeyAuthentication(Authentication):
    """Viewers show the key of a shared camera, over TLS; browsers show a token derived from it."""

    token: Secret

    def __init__(self, share: Share) -> None:
        super().__init__()
        self._share = share
        self.key = share.key
        self.token = web_token(share.secret)
        self.fingerprint = share.fingerprint

    def over_tcp(self, factory: IProtocolFactory) -> IProtocolFactory:
        """TLS, with a refusal that viewers without TLS understand."""
        return self._share.over_tls(factory)

    def over_http(self, factory: IProtocolFactory) -> IProtocolFactory:
        """TLS, with a refusal that browsers without TLS understand."""
        return self._share.over_tls(factory, _NO_TLS)

    def make_guard(self) -> IGuard:
        """A guard that checks the key."""
        return KeyGuard(self._share.secret, self._share.fingerprint)

    def make_authenticator(self) -> RequestAuthenticator:
        """A link that contains a token."""
        return TokenAuthenticator(self)


def prepare_authentication(access: Access) -> Authentication:
    """How C{access} authenticates; a key is read, or made if there is none or C{renew} is set. Raises L{StartError}."""
    if isinstance(access, Passwords):
        return PasswordAuthentication(access)
    if isinstance(access, Shared):
        return KeyAuthentication(_load_share(access))
    return Authentication(is_open=not isinstance(access, Local))


def _load_share(access: Shared) -> Share:
    try:
        share = load(access.state_dir, access.renew)
    except ShareError as error:
        raise StartError(f"--share: {error}") from None
    log.info("shared by the key kept in {folder}", folder=access.state_dir)
    return share
