"""What a source opens, and what of it may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from twistedcam.secret import Secret, redacted

_ANYWHERE = 6  # a secret of so many characters is also found inside of a word


@dataclass(frozen=True)
class Target:
    """
    A device, path or URL to open.

    Its C{str} is C{shown}, which contains no secret and may appear in a log, on a card and in a report. Only L{reveal}
    returns what is opened. C{secrets} are the parts of it that L{hide} removes from other texts, and C{has_password}
    says whether there is a password among them.
    """

    shown: str
    _opened: Secret = field(repr=False)
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    has_password: bool = field(default=False, repr=False)

    def __str__(self) -> str:
        return self.shown

    def reveal(self) -> str:
        """The device, path or URL itself, with its passwords and tokens: to be opened."""
        return self._opened.reveal()

    def hide(self, text: str) -> str:
        """C{text}, of an error for instance, which may quote the target, without its secrets and those of any URL."""
        text = text.replace(self._opened.reveal(), self.shown)
        found = sorted((secret.reveal() for secret in self.secrets), key=len, reverse=True)
        for secret in found:
            # Short ones would be found in any word: a password "on" in "connection".
            edges = ("", "") if len(secret) >= _ANYWHERE else (r"(?<!\w)", r"(?!\w)")
            text = re.sub(re.escape(secret).join(edges), "***", text)
        return redacted(text)


def plain_target(text: str, shown: str = "") -> Target:
    """The target C{text}, in which there is nothing secret; C{shown} stands for it in texts that viewers see."""
    return Target(shown or text, Secret(text))
