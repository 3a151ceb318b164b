"""The key of a shared camera: 100 random bits; both sides prove that they have them, without sending them."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from twistedcam.errors import TwistedcamError
from twistedcam.secret import Secret

SECRET_BITS = 100
_CHECK_BITS = 20
# Crockford's base 32: no I, L, O or U, which are read as 1, 1, 0 and V.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("ILOU", "110V", " -\t")
_LENGTH = (SECRET_BITS + _CHECK_BITS) // 5


class KeyTextError(TwistedcamError, ValueError):
    """A text that is not a key; the message says what is wrong with it."""


def make_secret() -> int:
    """A new secret."""
    return secrets.randbits(SECRET_BITS)


def write_key(secret: int) -> str:
    """The secret as text: 24 letters and digits in groups of four, the last of which is a checksum."""
    number = secret << _CHECK_BITS | _check(secret)
    letters = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))
    return "-".join(letters[at : at + 4] for at in range(0, _LENGTH, 4))


def read_key(text: str) -> int:
    """
    The secret in a key. Raises L{KeyTextError}.

    Case, spaces and hyphens do not matter, and letters that look like digits are read as those.
    """
    letters = text.upper().translate(_READ_AS)
    for letter in letters:
        if letter not in _ALPHABET:
            raise KeyTextError(f"a key never contains {letter!r}")
    if len(letters) != _LENGTH:
        raise KeyTextError(f"a key has {_LENGTH} letters and digits, this one has {len(letters)}")
    number = 0
    for letter in letters:
        number = number << 5 | _ALPHABET.index(letter)
    secret = number >> _CHECK_BITS
    if _check(secret) != number & (1 << _CHECK_BITS) - 1:
        raise KeyTextError("there is a typing error in it: compare it letter by letter")
    return secret


def prove(secret: int, role: str, viewer_nonce: str, server_nonce: str, fingerprint: bytes) -> str:
    """
    The proof that C{role}, "server" or "viewer", has the secret: HMAC-SHA256 in hexadecimal.

    It is valid for one connection (the nonces), one certificate (C{fingerprint}) and one role only.
    """
    words = [b"twistedcam share 1", role.encode(), viewer_nonce.encode(), server_nonce.encode(), fingerprint]
    message = b"".join(len(word).to_bytes(4, "big") + word for word in words)
    return hmac.new(secret.to_bytes(13, "big"), message, hashlib.sha256).hexdigest()


def web_token(secret: int) -> Secret:
    """The token that a browser sends in place of the key: 128 bits derived from it, which do not reveal it."""
    return Secret(hmac.new(secret.to_bytes(13, "big"), b"twistedcam web 1", hashlib.sha256).hexdigest()[:32])


def is_proof(claimed: object, proof: str) -> bool:
    """Whether C{claimed} is C{proof}, compared in constant time."""
    return isinstance(claimed, str) and hmac.compare_digest(claimed.encode(), proof.encode())


def _check(secret: int) -> int:
    digest = hashlib.sha256(b"twistedcam key check" + secret.to_bytes(13, "big")).digest()
    return int.from_bytes(digest, "big") >> 256 - _CHECK_BITS
