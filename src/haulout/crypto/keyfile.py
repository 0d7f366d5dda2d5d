r"""The device's key file: the 32-byte device secret, plain or under a passphrase.

    "haulout device key\n" || SHA-256 of body || body, which is canonical CBOR of one of

    {"v": 1, "vault": ..., "protection": "file", "secret": ...}
    {"v": 1, "vault": ..., "protection": "passphrase",
     "salt": ..., "t": ..., "m": ..., "sealed": ...}

Plain means: whoever can read the file can read the vault. It is written with mode 0600 and
the threat model says so. A passphrase costs Argon2id with 64 MiB and three passes (RFC 9106's
second choice; 0.17 s of CPU).
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from haulout.crypto.keys import ID_BYTES, KEY_BYTES, Entropy
from haulout.errors import DamagedError, VaultLockedError, VaultVersionError

KEYFILE_VERSION = 1
_MAGIC = b"haulout device key\n"
_PASSES = 3
_MEMORY_KIB = 64 * 1024
_LANES = 4
_SALT_BYTES = 16
_LEAST_MEMORY_KIB = 8 * _LANES  # Argon2's own least
_MOST_MEMORY_KIB = 1024 * 1024
_MOST_PASSES = 64
_SEALED_BYTES = KEY_BYTES + 16


def _stretch(passphrase: str, salt: bytes, passes: int, memory_kib: int) -> bytes:
    kdf = Argon2id(
        salt=salt, length=KEY_BYTES, iterations=passes, lanes=_LANES, memory_cost=memory_kib
    )
    return kdf.derive(passphrase.encode())


def encode_keyfile(
    secret: bytes, vault_id: bytes, *, passphrase: str | None, entropy: Entropy
) -> bytes:
    """Return the bytes of a key file for ``secret``."""
    fields: dict[str, Any] = {"v": KEYFILE_VERSION, "vault": vault_id}
    if passphrase is None:
        fields |= {"protection": "file", "secret": secret}
    else:
        salt = entropy(_SALT_BYTES)
        key = _stretch(passphrase, salt, _PASSES, _MEMORY_KIB)
        sealed = ChaCha20Poly1305(key).encrypt(bytes(12), secret, vault_id)
        fields |= {"protection": "passphrase", "salt": salt, "t": _PASSES, "m": _MEMORY_KIB}
        fields |= {"sealed": sealed}
    body = cbor2.dumps(fields, canonical=True)
    return _MAGIC + hashlib.sha256(body).digest() + body


def decode_keyfile(data: bytes, *, passphrase: str | None, name: str) -> tuple[bytes, bytes]:
    """Return (device secret, vault ID) from a key file's bytes.

    Raises:
        DamagedError: the file's digest does not match its content.
        VaultVersionError: another version wrote it.
        VaultLockedError: it wants a passphrase and got none, or a wrong one.
    """
    digest, body = data[len(_MAGIC) : len(_MAGIC) + 32], data[len(_MAGIC) + 32 :]
    if not data.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        message = f"The key file {name} is damaged."
        raise DamagedError(message, hint="Restore a backup with the 24 words of the kit.")
    fields = _read(body, name)
    if fields["protection"] == "file":
        return fields["secret"], fields["vault"]
    if passphrase is None:
        message = f"The key file {name} is protected by a passphrase."
        raise VaultLockedError(message, hint="Give the passphrase (the command line asks for it).")
    key = _stretch(passphrase, fields["salt"], fields["t"], fields["m"])
    try:
        secret = ChaCha20Poly1305(key).decrypt(bytes(12), fields["sealed"], fields["vault"])
    except InvalidTag as error:
        message = "The passphrase is wrong."
        raise VaultLockedError(message, hint="Try again; the vault was not changed.") from error
    return secret, fields["vault"]


def _read(body: bytes, name: str) -> dict[str, Any]:
    """A key file's fields, each of the form that `encode_keyfile` gives it."""
    try:
        fields = cast("dict[str, Any]", cbor2.loads(body))
        if fields["v"] != KEYFILE_VERSION:
            message = f"The key file {name} has version {fields['v']}."
            raise VaultVersionError(message)
        lengths = {"vault": ID_BYTES}
        if fields["protection"] == "file":
            lengths["secret"] = KEY_BYTES
        else:
            lengths |= {"salt": _SALT_BYTES, "sealed": _SEALED_BYTES}
            ours = fields["protection"] == "passphrase" and 1 <= fields["t"] <= _MOST_PASSES
            if not ours or not _LEAST_MEMORY_KIB <= fields["m"] <= _MOST_MEMORY_KIB:
                raise ValueError(name)  # a file that asks for hours or terabytes is none of ours
        if any(type(fields[field]) is not bytes for field in lengths):
            raise TypeError(name)
        if any(len(fields[field]) != length for field, length in lengths.items()):
            raise ValueError(name)
    except (cbor2.CBORError, KeyError, TypeError, ValueError) as error:
        message = f"The key file {name} does not have the form of docs/spec/keys.md."
        hint = "Restore a backup with the 24 words of the kit."
        raise DamagedError(message, hint=hint) from error
    return fields
