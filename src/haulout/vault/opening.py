"""A vault's folder: made, opened, and keyed.

    <folder>/vault.json    format and vault ID; no secret
    <folder>/device.key    this device's secret (0600, or under a passphrase)
    <folder>/memory.db     the memory lane: log, index and operation IDs, pages encrypted
    <folder>/memory.lock   writer lock and the newest acknowledged record
    <folder>/state.db      the state lane, once an agent keeps a state here; state.lock as above
    <folder>/attachments/  what memories have attached, in sealed chunks
    <folder>/models/       embedding models

Making a vault writes `.unfinished`, `device.key`, the database, then `vault.json`, and removes
the first: a crash before `vault.json` leaves a folder without a vault, which `create` and
`restore` may use again. Without `.unfinished` beside them, a key file and a database are never
overwritten, even where `vault.json` was lost.
"""

from __future__ import annotations

import json
import os
import secrets
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haulout.crypto.keyfile import decode_keyfile, encode_keyfile
from haulout.crypto.keys import DeviceKeys, Entropy
from haulout.crypto.kit import RecoveryKit
from haulout.database.database import Database
from haulout.database.rightofway import RightOfWay
from haulout.database.transaction import Transaction
from haulout.errors import (
    DamagedError,
    StorageError,
    VaultExistsError,
    VaultMissingError,
    VaultVersionError,
)
from haulout.index.filter import register
from haulout.index.lexical import note_analyzer
from haulout.index.schema import ATTACHMENT_COLUMNS, INDEX_TABLES, LIST_TABLES
from haulout.log.journal import Journal
from haulout.log.keychain import Keychain, device_payload, user_key_payload
from haulout.log.published import PUBLISHED_TABLES
from haulout.log.record import Lane, RecordType
from haulout.log.schema import CHUNK_TABLES, ERASED_INDEX, LOG_TABLES, NEWEST_RECORD
from haulout.storage.durable import make_folder, storage_error, write_file
from haulout.vault.attachments.chunkfiles import ChunkFiles, FolderOfChunks, MemoryOfChunks
from haulout.vault.replica import note as replica

FORMAT = 1
DATABASE = "memory.db"
STATES = "state.db"
STATES_MADE = "made"
STATES_RECORD = 1
"""Version of the record in the memory lane that says that there is a state lane."""
KEYFILE = "device.key"
MARK = "vault.json"
UNFINISHED = ".unfinished"
_STATES_NOTE = "states"
ATTACHMENT_TABLES = CHUNK_TABLES + ATTACHMENT_COLUMNS
SCHEMA = (
    LOG_TABLES + INDEX_TABLES,
    LIST_TABLES,
    ATTACHMENT_TABLES,
    PUBLISHED_TABLES,
    ERASED_INDEX,
)
_MARK_HINT = "Restore a backup, or write it again: it holds the format and the vault's ID."
_CLOUD_FOLDERS = (
    "dropbox", "onedrive", "google drive", "googledrive", "icloud", "mobile documents",
    "cloudstorage", "nextcloud", "syncthing", "pcloud",
)  # fmt: skip


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def default_folder() -> Path:
    """`$HAULOUT_HOME`, or `~/.haulout`."""
    home = os.environ.get("HAULOUT_HOME")
    return Path(home).expanduser() if home else Path.home() / ".haulout"


class CloudFolderWarning(UserWarning):
    """The vault's folder is synced by a cloud drive, which copies databases while they change."""


@dataclass(frozen=True, slots=True)
class World:
    """What a vault takes from outside: a clock (microseconds), random bytes, a SQLite VFS."""

    now: Callable[[], int] = wall_clock
    entropy: Entropy = secrets.token_bytes
    vfs: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """An open vault's parts."""

    folder: Path | None
    vault: int
    vault_id: bytes
    device: DeviceKeys
    database: Database
    journal: Journal
    files: ChunkFiles
    way: RightOfWay
    world: World


def exists(folder: Path) -> bool:
    """Whether a vault stands in a folder."""
    if (folder / MARK).exists():
        return True
    made = (folder / KEYFILE).exists() and (folder / DATABASE).exists()
    return made and not (folder / UNFINISHED).exists()


