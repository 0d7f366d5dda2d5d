"""Opening one keyed SQLite connection.

Pages are sealed with ChaCha20-Poly1305 by SQLite3 Multiple Ciphers (`apsw-sqlite3mc`): a
changed byte makes the page unreadable instead of wrong. `secure_delete` zeroes what is
deleted; see docs/adr/0003 for what it leaves behind and what `Database.scrub` does about it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# APSW's stubs name a type that Python has from 3.12 on, so its methods look partly unknown.

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import apsw

from haulout.database.failures import translate
from haulout.errors import VaultLockedError

BUSY_MS = 10_000
_CACHE_KIB = 16 * 1024


def connect(
    path: Path | None,
    key: bytes,
    *,
    vfs: str | None = None,
    create: bool = False,
    exclusive: bool = False,
) -> apsw.Connection:
    """Open a connection to an encrypted database, or to memory where ``path`` is None.

    Args:
        path: the database file.
        key: 32 bytes, used as they are (no derivation).
        vfs: a registered SQLite VFS to go through; tests put faulty disks there.
        create: make the file when it is missing.
        exclusive: one connection only (a VFS without shared memory needs it for WAL).

    Raises:
        VaultLockedError: the key does not open the file, or its first page is damaged.
        DamagedError, StorageError, ReadOnlyError, DiskFullError: as they say.
    """
    name = path.name if path else "the memory database"
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    try:
        connection = apsw.Connection(str(path) if path else ":memory:", flags=flags, vfs=vfs)
    except apsw.Error as error:
        raise translate(error, name) from error
    try:
        if path:
            connection.execute("PRAGMA cipher='chacha20'").fetchall()
            connection.execute(f"PRAGMA key='raw:{key.hex()}'").fetchall()
        # Plans depend on no bound value: otherwise SQLite prepares a statement anew whenever other
        # values are bound to it, 45 us each time. There are no statistics that it would look up.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.set_busy_timeout(BUSY_MS)
        if exclusive:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "wal_autocheckpoint=0",  # the writer thread checkpoints after it has acknowledged
            "secure_delete=ON",
            "temp_store=MEMORY",  # nothing of a vault in a temporary file
            "trusted_schema=OFF",
            f"cache_size=-{_CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except apsw.NotADBError as error:
        close(connection, untouched=True)
        message = f"The key does not open {name}, or its first page is damaged."
        raise VaultLockedError(message, hint="Check the key file and passphrase.") from error
    except apsw.Error as error:
        close(connection, untouched=True)
        raise translate(error, name) from error
    return connection


def close(connection: apsw.Connection, *, untouched: bool = False) -> None:
    """Close a connection; the last one of a file moves its write-ahead log into it first.

    Where that fails the log stays, and the next opening replays it.

    Args:
        connection: what `connect` returned.
        untouched: leave file and log as they are, for the next opening to recover from.
    """
    with suppress(apsw.Error):
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(untouched))
        connection.close(True)  # noqa: FBT003 - with statements whose rows were left unread
