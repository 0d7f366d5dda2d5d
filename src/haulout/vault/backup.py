r"""Backup: the whole vault in one sealed file, and a vault made from it (docs/spec/backup.md).

    "haulout backup 3\n" || u32 length || header (canonical CBOR) || SHA-256 of the above
    || database || the state lane's || chunks of attachments, each: ID (16) || u32 length
    || sealed bytes || 20 zero bytes

The databases are copies of the lanes, their pages sealed under keys made for this file; the
header holds what they derive from, wrapped to the recovery kit. No device secret is in it. Chunks
are taken as they stand: the keys that open them are in the database.
"""

from __future__ import annotations

import dataclasses
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
import msgspec

from haulout.crypto.chunk import SEALED_BYTES
from haulout.crypto.keys import DeviceKeys, derive, wrap_to
from haulout.crypto.kit import RecoveryKit
from haulout.database.connection import connect
from haulout.database.failures import translated
from haulout.database.transaction import Transaction
from haulout.errors import (
    BlobMissingError,
    DamagedError,
    DiskFullError,
    HauloutError,
    InputError,
    NotFoundError,
    ReadOnlyError,
    VaultExistsError,
    VaultLockedError,
    VaultVersionError,
)
from haulout.log import chunktable, published
from haulout.log import head as heads
from haulout.log.keychain import Keychain, device_payload, user_key_payload
from haulout.log.published import Published
from haulout.log.record import RecordType, canonical
from haulout.storage.durable import make_folder, replacing, storage_error, sync_folder
from haulout.vault import opening
from haulout.vault.attachments import chunks
from haulout.vault.opening import Parts, World
from haulout.vault.values import BackedUp

_MAGIC = b"haulout backup "
_VERSION = b"3\n"
_WITHOUT_STATES = b"2\n"
_WITHOUT_CHUNKS = b"1\n"  # the database is the rest of the file
_FRAME = 16 + 4
_END = bytes(_FRAME)
_HEARD_EVERY = 200
_PIECE = 1024 * 1024
_MOST_HEADER = 64 * 1024


def _context(vault_id: bytes) -> bytes:
    return b"haulout/1/backup\0" + vault_id


def write(
    parts: Parts, file: Path, states: Parts | None = None, states_failure: str = ""
) -> BackedUp:
    """Write a backup of one moment of each lane; the file is replaced whole or not at all.

    The state lane's moment is the later one: what the other knows to be published of it is in it.

    Args:
        parts: the open vault; ``file``: where to.
        states: the state lane's database and journal; None where there is none that opens.
        states_failure: why it does not open, to be told.
    """
    key = secrets.token_bytes(32)
    with parts.database.read() as connection:
        parts.journal.refresh_keys(connection)
    wrapped = wrap_to(parts.journal.keychain.kit_public, key, _context(parts.vault_id))
    copy = file.with_name(f".{file.name}.copy-{secrets.token_hex(4)}")
    lane = copy.with_name(f"{copy.name}-states")
    try:
        with _files_held(parts) as heard:
            parts.database.copy_to(copy, key)
            if states is not None:
                states.database.copy_to(lane, _states_key(key))
            sizes = [one.stat().st_size if one.exists() else 0 for one in (copy, lane)]
            head = _head({
                "vault": parts.vault_id, "key": wrapped, "database": sizes[0], "states": sizes[1],
            })  # fmt: skip
            with replacing(file) as temporary, temporary.open("xb") as target:
                temporary.chmod(0o600)
                target.write(head)
                for one in (copy, *([lane] if states is not None else [])):
                    with one.open("rb") as body:
                        shutil.copyfileobj(body, target, _PIECE)
                written, missing = _write_chunks(parts, _chunks_in(copy, key), target, heard)
        counts = [_records_in(copy, key), _records_in(lane, _states_key(key)) if states else 0]
    except OSError as error:
        raise storage_error(error, file) from error
    finally:
        _remove(copy, lane)
    return BackedUp(
        path=str(file),
        records=counts[0],
        bytes=file.stat().st_size,
        chunks=written,
        missing=missing,
        state_records=counts[1],
        states_failure=states_failure,
    )


def _states_key(key: bytes) -> bytes:
    """The key of the state lane's pages in a backup: one key seals the pages of one file."""
    return derive(key, "backup/states")