def warn_if_synced(folder: Path) -> None:
    """Warn when a cloud drive copies this folder behind our back."""
    parts = [part.lower() for part in folder.resolve().parts]
    for name in _CLOUD_FOLDERS:
        if any(name in part for part in parts):
            message = (
                f"{folder} looks like a folder that a cloud drive syncs ({name}). Such drives copy"
                " a database while it is being written; keep the vault outside and use"
                " `haulout backup` into the synced folder instead."
            )
            warnings.warn(message, CloudFolderWarning, stacklevel=4)
            return


def open_database(
    folder: Path | None, device: DeviceKeys, world: World, *, create: bool
) -> Database:
    """Open the memory lane's database of a folder, or one in memory."""
    return Database(
        folder / DATABASE if folder else None,
        device.database,
        schema=SCHEMA,
        newest=NEWEST_RECORD,
        create=create,
        prepare=register,
        vfs=world.vfs,
    )


def create(
    folder: Path | None, *, passphrase: str | None, world: World
) -> tuple[Parts, RecoveryKit]:
    """Make a new vault, with its first device and keys, and return its recovery kit.

    Raises:
        VaultExistsError, ReadOnlyError, DiskFullError, StorageError: nothing usable was made.
    """
    kit = RecoveryKit.generate(world.entropy)
    device = DeviceKeys(world.entropy(32))
    if folder is not None:
        if exists(folder):
            message = f"There is a vault in {folder} already."
            raise VaultExistsError(message)
        make_folder(folder)
        warn_if_synced(folder)
        begin(folder)
        write_keyfile(folder, device, kit.vault_id, passphrase, world.entropy)
    database = open_database(folder, device, world, create=True)
    parts = assemble(folder, kit.vault_id, device, database, world)
    try:
        database.write(lambda connection: _found(connection, parts, kit, world))
        if folder is not None:
            write_mark(folder, kit.vault_id)
    except BaseException:
        database.close()
        raise
    return parts, kit


def begin(folder: Path) -> None:
    """Note that a vault is being made, and remove what an interrupted attempt left."""
    write_file(folder / UNFINISHED, b"")
    try:
        for lane in (DATABASE, STATES):
            for name in (lane, lane + "-wal", lane + "-shm"):
                (folder / name).unlink(missing_ok=True)
            (folder / lane).with_suffix(".lock").unlink(missing_ok=True)
        (folder / KEYFILE).unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error


def write_keyfile(
    folder: Path, device: DeviceKeys, vault_id: bytes, passphrase: str | None, entropy: Entropy
) -> None:
    """Write the device's key file."""
    data = encode_keyfile(device.secret, vault_id, passphrase=passphrase, entropy=entropy)
    write_file(folder / KEYFILE, data)


def write_mark(folder: Path, vault_id: bytes, *, is_replica: bool = False) -> None:
    """Write the file that makes a folder a vault: the last step of making one."""
    mark: dict[str, Any] = {"format": FORMAT, "vault": vault_id.hex()}
    if is_replica:
        mark["replica"] = True
    try:
        write_file(folder / MARK, (json.dumps(mark) + "\n").encode())
    except StorageError:
        with suppress(OSError):  # it may stand already: then the vault could not be made again
            (folder / MARK).unlink(missing_ok=True)
        raise
    clear_unfinished(folder)


def clear_unfinished(folder: Path) -> None:
    """Remove the note that a vault is being made, once `vault.json` stands."""
    with suppress(OSError):  # opening tries again
        (folder / UNFINISHED).unlink(missing_ok=True)


def _found(connection: Transaction, parts: Parts, kit: RecoveryKit, world: World) -> None:
    """Write a new vault's first records: its device, and the first user key."""
    connection.execute("INSERT INTO vault VALUES (?, ?)", (parts.vault, parts.vault_id))
    note_analyzer(connection, parts.vault)
    payload = device_payload(parts.vault_id, kit.root, parts.device)
    parts.journal.append(connection, RecordType.DEVICE, payload)
    devices = {parts.device.id: parts.device.agreement.public}
    user_key = user_key_payload(parts.vault_id, 1, world.entropy(32), devices, kit.recovery.public)
    parts.journal.append(connection, RecordType.KEY_EPOCH, user_key)
    parts.journal.refresh_keys(connection)


