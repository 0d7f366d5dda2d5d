"""Restoring: a vault made again from its stores and the 24 words (docs/spec/head.md).

    find the newest head that the owner's root vouches for
    records of every run, verified against chain and signature      restored + failed = total
    this machine enrolled as a device
    the index folded anew; computed vectors taken from their sections
    the state lane, whole or not at all                             restoringstates.py
    the mark that makes the folder a vault

A run that cannot be read is named and counted, and the rest is restored all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from haulout.crypto.keys import DeviceKeys
from haulout.crypto.kit import RecoveryKit
from haulout.crypto.section import Kind
from haulout.database.transaction import Transaction
from haulout.errors import (
    CodingError,
    DamagedError,
    NotFoundError,
    StorageError,
    StoreUnavailableError,
    VaultError,
    VaultExistsError,
    VaultLockedError,
)
from haulout.index.lexical import note_analyzer
from haulout.log import published
from haulout.log.chunkmap import decode_chunk_map
from haulout.log.head import Ref, Run
from haulout.log.keychain import Keychain
from haulout.log.published import Published, PublishedMap, PublishedRun
from haulout.log.segment import decode_keys, decode_segment, decode_vectors
from haulout.storage.durable import make_folder
from haulout.vault import backup, inspection, opening
from haulout.vault.attachments import chunks
from haulout.vault.opening import STATES_MADE, Parts, World
from haulout.vault.stores.newesthead import Found, Opened, newest_head, with_kit
from haulout.vault.stores.store import Store
from haulout.vault.stores.taking import Taking

if TYPE_CHECKING:
    from haulout.vault.stores.restoringstates import StatesRestored

Report = Callable[[int, int | None], None]

_MOST_MOVES = 8
_MOST_ATTEMPTS = 20
"""Each begins with the head that is the newest then."""
_READING = (StorageError, CodingError, VaultError)


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore brought back.

    Attributes:
        records: entries of the log that are here; failed: those that are not; together they
            are all that the head names.
        chunks: pieces of attachments that are here; failed_chunks: those that are not.
        vectors: computed vectors taken over instead of embedding again.
        states: states of agents that are here; state_records: entries of their log. They come
            whole or not at all; where they could not, `failures` says so.
        head: the head's number; published_at: when it was published, microseconds since 1970.
        failures: each part that could not be read, by name, with the reason.
        ignored: heads that were found and not used, with the reason.
    """

    records: int
    failed: int
    chunks: int
    failed_chunks: int
    vectors: int
    head: int
    published_at: int
    states: int = 0
    state_records: int = 0
    failures: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything is here."""
        return not self.failures


def follow(
    stores: list[Store], opened: Opened, reopen: Callable[[str, str], Store]
) -> tuple[Found, tuple[str, ...]]:
    """The newest head, looked for again where the one that is found says that its store moved.

    A locator may be older than the volumes it names. Only what the owner's device signed is
    followed: a layout that a volume alone tells of could lead anywhere, with credentials.

    Args:
        stores: open stores; one that moved is replaced in it. ``opened``: opens a head.
        reopen: opens a store of a kind from its settings.

    Raises:
        HauloutError: as `newest_head`.
    """
    found, ignored = newest_head(stores, opened)
    for _ in range(_MOST_MOVES):
        told = found.head.stores.decode("utf-8", "replace")
        if found.store.kind != "volumes" or told in {"", found.store.settings()}:
            break
        moved = reopen(found.store.kind, told)
        stores[stores.index(found.store)] = moved
        found.store.close()
        found, ignored = newest_head(stores, opened)
    return found, ignored


def restore(
    stores: list[Store],
    folder: Path,
    *,
    kit: RecoveryKit,
    reopen: Callable[[str, str], Store],
    passphrase: str | None,
    world: World,
    report: Report,
) -> tuple[Parts, Restored]:
    """Make a vault in ``folder`` from its stores, with this machine as a new device.

    Args:
        stores, reopen: as for `follow`; ``folder``: where; ``kit``: the owner's.
        passphrase: protects the new key; ``world``: clock and randomness.
        report: called with records done and their number.

    Raises:
        VaultExistsError: one stands there; NotFoundError: the stores hold no head of it;
        StorageError: no store can be reached, or this disk refused.
    """
    if opening.exists(folder):
        message = f"There is a vault in {folder} already."
        raise VaultExistsError(message)
    make_folder(folder)
    opening.warn_if_synced(folder)
    for attempt in range(_MOST_ATTEMPTS):
        found, ignored = follow(stores, with_kit(kit), reopen)
        opening.begin(folder)
        device = DeviceKeys(world.entropy(32))
        opening.write_keyfile(folder, device, kit.vault_id, passphrase, world.entropy)
        database = opening.open_database(folder, device, world, create=True)
        parts = opening.assemble(folder, kit.vault_id, device, database, world)
        again = attempt < _MOST_ATTEMPTS - 1
        try:
            restored = _Restoring(parts, found, kit).run(stores, ignored, report)
            if not (again and restored.failures and _went_on(stores, found, kit)):
                opening.write_mark(folder, kit.vault_id)
                return parts, restored
            database.close()
        except VaultError:
            database.close()
            if not (again and _went_on(stores, found, kit)):
                raise
        except BaseException:
            database.close()
            raise
    message = "The vault is published faster than it can be read."
    raise StoreUnavailableError(message, hint="Stop what publishes it for a moment, and try again.")


def _went_on(stores: Sequence[Store], found: Found, kit: RecoveryKit) -> bool:
    """Whether a newer head stands by now: what an older one names may have been removed since."""
    newest, _ = newest_head(stores, with_kit(kit))
    return newest.head.clock > found.head.clock


class _Restoring:
    """One restore under way."""

    def __init__(self, parts: Parts, found: Found, kit: RecoveryKit) -> None:
        self._parts, self._found, self._kit = parts, found, kit
        keys = Keychain(parts.vault_id, None, kit.recovery)
        self._taking = Taking(parts, found.store, found.secrets, keys)
        self._failures: list[str] = []
        self._runs: list[PublishedRun] = []
        self._maps: list[PublishedMap] = []
        self._map_places: list[dict[bytes, Ref]] = []
        self._places: dict[bytes, Ref] = {}
        self._failed = self._records = 0

    def run(self, stores: Sequence[Store], ignored: tuple[str, ...], report: Report) -> Restored:
        head, database = self._found.head, self._parts.database
        database.write(self._begin)
        self._taking.fetch_newest(head.runs)
        total = head.records
        for number, run in enumerate(head.runs, 1):
            self._take_run(f"run {number} of {len(head.runs)}", run)
            report(self._records + self._failed, total)
        self._enrol()
        problems: list[str] = []
        inspection.rebuild(
            self._parts, vectors=False, progress=lambda _done, _total: None, problems=problems
        )
        self._failures += problems
        taken = sum(self._take_vectors(run) for run in self._runs)
        taken_chunks, failed_chunks = self._take_chunks(report)
        from haulout.vault.stores.restoringstates import restore_states  # 20 ms, for a restore

        states = restore_states(self._parts, stores, self._kit, report)
        if states.failure:
            self._failures.append(f"states: {states.failure}")
        database.write(lambda connection: self._note_stores(connection, stores, states))
        return Restored(
            records=self._records,
            failed=self._failed,
            chunks=taken_chunks,
            failed_chunks=failed_chunks,
            vectors=taken,
            states=states.states,
            state_records=states.records,
            head=head.number,
            published_at=head.clock,
            failures=tuple(self._failures),
            ignored=ignored,
        )

    def _begin(self, connection: Transaction) -> None:
        vault = self._parts.vault
        connection.execute("INSERT INTO vault VALUES (?, ?)", (vault, self._parts.vault_id))
        note_analyzer(connection, vault)

    def _enrol(self) -> None:
        """Make this machine a device of the vault.

        Raises:
            DamagedError: what holds the vault's keys cannot be read, so nothing else could be.
        """
        try:
            self._parts.database.write(
                lambda connection: backup.enrol(connection, self._parts, self._kit)
            )
        except VaultLockedError as error:
            if not self._failures:
                raise
            message = f"The part that holds this vault's keys cannot be read: {self._failures[0]}"
            hint = "Restore again once more of its stores answer; nothing was made."
            raise DamagedError(message, hint=hint) from error

    # ------------------------------------------------------------------ records

    def _take_run(self, name: str, run: Run) -> None:
        try:
            content = self._taking.section(Kind.SEGMENT, run.segment)
            records = decode_segment(content, self._parts.vault_id)
            if len(records) != run.records:
                message = f"it holds {len(records)} records instead of {run.records}"
                raise DamagedError(message)
            wraps = (
                {} if run.keys is None else decode_keys(self._taking.section(Kind.KEYS, run.keys))
            )
            first, last, dead = self._parts.database.write(
                lambda connection: self._taking.insert(connection, records, wraps)
            )
        except _READING as error:
            self._failed += run.records
            self._failures.append(f"{name} ({run.records} records): {error.message}")
            return
        self._records += run.records
        self._runs.append(PublishedRun(first, last, run, dead, ()))

    # ------------------------------------------------------------------ vectors

    def _take_vectors(self, run: PublishedRun) -> int:
        """Take over a run's computed vectors; what cannot be read is embedded again."""
        taken, models = 0, list[str]()
        for ref in run.run.vectors:
            try:
                model, sealed = decode_vectors(self._taking.section(Kind.VECTORS, ref))
            except _READING:
                continue
            models.append(model)
            taken += self._parts.database.write(
                lambda connection, model=model, sealed=sealed: self._taking.insert_vectors(
                    connection, model, sealed
                )
            )
        if len(models) == len(run.run.vectors):
            self._runs[self._runs.index(run)] = run._replace(models=tuple(models))
        return taken

    # ------------------------------------------------------------------ attachments

    def _take_chunks(self, report: Report) -> tuple[int, int]:
        """Bring back the chunks of attachments: how many are here, and how many are not."""
        for number, ref in enumerate(self._found.head.chunks):
            try:
                content = self._taking.section(Kind.CHUNK_MAP, ref)
                places = decode_chunk_map(content)
            except _READING as error:
                self._failures.append(f"map {number} of attachments: {error.message}")
                continue
            self._maps.append(PublishedMap(number, hashlib.sha256(content).digest(), ref))
            self._map_places.append(places)
            self._places |= places
        failed: dict[bytes, str] = {}
        taken = 0
        while waiting := [one for one in chunks.missing(self._parts) if one.id not in failed]:
            for one in waiting:
                reason = self._take_chunk(one.id)
                if reason:
                    failed[one.id] = reason
                taken += not reason
                report(taken, None)
        chunks.settle(self._parts)
        self._failures += [f"chunk {name.hex()}: {reason}" for name, reason in failed.items()]
        return taken, len(failed)

    def _take_chunk(self, chunk: bytes) -> str:
        """Bring one chunk back; why it could not be, or nothing."""
        ref = self._places.get(chunk)
        if ref is None:
            return "no map names it"
        try:
            chunks.put_sealed(self._parts, chunk, self._taking.section(Kind.CHUNK, ref))
        except (*_READING, NotFoundError) as error:
            return error.message
        return ""

    # ------------------------------------------------------------------ going on

    def _note_stores(
        self, connection: Transaction, stores: Sequence[Store], states: StatesRestored
    ) -> None:
        """Go on publishing where the head stands; what could not be read is published anew."""
        head, copy = self._found.head, self._found.copy
        if states.failure or states.found is not None:
            opening.note_states(connection, self._parts.vault, states.failure or STATES_MADE)
        whole = not self._failed and len(self._maps) == len(head.chunks)
        whole = whole and all(len(run.models) == len(run.run.vectors) for run in self._runs)
        for store in stores:
            state = Published()
            if whole and store is self._found.store:
                state = Published(
                    number=head.number if copy.name else 0,
                    through=self._runs[-1].last if self._runs else 0,
                    runs=tuple(self._runs),
                    chunks=tuple(self._maps),
                    replaces=((copy.name, copy.data),) if copy.name else (),
                    place=copy.place,
                )
            state = msgspec.structs.replace(state, states=states.published(store))
            settings = store.settings()
            if store is self._found.store and copy.place and head.stores:
                settings = head.stores.decode()  # a locator holds less, and nobody signed it
            number = published.add_store(connection, self._parts.vault, store.kind, settings, state)
            published.inherit(connection, number, states.blobs(store))
            if state.runs:
                blobs = head.blobs() | {ref.blob for ref in self._places.values()}
                blobs |= {copy.blob} if copy.blob else set()
                published.inherit(connection, number, blobs)
                for one, places in zip(self._maps, self._map_places, strict=True):
                    published.inherit_chunks(connection, number, places.items(), one.number)
