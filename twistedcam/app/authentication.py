"""How viewers authenticate: the TLS, guards and authenticators of the server's listeners."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twistedcam.access.connections import Connections
from twistedcam.access.current_share import CurrentShare
from twistedcam.access.guards import KeyGuard, PasswordGuard, make_portal
from twistedcam.access.share_folder import ShareError, ShareFolder
from twistedcam.app.config import Access, Local, Passwords, Shared
from twistedcam.app.instructions import watch_commands, web_urls
from twistedcam.app.listener import StartError
from twistedcam.interfaces import IGuard
from twistedcam.web.authenticators import BasicAuthenticator, RequestAuthenticator, TokenAuthenticator

log = Logger()

_FOLLOW_SECONDS = 1.0  # between two checks of the files of a key
_NO_TLS = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nthis server speaks TLS only: use https\n"


class Authentication(Service):
    """
    No authentication: viewers are let in without credentials. The base class of the other kinds.

    C{is_open} says whether other machines may connect, C{is_secret} whether the instructions for viewers contain a
    secret. It is started after the listeners, and not at all if one of them fails at once.
    """

    is_secret = False

    def __init__(self, is_open: bool = True) -> None:
        self.is_open = is_open

    def watch_commands(self, address: Any, is_terminal: bool) -> list[str]:
        """The commands for viewers over TCP; with the secret, if there is one and a terminal shows them."""
        return watch_commands(address)

    def web_urls(self, is_tls: bool, address: Any, is_terminal: bool) -> list[str]:
        """The links for browsers; with the secret, if there is one and a terminal shows them."""
        return web_urls(address, is_tls)

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
    """
    Viewers show the key of a shared camera, over TLS; browsers show a token derived from it.

    The files of the key are followed: when another process renews it, the new key is used, and all connections end.
    """

    is_secret = True

    def __init__(self, access: Shared, clock: IReactorTime, connections: Connections, now: Callable[[], float]) -> None:
        super().__init__()
        self._folder = ShareFolder(access.state_dir)
        self._connections = connections
        with _starting():
            self._share = CurrentShare(self._folder, now, access.renew)
        self._following = LoopingCall(self._follow)
        self._following.clock = clock

    def privilegedStartService(self) -> None:
        """Store the key, if it was renewed. Raises L{StartError}."""
        super().privilegedStartService()
        self._keep()

    def startService(self) -> None:
        """Follow the files, and store the key if that is not done yet: C{twist} has no privileged start."""
        super().startService()
        self._keep()
        self._following.start(_FOLLOW_SECONDS, now=False).addErrback(
            lambda failure: log.failure("the key in {folder} is not followed", failure, folder=self._folder.path)
        )

    def stopService(self) -> None:
        """Stop following the files."""
        super().stopService()
        if self._following.running:
            self._following.stop()

    def watch_commands(self, address: Any, is_terminal: bool) -> list[str]:
        """The commands with the key, or with a prompt for it."""
        return watch_commands(address, self._share.key.reveal() if is_terminal else "-")

    def web_urls(self, is_tls: bool, address: Any, is_terminal: bool) -> list[str]:
        """The links with the token, or with the name of the file that contains it."""
        end = (
            f"?key={self._share.token.reveal()}"
            if is_terminal
            else f" followed by the text in {self._folder.link_file}"
        )
        return web_urls(address, True, end)

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
        return TokenAuthenticator(self._share)

    def _keep(self) -> None:
        with _starting():
            self._share.keep()

    def _follow(self) -> None:
        if self._share.follow():
            log.info("the key was renewed: connections that were let in by the old one end")
            self._connections.end_all("the key was renewed")


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    try:
        yield
    except ShareError as error:
        raise StartError(f"--share: {error}") from None


def prepare_authentication(
    access: Access, clock: IReactorTime, connections: Connections, now: Callable[[], float]
) -> Authentication:
    """How C{access} authenticates; a key is read, or made if there is none. Raises L{StartError}."""
    if isinstance(access, Passwords):
        return PasswordAuthentication(access)
    if isinstance(access, Shared):
        return KeyAuthentication(access, clock, connections, now)
    return Authentication(is_open=not isinstance(access, Local))
