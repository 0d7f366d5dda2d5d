"""Reading a vault's raw pages without SQLite: what lies in the file, whoever points to it.

SQL shows the rows that stand. These readers show every page of the database file and every
frame of its write-ahead log, free pages and frames of long ago included, so that a test (or an
auditor) can look for words that should be gone.

The page format is that of SQLite3 Multiple Ciphers' `chacha20` with a raw key:

    page = ciphertext (page size - 32) || nonce (16) || tag (16)
    one-time keys = ChaCha20(database key, nonce[:12], counter = nonce[12:] xor page number)
        the first 32 bytes key Poly1305 over ciphertext || nonce
        the next 32 bytes key ChaCha20 of the page, from counter + 1
    page 1 starts with 24 bytes in the open: the key salt, and the sizes SQLite reads first
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.poly1305 import Poly1305

from haulout.crypto.keyfile import decode_keyfile
from haulout.crypto.keys import DeviceKeys
from haulout.vault.opening import KEYFILE

PAGE_BYTES = 4096
LOG_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
_NONCE_BYTES = 16
_TAG_BYTES = 16
_OPEN_BYTES = 24


class PlainPage(NamedTuple):
    """One page as it lies on disk, decrypted.

    Attributes:
        number: its page number, from 1.
        authentic: whether its tag matches; where not, ``plain`` is noise.
        plain: its bytes without nonce and tag.
    """

    number: int
    authentic: bool
    plain: bytes


class VaultPage(NamedTuple):
    """A page with the name of the file it lies in."""

    file: str
    number: int
    authentic: bool
    plain: bytes


def _stream(key: bytes, nonce: bytes, counter: int, data: bytes) -> bytes:
    start = (counter & 0xFFFFFFFF).to_bytes(4, "little") + nonce
    return Cipher(algorithms.ChaCha20(key, start), mode=None).encryptor().update(data)


def decrypt_page(key: bytes, number: int, page: bytes) -> PlainPage:
    """Decrypt one page; nothing is raised where it is not authentic."""
    end = len(page) - _NONCE_BYTES - _TAG_BYTES
    nonce, tag = page[end : end + _NONCE_BYTES], page[end + _NONCE_BYTES :]
    counter = int.from_bytes(nonce[12:], "little") ^ number
    keys = _stream(key, nonce[:12], counter, bytes(64))
    authentic = hmac.compare_digest(
        Poly1305.generate_tag(keys[:32], page[: end + _NONCE_BYTES]), tag
    )
    start = _OPEN_BYTES if number == 1 else 0
    plain = _stream(keys[32:], nonce[:12], counter + 1, page[start:end])
    return PlainPage(number, authentic, page[:start] + plain)


def decrypted_pages(path: Path, key: bytes) -> Iterator[PlainPage]:
    """Every page of a database file, free ones included, as (number, authentic, plain bytes).

    Args:
        path: the file, such as ``memory.db``.
        key: its 32-byte database key.
    """
    with path.open("rb") as file:
        number = 0
        while len(page := file.read(PAGE_BYTES)) == PAGE_BYTES:
            number += 1
            yield decrypt_page(key, number, page)


def decrypted_log_pages(path: Path, key: bytes) -> Iterator[PlainPage]:
    """Every frame of a database's write-ahead log, stale ones included; none where it has none.

    Args:
        path: the database file; the log beside it ends in ``-wal``.
        key: the 32-byte database key.
    """
    log = path if path.name.endswith("-wal") else path.with_name(path.name + "-wal")
    if not log.exists():
        return
    with log.open("rb") as file:
        file.seek(LOG_HEADER_BYTES)
        size = FRAME_HEADER_BYTES + PAGE_BYTES
        while len(frame := file.read(size)) == size:
            number = int.from_bytes(frame[:4], "big")
            yield decrypt_page(key, number, frame[FRAME_HEADER_BYTES:])


def database_key(folder: Path, passphrase: str | None = None) -> bytes:
    """The key of the database pages of the vault in a folder, from its key file.

    Raises:
        DamagedError, VaultLockedError, VaultVersionError: the key file cannot be read.
    """
    data = (folder / KEYFILE).read_bytes()
    secret, _ = decode_keyfile(data, passphrase=passphrase, name=KEYFILE)
    return DeviceKeys(secret).database


def vault_pages(folder: Path, passphrase: str | None = None) -> Iterator[VaultPage]:
    """Every page of every database file in a vault's folder, write-ahead logs included."""
    key = database_key(folder, passphrase)
    for path in sorted(folder.glob("*.db")):
        for page in decrypted_pages(path, key):
            yield VaultPage(path.name, *page)
        for page in decrypted_log_pages(path, key):
            yield VaultPage(path.name + "-wal", *page)
