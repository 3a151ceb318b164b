"""What a source opens, and what of it may be shown."""

from __future__ import annotations

from dataclasses import dataclass

from twistedcam.secret import Secret


@dataclass(frozen=True)
class Target:
    """
    A device, path or URL to open.

    Its C{str} is C{shown}, which contains no secret and may appear in a log, on a card and in a report. Only L{reveal}
    returns what is opened.
    """

    shown: str
    _opened: Secret

    def __str__(self) -> str:
        return self.shown

    def reveal(self) -> str:
        """The device, path or URL itself, with its passwords and tokens: to be opened."""
        return self._opened.reveal()


def plain_target(text: str) -> Target:
    """The target C{text}, in which there is nothing secret."""
    return Target(text, Secret(text))
