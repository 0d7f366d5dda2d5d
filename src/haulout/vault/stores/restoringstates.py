"""Restoring the state lane from stores: whole, or not at all (docs/spec/head.md).

An agent that acts on half of its journal acts twice, or beyond its limits. So a lane of which a
part cannot be read is left out, by name, and nobody can open a state in its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from haulout.crypto.kit import RecoveryKit
from haulout.crypto.section import Kind
from haulout.database.transaction import Transaction
from haulout.errors import CodingError, DamagedError, NotFoundError, StorageError, VaultError
from haulout.log import chain
from haulout.log import head as heads
from haulout.log.head import Head, Run
from haulout.log.keychain import Keychain
from haulout.log.published import Published, PublishedRun
from haulout.log.record import Lane, RecordType, record_hash
from haulout.log.segment import decode_segment
from haulout.state.lane import state_names
from haulout.state.views import rebuild
from haulout.vault import backup
from haulout.vault.opening import STATES, Parts
from haulout.vault.statelane import lane_journal, open_lane
from haulout.vault.stores.newesthead import Found, newest_head, with_kit
from haulout.vault.stores.store import Store
from haulout.vault.stores.taking import Taking

Report = Callable[[int, int | None], None]
_READING = (StorageError, CodingError, VaultError)
_MOST_ATTEMPTS = 20
_WITHHELD = "The vault had states, and its stores give no head of them."


class StatesRestored(NamedTuple):
    """What came back of the state lane.

    Attributes:
        records: entries of its log; ``states``: how many states they are of.
        found: the head they came from; None where nothing came.
        runs: of that head, as they are here.
        failure: why the lane is not here although a store has one, in words.
    """

    records: int = 0
    states: int = 0
    found: Found | None = None
    runs: tuple[PublishedRun, ...] = ()
    failure: str = ""

    def published(self, store: Store) -> Published | None:
        """What the copy that is here goes on from in a store."""
        if self.found is None or store is not self.found.store:
            return None
        copy, head = self.found.copy, self.found.head
        return Published(
            number=head.number if copy.name else 0,
            through=self.runs[-1].last if self.runs else 0,
            runs=self.runs,
            replaces=((copy.name, copy.data),) if copy.name else (),
            place=copy.place,
        )

    def blobs(self, store: Store) -> set[bytes]:
        """The blobs of that store that hold it."""
        if self.found is None or store is not self.found.store:
            return set()
        return self.found.head.blobs() | ({self.found.copy.blob} if self.found.copy.blob else set())


def restore_states(
    parts: Parts, stores: Sequence[Store], kit: RecoveryKit, report: Report
) -> StatesRestored:
    """Bring back the state lane of a vault that is being restored, if its stores have one.

    Args:
        parts: the vault, with its memories; ``stores``: open; ``kit``: the owner's.
        report: called with records done and their number.
    """
    attempt, failure, clock = 0, "", -1
    while attempt < _MOST_ATTEMPTS:
        attempt += 1
        try:
            found, _ = newest_head(stores, with_kit(kit), Lane.STATE)
            if found.head.clock <= clock:
                return StatesRestored(failure=failure)  # of the same head, it failed the same way
            clock = found.head.clock
            return _taken(parts, found, kit, report)
        except NotFoundError as error:
            if _has_one(parts, stores):
                return StatesRestored(failure=error.message)
            return StatesRestored(failure=_WITHHELD if _had_one(parts) else "")
        except _READING as error:
            # A publication may have removed what an older head names: a newer one stands then.
            failure = error.message
            if clock < 0:
                break
    return StatesRestored(failure=failure)


def _has_one(parts: Parts, stores: Sequence[Store]) -> bool:
    """Whether a head of the lane stands in a store, though none that opens."""
    devices = parts.journal.keychain.devices
    names = {heads.head_name(parts.vault_id, device, Lane.STATE) for device in devices} | {""}
    return any(copy.name in names for store in stores for copy in store.state_heads())


def _had_one(parts: Parts) -> bool:
    """Whether the memories that came back say that there was a state lane."""
    with parts.database.read() as connection:
        row = connection.execute(
            "SELECT 1 FROM record WHERE vault = ? AND type = ? LIMIT 1",
            (parts.vault, int(RecordType.STATE)),
        ).fetchone()
    return row is not None


def _taken(parts: Parts, found: Found, kit: RecoveryKit, report: Report) -> StatesRestored:
    """Take the lane in from a head.

    Raises:
        StorageError, CodingError, VaultError: a part of it cannot be read; nothing is left of it.
    """
    _remove(parts)
    database, journal = open_lane(parts, create=True), lane_journal(parts)
    lane = dataclasses.replace(parts, database=database, journal=journal)
    try:
        runs = _Taken(lane, found, kit).runs(report)
        database.write(lambda connection: backup.enrol(connection, lane, kit))
        database.write(lambda connection: rebuild(connection, journal))
        with database.read() as connection:
            names = state_names(connection, lane.vault)
    except BaseException:
        database.close()
        _remove(parts)
        raise
    database.close()
    return StatesRestored(found.head.records, len(names), found, tuple(runs))


def _remove(parts: Parts) -> None:
    """Remove what an attempt left; the vault is no vault yet."""
    if parts.folder is not None:
        for suffix in ("", "-wal", "-shm"):
            (parts.folder / f"{STATES}{suffix}").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            (parts.folder / STATES).with_suffix(".lock").unlink()


class _Taken:
    """A lane's records, from a head into an empty database."""

    def __init__(self, lane: Parts, found: Found, kit: RecoveryKit) -> None:
        self._lane, self._found = lane, found
        keys = Keychain(lane.vault_id, None, kit.recovery)
        self._taking = Taking(lane, found.store, found.secrets, keys)

    def runs(self, report: Report) -> list[PublishedRun]:
        """Take every run, verified; what they are here."""
        head, database = self._found.head, self._lane.database
        database.write(
            lambda connection: connection.execute(
                "INSERT INTO vault VALUES (?, ?)", (self._lane.vault, self._lane.vault_id)
            )
        )
        self._taking.fetch_newest(head.runs)
        runs: list[PublishedRun] = []
        done = 0
        for run in head.runs:
            first, last, dead = self._take(run)
            runs.append(PublishedRun(first, last, run, dead, ()))
            done += run.records
            report(done, head.records)
        with database.read() as connection:
            _require_ends(connection, self._lane.vault, head)
        return runs

    def _take(self, run: Run) -> tuple[int, int, int]:
        content = self._taking.section(Kind.SEGMENT, run.segment)
        records = decode_segment(content, self._lane.vault_id)
        foreign = any(one.header.lane != Lane.STATE for one in records)
        if len(records) != run.records or foreign:
            message = "A segment of the state lane holds other records than its head says."
            raise DamagedError(message)
        wraps = self._taking.wraps(run)
        return self._lane.database.write(
            lambda connection: self._taking.insert(connection, records, wraps)
        )


def _require_ends(connection: Transaction, vault: int, head: Head) -> None:
    """See that each device's chain ends where the head says."""
    for tip in head.tips:
        row = connection.execute(
            "SELECT sequence, header, clock FROM record WHERE vault = ? AND device = ?"
            " ORDER BY sequence DESC LIMIT 1",
            (vault, tip.device),
        ).fetchone()
        end = chain.Tip(row[0], record_hash(row[1]), row[2]) if row else chain.EMPTY
        if (end.sequence, end.hash) != (tip.sequence, tip.hash):
            message = "The state lane's records do not end where its head says."
            raise DamagedError(message)
