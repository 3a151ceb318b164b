"""Who may watch: what a viewer has to show before it is sent anything."""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from twisted.cred.checkers import ICredentialsChecker, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from zope.interface import Interface, implementer

from twistedcam.access.sharekey import is_proof, prove
from twistedcam.interfaces import AccessDeniedError, IGuard
from twistedcam.wire.messages import Challenge, Hello

log = Logger()


@implementer(IGuard)
class KeyGuard:
    """Lets in who proves to have the key of a shared camera, after proving it itself; for one connection."""

    def __init__(self, secret: int, fingerprint: bytes) -> None:
        self._secret = secret
        self._fingerprint = fingerprint
        self._viewer_nonce = self._server_nonce = ""

    async def admit(self, hello: Hello, is_private: bool) -> Challenge | None:
        """A first hello brings a nonce and gets ours and our proof; the second brings the viewer's proof."""
        if hello.proof is None:
            return self._challenge(hello.nonce)
        if not self._server_nonce or not is_proof(hello.proof, self._prove("viewer")):
            raise AccessDeniedError("the key is wrong")
        return None

    def _challenge(self, nonce: str | None) -> Challenge:
        if nonce is None:
            raise AccessDeniedError("this camera is shared by a key: say --key")
        if self._server_nonce:
            raise AccessDeniedError("a second nonce came")
        self._viewer_nonce, self._server_nonce = nonce, secrets.token_hex(16)
        return Challenge(self._server_nonce, self._prove("server"))

    def _prove(self, role: str) -> str:
        return prove(self._secret, role, self._viewer_nonce, self._server_nonce, self._fingerprint)


class _IWatching(Interface):
    """What a login is for."""


@implementer(IRealm)
class _Realm:
    """All who may log in may watch, and all see the same."""

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
        return interfaces[0], avatarId, lambda: None


@implementer(IUsernamePassword)
class _Password(UsernamePassword):  # type: ignore[misc]
    """A password that is compared in the same time whatever it is."""

    def checkPassword(self, password: bytes) -> bool:
        return hmac.compare_digest(self.password, password)


def make_portal(checkers: list[ICredentialsChecker]) -> Portal:
    """A portal for L{PasswordGuard}, which asks C{checkers}."""
    for checker in checkers:
        if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
            # Twisted's --auth memory: fills it with text, which equals no login's bytes.
            checker.users = {_to_bytes(name): _to_bytes(password) for name, password in checker.users.items()}
    return Portal(_Realm(), checkers)


def _to_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


@implementer(IGuard)
class PasswordGuard:
    """Lets in whom twisted.cred knows by name and password."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    async def admit(self, hello: Hello, is_private: bool) -> Challenge | None:
        """The hello brings both."""
        if hello.user is None or hello.password is None:
            raise AccessDeniedError("this camera asks for a name and a password: say --user")
        if not is_private:
            raise AccessDeniedError("passwords are taken over TLS only")
        try:
            await self._portal.login(_Password(hello.user.encode(), hello.password.encode()), None, _IWatching)
        except UnauthorizedLogin:
            raise AccessDeniedError("name or password is wrong") from None
        except CancelledError:
            raise
        except Exception:
            log.failure("names and passwords cannot be checked")
            raise AccessDeniedError("the server cannot check passwords at present") from None
        return None
