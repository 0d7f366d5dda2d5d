r"""Backup: the whole vault in one sealed file, and a vault made from it (docs/spec/backup.md).

    "haulout backup 2\n" || u32 length || header (canonical CBOR) || SHA-256 of the above
    || database || chunks of attachments, each: ID (16) || u32 length || sealed bytes
    || 20 zero bytes

The database is a copy of the memory lane, its pages sealed under a key made for this file; the
header holds that key wrapped to the recovery kit. No device secret is in it. Chunks are taken as
they stand: the keys that open them are in the database.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import apsw
import cbor2

from haulout.crypto.chunk import SEALED_BYTES
from haulout.crypto.keys import DeviceKeys, wrap_to
from haulout.crypto.kit import RecoveryKit
from haulout.database.connection import connect
from haulout.database.failures import translated
from haulout.database.transaction import Transaction
from haulout.errors import (
    BlobMissingError,
    DamagedError,
    HauloutError,
    InputError,
    NotFoundError,
    VaultExistsError,
    VaultLockedError,
    VaultVersionError,
)
from haulout.log import chunktable
from haulout.log.keychain import Keychain, device_payload, user_key_payload
from haulout.log.record import RecordType, canonical
from haulout.storage.durable import make_folder, replacing, storage_error, sync_folder
from haulout.vault import opening
from haulout.vault.attachments import chunks
from haulout.vault.opening import Parts, World
from haulout.vault.values import BackedUp

_MAGIC = b"haulout backup "
_VERSION = b"2\n"
_WITHOUT_CHUNKS = b"1\n"  # the database is the rest of the file
_FRAME = 16 + 4
_END = bytes(_FRAME)
_HEARD_EVERY = 200
_PIECE = 1024 * 1024
_MOST_HEADER = 64 * 1024


def _context(vault_id: bytes) -> bytes:
    return b"haulout/1/backup\0" + vault_id


def write(parts: Parts, file: Path) -> BackedUp:
    """Write a backup of one moment; the file is replaced whole or not at all."""
    key = secrets.token_bytes(32)
    with parts.database.read() as connection:
        parts.journal.refresh_keys(connection)
        records = connection.execute("SELECT count(*) FROM record").fetchone()
    wrapped = wrap_to(parts.journal.keychain.kit_public, key, _context(parts.vault_id))
    copy = file.with_name(f".{file.name}.copy-{secrets.token_hex(4)}")
    try:
        with _files_held(parts) as heard:
            parts.database.copy_to(copy, key)
            head = _head({
                "vault": parts.vault_id, "key": wrapped, "database": copy.stat().st_size,
            })  # fmt: skip
            with (
                replacing(file) as temporary,
                temporary.open("xb") as target,
                copy.open("rb") as body,
            ):
                temporary.chmod(0o600)
                target.write(head)
                shutil.copyfileobj(body, target, _PIECE)
                written, missing = _write_chunks(parts, _chunks_in(copy, key), target, heard)
    except OSError as error:
        raise storage_error(error, file) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    assert records
    return BackedUp(
        path=str(file),
        records=records[0],
        bytes=file.stat().st_size,
        chunks=written,
        missing=missing,
    )


def _head(fields: dict[str, Any]) -> bytes:
    header = canonical(fields)
    head = _MAGIC + _VERSION + len(header).to_bytes(4, "big") + header
    return head + hashlib.sha256(head).digest()


@contextmanager
def _files_held(parts: Parts) -> Generator[Callable[[], None]]:
    """For the block no chunk's file is removed; what it gives is called now and then."""
    vault, now = parts.vault, parts.journal.now
    parts.journal.require_writable()  # restored, a replica's would go on from an old state
    held: int = parts.database.write(
        lambda connection: chunktable.begin(connection, vault, now(), backup=True)
    )

    def heard() -> None:
        parts.database.write(lambda connection: chunktable.moved(connection, held, now()))

    try:
        yield heard
    finally:
        with suppress(HauloutError):  # otherwise it is over in an hour, and `check` goes on
            parts.database.write(lambda connection: chunktable.end(connection, vault, held))
            chunks.sweep(parts)


def _chunks_in(copy: Path, key: bytes) -> list[bytes]:
    """The IDs of the chunks that a copy of the database has in use."""
    connection = connect(copy, key)
    try:
        rows = chunktable.rows_in_use(cast("Transaction", connection), 1)
        return [row.id for row in rows]
    finally:
        connection.close()


def _write_chunks(
    parts: Parts, wanted: Sequence[bytes], target: BinaryIO, heard: Callable[[], None]
) -> tuple[int, int]:
    """Write chunks one after the other: how many there were, and how many are missing here."""
    missing = 0
    for number, chunk in enumerate(wanted, 1):
        try:
            sealed = chunks.read_sealed(parts, chunk)
        except BlobMissingError:
            missing += 1
            continue
        target.write(chunk + len(sealed).to_bytes(4, "big"))
        target.write(sealed)
        if number % _HEARD_EVERY == 0:
            heard()
    target.write(_END)
    return len(wanted) - missing, missing


