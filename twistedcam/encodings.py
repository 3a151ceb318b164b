"""The encodings in which the pictures of a camera are served, by name."""

from __future__ import annotations

ENCODING_JPEG, ENCODING_PICKLE = "jpeg", "pickle"

# Smaller pictures on request, as fractions of the full width. There are only a few of
# them, so that asking for many different sizes cannot make us encode many times.
DIVISORS = {ENCODING_JPEG: 1, "jpeg/2": 2, "jpeg/4": 4, "jpeg/8": 8}
ENCODINGS = (*DIVISORS, ENCODING_PICKLE)
SMALLER = ("jpeg/2", "jpeg/4")  # sent over links that are too slow for the full pictures


def encoding_for(width: int, full_width: int) -> str:
    """The smallest JPEG encoding at least C{width} pixels wide, given the width of the full picture."""
    large_enough = (name for name, divisor in reversed(DIVISORS.items()) if full_width // divisor >= width)
    return next(large_enough, ENCODING_JPEG)


def ladder_from(encoding: str) -> list[str]:
    """The encodings for a viewer that wants C{encoding}, and smaller ones if its link is slow."""
    return [encoding, *(smaller for smaller in SMALLER if DIVISORS[smaller] > DIVISORS[encoding])]
