"""Guards: what a viewer has to prove before it is sent anything, and how that is checked."""

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
from twistedcam.errors import AccessDeniedError
from twistedcam.interfaces import IGuard
from twistedcam.secret import Secret
from twistedcam.text import PrintableFailure
from twistedcam.wire.messages import Challenge, Hello

log = Logger()

KEY_NEEDED = "this camera is shared by a key: use --key"
PASSWORDS_NEED_TLS = "passwords are accepted over TLS only"


@implementer(IGuard)
class KeyGuard:
    """
    Admits viewers that prove that they have the key of a shared camera; before that, the server proves it to them.

    A guard is for one connection: a proof holds for the two nonces of that connection only.
    """

    def __init__(self, secret: int, fingerprint: bytes) -> None:
        self._secret = secret
        self._fingerprint = fingerprint
        self._viewer_nonce = self._server_nonce = ""

    def guessed_name(self, hello: Hello) -> str | None:
        """None: a key has 100 random bits."""
        return None

    async def admit(self, hello: Hello, is_private: bool) -> Challenge | None:
        """Answer the nonce in a first hello with a challenge; check the proof in the second."""
        if hello.proof is None:
            return self._challenge(hello.nonce)
        if not self._server_nonce or not is_proof(hello.proof, self._prove("viewer")):
            raise AccessDeniedError("the key is wrong")
        return None

    def _challenge(self, nonce: str | None) -> Challenge:
        if nonce is None:
            raise AccessDeniedError(KEY_NEEDED)
        if self._server_nonce:
            raise AccessDeniedError("a second nonce was sent on one connection")
        self._viewer_nonce, self._server_nonce = nonce, secrets.token_hex(16)
        return Challenge(self._server_nonce, self._prove("server"))

    def _prove(self, role: str) -> str:
        return prove(self._secret, role, self._viewer_nonce, self._server_nonce, self._fingerprint)


@implementer(IGuard)
class TokenGuard:
    """Admits viewers that show C{token}, in place of a password; see L{twistedcam.access.sharekey.web_token}."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def guessed_name(self, hello: Hello) -> str | None:
        """None: a token has 128 random bits."""
        return None

    async def admit(self, hello: Hello, is_private: bool) -> Challenge | None:
        """Compare the token, in constant time."""
        if hello.password != self._token:
            raise AccessDeniedError("this link is invalid or has expired: ask for the current one")
        return None


class _IWatching(Interface):
    """The interface that twisted.cred logs in for."""


@implementer(IRealm)
class _Realm:
    """Everybody who can log in may watch, and all see the same."""

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
        return interfaces[0], avatarId, lambda: None


@implementer(IUsernamePassword)
class _Password(UsernamePassword):
    """A password that is compared in constant time."""

    def checkPassword(self, password: bytes) -> bool:
        return hmac.compare_digest(self.password, password)


def make_portal(checkers: list[ICredentialsChecker]) -> Portal:
    """A portal for L{PasswordGuard} that asks C{checkers}."""
    for checker in checkers:
        if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
            # Twisted's --auth memory: fills it with text, but names and passwords come as bytes.
            checker.users = {_to_bytes(name): _to_bytes(password) for name, password in checker.users.items()}
    return Portal(_Realm(), checkers)


def _to_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


@implementer(IGuard)
class PasswordGuard:
    """Admits viewers whose name and password a portal of twisted.cred knows."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def guessed_name(self, hello: Hello) -> str | None:
        """The name, if there is a password as well."""
        return None if hello.password is None else hello.user

    async def admit(self, hello: Hello, is_private: bool) -> Challenge | None:
        """Check the name and the password in the hello."""
        if hello.user is None or hello.password is None:
            raise AccessDeniedError("this camera asks for a name and a password: use --user")
        if not is_private:
            raise AccessDeniedError(PASSWORDS_NEED_TLS)
        try:
            await self._portal.login(_Password(hello.user.encode(), hello.password.reveal().encode()), None, _IWatching)
        except UnauthorizedLogin:
            raise AccessDeniedError("the name or password is wrong") from None
        except CancelledError:
            raise
        except Exception:
            log.failure("passwords cannot be checked", PrintableFailure())  # its text may come from a directory service
            raise AccessDeniedError("the server cannot check passwords at present, try again later") from None
        return None
