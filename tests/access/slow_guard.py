"""A guard whose checks take as long as a test wants."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from twistedcam.interfaces import IGuard
from twistedcam.wire.messages import Challenge, Hello


@implementer(IGuard)
class SlowGuard:
    """Decides when the test fires C{checks}, one for each hello."""

    def __init__(self) -> None:
        self.checks: list[Deferred[Challenge | None]] = []

    def guessed_name(self, hello: Hello) -> str | None:
        """None: attempts are not throttled."""
        return None

    async def admit(self, hello: Hello, is_private: bool) -> Challenge | None:
        """Wait for the test."""
        self.checks.append(Deferred())
        return await self.checks[-1]