def assemble(
    folder: Path | None, vault_id: bytes, device: DeviceKeys, database: Database, world: World
) -> Parts:
    """Put an open vault's parts together; the keychain has learned nothing yet."""
    keychain = Keychain(vault_id, device.id, device.agreement)
    journal = Journal(
        1, vault_id, Lane.MEMORY, device, keychain, now=world.now, entropy=world.entropy
    )
    files = MemoryOfChunks() if folder is None else FolderOfChunks(folder)
    return Parts(folder, 1, vault_id, device, database, journal, files, RightOfWay(), world)


def keeps_states(parts: Parts) -> bool:
    """Whether a vault in a folder has states, or had them. A replica has none."""
    if parts.folder is None or parts.journal.read_only is not None:
        return False
    lock = (parts.folder / STATES).with_suffix(".lock")
    if (parts.folder / STATES).exists() or (lock.exists() and lock.stat().st_size):
        return True
    with parts.database.read() as connection:
        return bool(noted_states(connection, parts.vault))


def noted_states(connection: Transaction, vault: int) -> str:
    """What the memory lane knows of the state lane.

    Returns:
        nothing where there never was one, `STATES_MADE` where there is, or why it is not here
        although there was.
    """
    row = connection.execute(
        "SELECT value FROM setting WHERE vault = ? AND name = ?", (vault, _STATES_NOTE)
    ).fetchone()
    return row[0] if row else ""


def note_states(connection: Transaction, vault: int, why: str = STATES_MADE) -> None:
    """Note that there is a state lane, or why it is not here although there was one."""
    connection.execute(
        "INSERT OR REPLACE INTO setting VALUES (?, ?, ?)", (vault, _STATES_NOTE, why)
    )


def read_mark(folder: Path) -> bytes:
    """The vault ID in a folder's mark.

    Raises:
        VaultMissingError: no vault there; VaultVersionError: another format; DamagedError.
    """
    path = folder / MARK
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        version, vault_id = fields["format"], bytes.fromhex(fields["vault"])
    except FileNotFoundError:
        if exists(folder):
            message = f"{MARK} is missing from the vault in {folder}."
            raise DamagedError(message, hint=_MARK_HINT) from None
        message = f"There is no vault in {folder}."
        raise VaultMissingError(message) from None
    except OSError as error:
        raise storage_error(error, path) from error
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path.name} in {folder} is damaged."
        raise DamagedError(message, hint=_MARK_HINT) from error
    if version != FORMAT:
        message = f"{path.name} says format {version}; this version of Haulout reads {FORMAT}."
        raise VaultVersionError(message)
    return vault_id


def open_folder(folder: Path, *, passphrase: str | None, world: World) -> Parts:
    """Open the vault in a folder; recovery runs on the way, every time.

    Raises:
        VaultMissingError, VaultLockedError, VaultVersionError, DamagedError, StorageError.
    """
    vault_id = read_mark(folder)
    clear_unfinished(folder)
    warn_if_synced(folder)
    for name in (KEYFILE, DATABASE):
        if not (folder / name).exists():
            message = f"{name} is missing from the vault in {folder}."
            raise DamagedError(message, hint="Restore a backup with the 24 words of the kit.")
    try:
        data = (folder / KEYFILE).read_bytes()
    except OSError as error:
        raise storage_error(error, folder / KEYFILE) from error
    secret, keyed_vault = decode_keyfile(data, passphrase=passphrase, name=KEYFILE)
    if keyed_vault != vault_id:
        message = f"{KEYFILE} belongs to another vault than {MARK}."
        raise DamagedError(message)
    device = DeviceKeys(secret)
    database = open_database(folder, device, world, create=False)
    parts = assemble(folder, vault_id, device, database, world)
    try:
        _recover(parts)
    except BaseException:
        database.close()
        raise
    return parts


def _recover(parts: Parts) -> None:
    """What every opening checks: the vault's identity and this device's keys."""
    with parts.database.read() as connection:
        row = connection.execute("SELECT id FROM vault WHERE vault = ?", (parts.vault,)).fetchone()
        if row is None or row[0] != parts.vault_id:
            message = f"{DATABASE} belongs to another vault than {MARK}."
            raise DamagedError(message)
        note = replica.note_of(connection, parts.vault)
        if note is not None:
            replica.made_one(parts.journal, note)
        parts.journal.refresh_keys(connection)
    parts.journal.keychain.require_user_key()