def _remove(*copies: Path) -> None:
    for copy in copies:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _records_in(copy: Path, key: bytes) -> int:
    """How many records a copy of a lane's database holds."""
    connection = connect(copy, key)
    try:
        found = cast("Transaction", connection).execute("SELECT count(*) FROM record").fetchone()
        return found[0] if found else 0
    finally:
        connection.close()


def _head(fields: dict[str, Any]) -> bytes:
    header = canonical(fields)
    head = _MAGIC + _VERSION + len(header).to_bytes(4, "big") + header
    return head + hashlib.sha256(head).digest()


@contextmanager
def _files_held(parts: Parts) -> Generator[Callable[[], None]]:
    """For the block no chunk's file is removed; what it gives is called now and then.

    A disk that takes no write must let a backup out to another one: nothing is held then, and a
    file that is removed meanwhile, once there is room, is counted as missing.
    """
    vault, now = parts.vault, parts.journal.now
    parts.journal.require_writable()  # restored, a replica's would go on from an old state
    try:
        held: int = parts.database.write(
            lambda connection: chunktable.begin(connection, vault, now(), backup=True)
        )
    except (DiskFullError, ReadOnlyError):
        yield lambda: None
        return

    def heard() -> None:
        with suppress(DiskFullError, ReadOnlyError):  # full in the meantime
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
    if version not in {_VERSION, _WITHOUT_STATES, _WITHOUT_CHUNKS}:
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
        if version != _VERSION:
            header["states"] = 0
        if any(type(header[name]) is not int for name in ("database", "states")):
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
    _unpack(file, start, head["database"], key, folder / opening.DATABASE, device)
    start += head["database"]
    if head["states"]:
        _unpack(file, start, head["states"], _states_key(key), folder / opening.STATES, device)
    database = opening.open_database(folder, device, world, create=False)
    parts = opening.assemble(folder, vault_id, device, database, world)
    try:
        database.write(lambda connection: enrol(connection, parts, kit))
        database.write(lambda connection: _take_over(connection, parts))
        if head["states"]:
            _enrol_states(parts, kit)
        _restore_chunks(file, start + head["states"], parts)
        opening.write_mark(folder, vault_id)
    except BaseException:
        database.close()
        raise
    return parts


def _enrol_states(parts: Parts, kit: RecoveryKit) -> None:
    """Make the new device one of the state lane, too, which stands in its place already."""
    from haulout.vault.statelane import lane_journal, open_lane

    lane = dataclasses.replace(
        parts, database=open_lane(parts, create=False), journal=lane_journal(parts)
    )
    try:
        lane.database.write(lambda connection: enrol(connection, lane, kit))
    finally:
        lane.database.close()


def _take_over(connection: Transaction, parts: Parts) -> None:
    """Go on publishing as the new device: its heads take the place of the old one's.

    What was under way is let go: its packs are not in the backup, and its head was signed by the
    other device. Where the other has published since, its head stands, and the first sync is told.
    """
    parts.journal.refresh_keys(connection)
    for row in published.stores(connection, parts.vault):
        state = _taken_over(parts, row.state)
        if state.states is not None:
            state = msgspec.structs.replace(state, states=_taken_over(parts, state.states))
        published.done(connection, row.number, state)


def _taken_over(parts: Parts, state: Published) -> Published:
    if not state.head or state.place is not None:  # one without a name is in nobody's place
        return state
    found = heads.open_head(state.head, parts.vault_id, parts.journal.keychain.user_secrets())
    name = heads.head_name(parts.vault_id, found.device, found.lane)
    return msgspec.structs.replace(state, head=b"", replaces=((name, state.head),))


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


def _unpack(file: Path, start: int, size: int, key: bytes, place: Path, device: DeviceKeys) -> None:
    """Copy one of the backup's databases into place under the new device's database key."""
    folder = place.parent
    copy = folder / f".restore-{secrets.token_hex(4)}.db"
    try:
        with file.open("rb") as source, copy.open("xb") as target:
            source.seek(start)
            while size and (piece := source.read(min(size, _PIECE))):
                target.write(piece)
                size -= len(piece)
        _rekey(copy, key, place, device.database, file.name)
        sync_folder(folder)
    except OSError as error:
        raise storage_error(error, folder) from error
    finally:
        _remove(copy)


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
