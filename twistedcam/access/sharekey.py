"""The key of a shared camera: 100 random bits that both sides prove to have, and neither tells."""

from __future__ import annotations

import hashlib
import hmac
import secrets

SECRET_BITS = 100
_CHECK_BITS = 20
# Crockford's base 32: no I, L, O or U, which are read as 1, 1, 0 and V.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("ILOU", "110V", " -\t")
_LENGTH = (SECRET_BITS + _CHECK_BITS) // 5


class KeyTextError(ValueError):
    """A text is no key; it says what is wrong with it."""


def make_secret() -> int:
    """A new secret."""
    return secrets.randbits(SECRET_BITS)


def write_key(secret: int) -> str:
    """The secret as people pass it on: 24 letters and digits in groups of four, of which the last checks the rest."""
    number = secret << _CHECK_BITS | _check(secret)
    letters = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))
    return "-".join(letters[at : at + 4] for at in range(0, _LENGTH, 4))


def read_key(text: str) -> int:
    """The secret in a key, however it is spaced or its letters are confused. Raises L{KeyTextError}."""
    letters = text.upper().translate(_READ_AS)
    for letter in letters:
        if letter not in _ALPHABET:
            raise KeyTextError(f"{letter!r} is in no key")
    if len(letters) != _LENGTH:
        raise KeyTextError(f"a key has {_LENGTH} letters and digits, this one has {len(letters)}")
    number = 0
    for letter in letters:
        number = number << 5 | _ALPHABET.index(letter)
    secret = number >> _CHECK_BITS
    if _check(secret) != number & (1 << _CHECK_BITS) - 1:
        raise KeyTextError("there is a typing error in it, compare it letter by letter")
    return secret


def prove(secret: int, role: str, viewer_nonce: str, server_nonce: str, fingerprint: bytes) -> str:
    """
    That C{role}, "server" or "viewer", has the secret, in this one connection to the certificate of C{fingerprint}.

    HMAC-SHA256 in hexadecimal; of no use in another connection, to another certificate, or in the other role.
    """
    words = [b"twistedcam share 1", role.encode(), viewer_nonce.encode(), server_nonce.encode(), fingerprint]
    message = b"".join(len(word).to_bytes(4, "big") + word for word in words)
    return hmac.new(secret.to_bytes(13, "big"), message, hashlib.sha256).hexdigest()


def web_token(secret: int) -> str:
    """What a browser shows in place of the key: 128 bits made of it, from which nobody learns the key."""
    return hmac.new(secret.to_bytes(13, "big"), b"twistedcam web 1", hashlib.sha256).hexdigest()[:32]


def is_proof(claimed: object, proof: str) -> bool:
    """Whether C{claimed} is C{proof}, in the same time whatever it is."""
    return isinstance(claimed, str) and hmac.compare_digest(claimed.encode(), proof.encode())


def _check(secret: int) -> int:
    digest = hashlib.sha256(b"twistedcam key check" + secret.to_bytes(13, "big")).digest()
    return int.from_bytes(digest, "big") >> 256 - _CHECK_BITS
