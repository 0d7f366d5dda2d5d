"""Taking records in that another device published: verified, inserted, nothing else believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from haulout.crypto.section import Kind, open_section
from haulout.database.transaction import Transaction
from haulout.errors import CodingError, DamagedError, StorageError
from haulout.index import vectors
from haulout.log import chain
from haulout.log.head import Ref, Run
from haulout.log.keychain import Keychain
from haulout.log.record import NO_NAMESPACE, RecordType, id_text
from haulout.log.segment import Carried, decode_keys, open_codes
from haulout.vault.opening import Parts
from haulout.vault.stores.store import Store

FETCHED_BYTES = 16 * 1024 * 1024
"""Of the newest sections, read ahead: a run takes part in the next joining while it is small."""


class Taking:
    """Takes runs of records from a store into a vault.

    Args:
        parts: the vault they go into; ``store``: where they come from.
        secrets: user keys by generation.
        keys: learns devices and keys as they come; it verifies who signed what.
        tips: where each device's chain ends in the vault.
    """

    def __init__(
        self,
        parts: Parts,
        store: Store,
        secrets: Mapping[int, bytes],
        keys: Keychain,
        tips: Mapping[bytes, chain.Tip] | None = None,
    ) -> None:
        self._parts, self._store, self._secrets, self._keys = parts, store, secrets, keys
        self._tips: dict[bytes, chain.Tip] = dict(tips or {})
        self._fetched: dict[Ref, bytes] = {}

    def fetch_newest(self, runs: Sequence[Run], most: int = FETCHED_BYTES) -> None:
        """Read the sections of the newest runs ahead, as far as ``most`` bytes go.

        Those are the ones that the next publication may write together and remove; older runs
        change seldom. What cannot be read here is asked for again in its turn.
        """
        for run in reversed(runs):
            for ref in (run.segment, *([run.keys] if run.keys else []), *run.vectors):
                most -= ref.length
                if most < 0:
                    return
                with suppress(StorageError, CodingError):
                    self._fetched[ref] = self._store.get(ref)

    def section(self, kind: Kind, ref: Ref) -> bytes:
        """The content of a section, read from the store and opened.

        Raises:
            StorageError, CodingError, VaultError: it cannot be read, or is not what was sealed.
        """
        data = self._fetched.pop(ref, None) or self._store.get(ref)
        return open_section(self._secrets, kind, self._parts.vault_id, data)

    def wraps(self, run: Run) -> dict[bytes, bytes]:
        """The wraps of a run's record keys, by record ID; raises as `section`."""
        return {} if run.keys is None else decode_keys(self.section(Kind.KEYS, run.keys))

    def insert(
        self, connection: Transaction, records: Sequence[Carried], wraps: dict[bytes, bytes]
    ) -> tuple[int, int, int]:
        """Insert a run's records, all or none: its first number, its last, how many are erased."""
        tips, dead, first, num = dict(self._tips), 0, 0, 0
        for carried in records:
            header = carried.header
            sealed = header.namespace != NO_NAMESPACE
            wrap = wraps.get(header.id)
            payload = carried.payload if wrap is not None or not sealed else None
            tip = tips.get(header.device, chain.EMPTY)
            _, tips[header.device] = chain.follow(tip, carried.header_bytes, carried.payload)
            connection.execute(
                "INSERT INTO record (vault, device, sequence, id, type, clock, header, signature,"
                " payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._parts.vault, header.device, header.sequence, header.id, header.type,
                    header.clock, carried.header_bytes, carried.signature, payload,
                ),
            )  # fmt: skip
            num = connection.last_insert_rowid()
            first = first or num
            dead += payload is None
            if wrap is not None and payload is not None:
                connection.execute(
                    "INSERT INTO record_key (num, vault, wrap) VALUES (?, ?, ?)",
                    (num, self._parts.vault, wrap),
                )
            self._learn(connection, num, carried)
            self._require_signature(carried)
        self._tips.update(tips)
        return first, num, dead

    def _learn(self, connection: Transaction, num: int, carried: Carried) -> None:
        """Learn a device or a key, and give a new namespace its number."""
        header = carried.header
        if header.type not in {RecordType.DEVICE, RecordType.KEY_EPOCH}:
            return
        self._keys.learn(num, header, carried.payload or b"")
        for key in self._keys.namespaces():
            connection.execute(
                "INSERT OR IGNORE INTO namespace (vault, id, name) VALUES (?, ?, ?)",
                (self._parts.vault, key.id, key.name),
            )

    def _require_signature(self, carried: Carried) -> None:
        keys = self._keys.devices.get(carried.header.device)
        public = keys[0] if keys else b""
        if not chain.signature_matches(carried.header_bytes, carried.signature, public):
            message = f"Record {id_text(carried.header.id)} is not signed by its device."
            raise DamagedError(message)

    def insert_vectors(
        self, connection: Transaction, model: str, sealed: dict[bytes, bytes]
    ) -> int:
        """Take over vectors of records that wait for theirs; how many records got them."""
        journal, taken = self._parts.journal, 0
        number = vectors.model_number(connection, self._parts.vault, model)
        vectors.choose_model(connection, self._parts.vault, model)
        if vectors.chosen_model(connection, self._parts.vault) != model:
            return 0  # this copy is searched by another model, for which they go on waiting
        for record_id, box in sealed.items():
            num = journal.find(connection, record_id)
            waits = connection.execute("SELECT 1 FROM embed_queue WHERE num = ?", (num,)).fetchone()
            if num is None or not waits:
                continue
            key = journal.record_key(connection, journal.stored(connection, num))
            try:
                parts = open_codes(key, record_id, model, box)
            except DamagedError:
                continue  # it waits in the queue still, and is embedded again
            vectors.add_codes(connection, self._parts.vault, number, num, parts)
            taken += 1
        return taken
