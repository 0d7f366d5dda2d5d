"""Making a replica: a folder with a key of its own, filled from the newest head of the stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from haulout.crypto.keys import DeviceKeys
from haulout.crypto.kit import RecoveryKit
from haulout.database.transaction import Transaction
from haulout.errors import InputError, VaultExistsError
from haulout.index.lexical import note_analyzer
from haulout.log import published
from haulout.log.clock import from_microseconds
from haulout.log.published import Published
from haulout.storage.durable import make_folder
from haulout.vault import opening
from haulout.vault.arguments import silent
from haulout.vault.dividing import divide_where_due
from haulout.vault.opening import Parts, World
from haulout.vault.replica import note as replica
from haulout.vault.replica.copying import Copied, Copying
from haulout.vault.replica.note import Replica
from haulout.vault.stores.newesthead import Found, with_kit
from haulout.vault.stores.restoring import follow
from haulout.vault.stores.store import Store
from haulout.vault.values import Refreshed

Report = Callable[[int, int | None], None]

_STEP_BYTES = 16 * 1024 * 1024
"""Of sections that are held at once."""


def make(
    stores: list[Store],
    folder: Path,
    *,
    given: Sequence[tuple[str, str]],
    kit: RecoveryKit,
    reopen: Callable[[str, str], Store],
    passphrase: str | None,
    most_bytes: int,
    world: World,
    report: Report,
) -> tuple[Parts, Refreshed]:
    """Make a replica in ``folder``, whole or not at all.

    Args:
        stores: open, as many as ``given``, which says kind and settings of each.
        folder: where; ``kit``: the owner's, of which only user keys are kept.
        reopen: opens a store that moved; ``passphrase``: protects the new key.
        most_bytes: of attachments; ``world``: clock and randomness.
        report: called with records taken and their number.

    Raises:
        VaultExistsError: a vault stands there; NotFoundError: the stores hold no head of it;
        StorageError, CodingError: something cannot be read, or this disk refused.
        InputError: ``most_bytes`` is no bound.
    """
    if type(most_bytes) is not int or most_bytes < 0:
        message = f"most_bytes is a number of bytes, not {most_bytes!r}."
        raise InputError(message)
    if opening.exists(folder):
        message = f"There is a vault in {folder} already."
        raise VaultExistsError(message)
    found, ignored = follow(stores, with_kit(kit), reopen)
    make_folder(folder)
    opening.warn_if_synced(folder)
    opening.begin(folder)
    device = DeviceKeys(world.entropy(32))
    opening.write_keyfile(folder, device, kit.vault_id, passphrase, world.entropy)
    database = opening.open_database(folder, device, world, create=True)
    parts = opening.assemble(folder, kit.vault_id, device, database, world)
    note = Replica(
        keys={generation: key.hex() for generation, key in found.secrets.items()},
        looked=world.now(),
        most_bytes=most_bytes,
    )
    settings = dict(given)
    if found.store.kind == "volumes":
        settings["volumes"] = found.store.settings()
    try:
        database.write(lambda connection: _begin(connection, parts, note, settings))
        copied = _filled(parts, found, report)
        divide_where_due(parts)
        opening.write_mark(folder, kit.vault_id, is_replica=True)
    except BaseException:
        database.close()
        raise
    made = Refreshed(
        changed=True,
        head=found.head.number,
        as_of=from_microseconds(found.head.clock),
        refreshed_at=from_microseconds(note.looked),
        records=copied.records,
        vectors=copied.vectors,
        problems=tuple(copied.problems),
        ignored=ignored,
    )
    return parts, made


def _begin(connection: Transaction, parts: Parts, note: Replica, settings: dict[str, str]) -> None:
    connection.execute("INSERT INTO vault VALUES (?, ?)", (parts.vault, parts.vault_id))
    note_analyzer(connection, parts.vault)
    replica.put_note(connection, parts.vault, note)
    replica.made_one(parts.journal, note)
    for kind, text in settings.items():
        published.add_store(connection, parts.vault, kind, text, Published())


def _filled(parts: Parts, found: Found, report: Report) -> Copied:
    """Take the head's runs, some at a time: nothing of it is a vault before all are here."""
    with parts.database.read() as connection:
        rows = published.stores(connection, parts.vault)
    row = next(one for one in rows if one.kind == found.store.kind)
    copying = Copying(parts, found, row, None)
    every, total = Copied(), found.head.records
    for group in copying.steps(_STEP_BYTES):
        copying.fetch(lambda done, _: report(every.records + done, total), group)
        every.add(parts.database.write(lambda tx, group=group: copying.write_some(tx, group)))
    copying.fetch(silent, ())
    parts.database.write(copying.finish)
    report(total, total)
    return every
