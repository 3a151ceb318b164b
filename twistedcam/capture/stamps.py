"""Times of capture that drivers give."""

from __future__ import annotations

_MAX_AGE_SECONDS = 5.0


def plausible(stamped: float, now: float) -> float:
    """
    The time C{stamped} of a picture that is delivered C{now}, or C{now} if that cannot be right; both by one clock.

    A missing stamp, or one by another clock, is far from now, and a few drivers' stamps are up to a frame in the future
    (those of the kernel's vivid, for one). A picture cannot be newer than its delivery and is hardly ever 5 s older:
    outside of that range, the time of delivery is the best estimate.
    """
    return stamped if 0 <= now - stamped <= _MAX_AGE_SECONDS else now