def _read_head(file: Path) -> tuple[dict[str, Any], int]:
    """A backup's header and where its database begins."""
    try:
        with file.open("rb") as source:
            data = source.read(_MOST_HEADER)
    except OSError as error:
        raise storage_error(error, file) from error
    if not data.startswith(_MAGIC):
        message = f"{file.name} is not a backup of a vault."
        raise InputError(message)
    start = len(_MAGIC) + len(_VERSION)
    version = data[len(_MAGIC) : start]
    if version not in {_VERSION, _WITHOUT_CHUNKS}:
        message = f"{file.name} is a backup of a later version."
        raise VaultVersionError(message)
    end = start + 4 + int.from_bytes(data[start : start + 4], "big")
    if hashlib.sha256(data[:end]).digest() != data[end : end + 32]:
        message = f"The header of {file.name} is damaged."
        raise DamagedError(message, hint="Use another copy of the backup.")
    try:
        header = cast("dict[str, Any]", cbor2.loads(data[start + 4 : end]))
        if any(type(header[name]) is not bytes for name in ("vault", "key")):
            raise TypeError(file.name)
        if version == _WITHOUT_CHUNKS:
            header["database"] = file.stat().st_size - end - 32
        if type(header["database"]) is not int:
            raise TypeError(file.name)
    except (cbor2.CBORError, KeyError, TypeError, ValueError) as error:
        message = f"The header of {file.name} does not have the form of docs/spec/backup.md."
        raise DamagedError(message, hint="Use another copy of the backup.") from error
    return header, end + 32


def restore(
    file: Path, folder: Path, *, kit: RecoveryKit, passphrase: str | None, world: World
) -> Parts:
    """Make a vault in ``folder`` from a backup, with this machine as a new device.

    The steps are those of making a vault: key file, database, mark last.
    """
    head, start = _read_head(file)
    vault_id: bytes = head["vault"]
    if kit.vault_id != vault_id:
        message = f"{file.name} is a backup of another vault than this recovery kit's."
        raise VaultLockedError(message, hint="Use the words that were printed with this vault.")
    key = kit.recovery.unwrap(head["key"], _context(vault_id))
    if opening.exists(folder):
        message = f"There is a vault in {folder} already."
        raise VaultExistsError(message)
    make_folder(folder)
    opening.warn_if_synced(folder)
    opening.begin(folder)
    device = DeviceKeys(world.entropy(32))
    opening.write_keyfile(folder, device, vault_id, passphrase, world.entropy)
    _unpack(file, start, head["database"], key, folder, device)
    database = opening.open_database(folder, device, world, create=False)
    parts = opening.assemble(folder, vault_id, device, database, world)
    try:
        database.write(lambda connection: enrol(connection, parts, kit))
        _restore_chunks(file, start + head["database"], parts)
        opening.write_mark(folder, vault_id)
    except BaseException:
        database.close()
        raise
    return parts


class AttachmentsMissingWarning(UserWarning):
    """A backup was restored, but some of what memories had attached is not in it, or damaged."""


def _restore_chunks(file: Path, start: int, parts: Parts) -> None:
    """Put back the chunks of attachments, each verified under its key."""
    parts.database.write(lambda connection: chunktable.end_all(connection, parts.vault))
    restored: set[bytes] = set()
    with file.open("rb") as source:
        source.seek(start)
        while len(frame := source.read(_FRAME)) == _FRAME and frame != _END:
            sealed = source.read(min(int.from_bytes(frame[16:], "big"), SEALED_BYTES + 1))
            with suppress(NotFoundError, DamagedError, VaultVersionError):
                chunks.put_sealed(parts, frame[:16], sealed)
                restored.add(frame[:16])
    chunks.settle(parts)
    wanted = {kept.id for kept in chunks.in_use(parts)}
    if failed := wanted - restored:
        message = (
            f"{len(wanted) - len(failed)} of {len(wanted)} chunks of attachments were restored;"
            f" {len(failed)} are not in {file.name}, or are damaged. `haulout check` names them."
        )
        warnings.warn(message, AttachmentsMissingWarning, stacklevel=4)


def _unpack(
    file: Path, start: int, size: int, key: bytes, folder: Path, device: DeviceKeys
) -> None:
    """Copy the backup's database into place under the new device's database key."""
    copy = folder / f".restore-{secrets.token_hex(4)}.db"
    try:
        with file.open("rb") as source, copy.open("xb") as target:
            source.seek(start)
            while size and (piece := source.read(min(size, _PIECE))):
                target.write(piece)
                size -= len(piece)
        _rekey(copy, key, folder / opening.DATABASE, device.database, file.name)
        sync_folder(folder)
    except OSError as error:
        raise storage_error(error, folder) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _rekey(source: Path, key: bytes, target: Path, new_key: bytes, name: str) -> None:
    try:
        old = connect(source, key)
    except (DamagedError, VaultLockedError) as error:
        message = f"The database inside {name} is damaged."
        raise DamagedError(message, hint="Use another copy of the backup.") from error
    try:
        new = connect(target, new_key, create=True)
        try:
            with translated(name), new.backup("main", old, "main") as copying:
                while not copying.done:
                    copying.step(1000)
            new.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            new.close()
    finally:
        old.close()
    handle = os.open(target, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def enrol(connection: Transaction, parts: Parts, kit: RecoveryKit) -> None:
    """Write the new device's first records: its key, vouched for, and the user keys for it."""
    keys = Keychain(parts.vault_id, None, kit.recovery)
    for stored in _key_records(connection, parts):
        keys.learn(*stored)
    keys.require_user_key()
    payload = device_payload(parts.vault_id, kit.root, parts.device)
    parts.journal.append(connection, RecordType.DEVICE, payload)
    devices = {parts.device.id: parts.device.agreement.public}
    for generation, secret in sorted(keys.user_secrets().items()):
        payload = user_key_payload(parts.vault_id, generation, secret, devices, kit.recovery.public)
        parts.journal.append(connection, RecordType.KEY_EPOCH, payload)
    parts.journal.refresh_keys(connection)
    parts.journal.keychain.require_user_key()


def _key_records(connection: Transaction, parts: Parts) -> Iterator[tuple[int, Any, bytes]]:
    for stored in parts.journal.records(connection):
        if stored.header.type in {RecordType.DEVICE, RecordType.KEY_EPOCH}:
            yield stored.num, stored.header, stored.payload or b""
