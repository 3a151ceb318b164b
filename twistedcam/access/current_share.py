"""The share that a running server uses: it follows the files, which another process may replace."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from twistedcam.access.share import REFUSAL, make_share, over_tls
from twistedcam.access.share_folder import ShareError, ShareFolder
from twistedcam.secret import Secret
from twistedcam.text import printable

log = Logger()


class CurrentShare:
    """
    The share in C{folder}; if there is none, one is made and stored.

    With C{renew} it is a new one, which is stored when L{keep} is called. Constructing it raises L{ShareError}.
    """

    def __init__(self, folder: ShareFolder, now: Callable[[], float], renew: bool = False) -> None:
        self._folder = folder
        self._state: object = None  # of the folder when it was last read
        self._problem = ""  # why it could not be read
        self._is_new, self._is_kept = renew, False
        self._share = make_share(now()) if renew else folder.load_or_make(now)

    @property
    def secret(self) -> int:
        """The secret that the key holds."""
        return self._share.secret

    @property
    def key(self) -> Secret:
        """The secret as text, for a viewer's C{--key}."""
        return self._share.key

    @property
    def token(self) -> Secret:
        """The token that browsers send in place of the key."""
        return self._share.token

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the certificate in DER form."""
        return self._share.fingerprint

    def over_tls(self, factory: IProtocolFactory, refusal: bytes = REFUSAL) -> TLSMemoryBIOFactory:
        """C{factory} behind TLS with the present certificate; a peer that does not speak TLS is sent C{refusal}."""
        return over_tls(factory, lambda: self._share, refusal)

    def keep(self) -> None:
        """
        Store the share if it is a new one; later calls do nothing.

        Raises L{ShareError}, and then what was stored before is still there.
        """
        if self._is_kept:
            return
        if self._is_new:
            self._folder.store(self._share)
        self._is_kept = True
        self._keep_link()
        log.info("the key is in {file}", file=printable(str(self._folder.key_file)))

    def follow(self) -> bool:
        """Take the share from the folder if its files have changed. Returns whether it has another key than before."""
        state = self._folder.state()
        if state == self._state:
            return False
        try:
            share = self._folder.load()
        except ShareError as error:
            self._report(str(error))
            return False
        self._state, self._problem = state, ""
        is_renewed = share.secret != self.secret
        if is_renewed or share.fingerprint != self.fingerprint:
            self._share = share
            self._keep_link()
        return is_renewed

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            log.warn("the key cannot be read again, and the one from before stays valid: {reason}", reason=problem)
        self._problem = problem

    def _keep_link(self) -> None:
        try:
            self._folder.store_link(self.token)
        except ShareError as error:  # as in a folder that cannot be written to: the key is valid all the same
            log.warn("the link for browsers cannot be stored: {reason}", reason=str(error))
