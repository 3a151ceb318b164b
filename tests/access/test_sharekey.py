"""The key of a shared camera: its text, its proofs and its token."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from twistedcam.access.sharekey import (
    SECRET_BITS,
    KeyTextError,
    is_proof,
    make_secret,
    prove,
    read_key,
    web_token,
    write_key,
)

SECRET = 0x123456789ABCDEF0123456789
KEY = write_key(SECRET)


class KeyTests(TestCase):
    """A key as text."""

    def test_written(self) -> None:
        """A key is 24 letters and digits in six groups, always the same for the same secret."""
        self.assertEqual(KEY, "28T5-CY4T-QKFF-04HM-ASW9-BF31")
        self.assertRegex(write_key(0), "^0000-0000-0000-0000-0000-[0-9A-Z]{4}$")

    def test_read(self) -> None:
        """What was written is read back, for any secret."""
        for secret in (0, 1, SECRET, 2**SECRET_BITS - 1, *(make_secret() for _ in range(100))):
            self.assertEqual(read_key(write_key(secret)), secret)

    def test_as_people_write(self) -> None:
        """Lower case, other spacing, and letters that look like digits are read as they are meant."""
        for text in (KEY.lower(), KEY.replace("-", ""), KEY.replace("-", " "), KEY.replace("0", "O"), f" {KEY} "):
            self.assertEqual(read_key(text), SECRET)
        self.assertEqual(read_key(write_key(1 << 99).replace("1", "l")), 1 << 99)

    def test_every_typing_error(self) -> None:
        """One wrong letter, or two neighbours exchanged, is always detected."""
        letters = KEY.replace("-", "")
        wrong = {
            letters[:at] + other + letters[at + 1 :] for at in range(len(letters)) for other in "0123456789ABCDEFGHJKMN"
        } | {letters[:at] + letters[at + 1] + letters[at] + letters[at + 2 :] for at in range(len(letters) - 1)}
        for text in wrong - {letters}:
            with self.assertRaisesRegex(KeyTextError, "typing error"):
                read_key(text)

    def test_no_key(self) -> None:
        """A text that is not a key is an error that says why."""
        for text, why in (
            ("", "has 0"),
            (KEY[:-1], "has 23"),
            (KEY + "0", "has 25"),
            (f"{KEY}!", "never contains '!'"),
        ):
            with self.assertRaisesRegex(KeyTextError, why):
                read_key(text)


class ProofTests(TestCase):
    """Proofs of having the key."""

    def test_bound_to_everything(self) -> None:
        """A proof is not valid for another secret, role, nonce or certificate."""
        proof = prove(SECRET, "server", "a", "b", b"certificate")
        self.assertTrue(is_proof(proof, prove(SECRET, "server", "a", "b", b"certificate")))
        for other in (
            prove(SECRET + 1, "server", "a", "b", b"certificate"),
            prove(SECRET, "viewer", "a", "b", b"certificate"),
            prove(SECRET, "server", "b", "a", b"certificate"),
            prove(SECRET, "server", "ab", "", b"certificate"),
            prove(SECRET, "server", "a", "b", b"another"),
        ):
            self.assertFalse(is_proof(proof, other))

    def test_no_proofs(self) -> None:
        """Values that are not text, or not the right text, are not a proof."""
        proof = prove(SECRET, "server", "a", "b", b"certificate")
        claims: list[object] = [None, 1, True, [], {}, "", "\N{SNOWMAN}", proof[:-1]]
        for claimed in claims:
            self.assertFalse(is_proof(claimed, proof))


class TokenTests(TestCase):
    """The link's token."""

    def test_token(self) -> None:
        """It is always the same for a key, differs between keys, and does not reveal the key."""
        secret = make_secret()
        self.assertEqual(web_token(secret), web_token(secret))
        self.assertNotEqual(web_token(secret), web_token(secret + 1))
        self.assertNotIn(f"{secret:x}"[:12], web_token(secret).reveal())
