"""The recovery kit: 24 words that bring the owner back on a bare machine.

The words are BIP-39's encoding of 32 random bytes (with its 8-bit checksum). From them come
the owner's root signing key, which signs device keys and is kept nowhere else, and the
recovery key pair, to which every user key is wrapped.
"""

from __future__ import annotations

from functools import cached_property

from mnemonic import Mnemonic

from haulout.crypto.keys import KEY_BYTES, AgreementKey, Entropy, SigningKey, derive, identifier
from haulout.errors import InputError

WORDS = 24


class RecoveryKit:
    """The owner's 24 words and the keys they stand for.

    ``str(kit)`` gives the words; ``repr(kit)`` does not, so that a log line cannot leak them.
    """

    def __init__(self, secret: bytes) -> None:
        assert len(secret) == KEY_BYTES
        self._secret = secret

    @classmethod
    def generate(cls, entropy: Entropy) -> RecoveryKit:
        """Make a new kit from 32 random bytes."""
        return cls(entropy(KEY_BYTES))

    @classmethod
    def from_words(cls, words: str) -> RecoveryKit:
        """Read a kit back from its words; case and spacing do not matter.

        Raises:
            InputError: not 24 words of the list, or the checksum tells of a mistake.
        """
        given = words.split()
        if len(given) != WORDS:
            message = f"A recovery kit has {WORDS} words; these are {len(given)}."
            raise InputError(message, hint="Read them off the kit again, in order.")
        try:
            secret = Mnemonic("english").to_entropy([word.lower() for word in given])
        except (LookupError, ValueError) as error:
            message = "These 24 words are not a recovery kit: a word is wrong or out of place."
            raise InputError(message, hint="Read them off the kit again, in order.") from error
        return cls(bytes(secret))

    @cached_property
    def words(self) -> str:
        """The 24 words, in order, with single spaces."""
        return Mnemonic("english").to_mnemonic(self._secret)

    @cached_property
    def root(self) -> SigningKey:
        """The owner's root: signs device keys."""
        return SigningKey(derive(self._secret, "owner-root"))

    @cached_property
    def recovery(self) -> AgreementKey:
        """The key pair that every user key is wrapped to, beside the devices'."""
        return AgreementKey(derive(self._secret, "recovery"))

    @cached_property
    def vault_id(self) -> bytes:
        """The ID of the vault this kit owns: bound to the root key, so it cannot be swapped."""
        return identifier(self.root.public, "vault")

    def __str__(self) -> str:
        return self.words

    def __repr__(self) -> str:
        return f"<RecoveryKit of vault {self.vault_id.hex()}>"
