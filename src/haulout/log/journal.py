"""Appending to the log and reading it back, inside a database transaction.

The journal is the only writer of the log's tables. It knows nothing of what a payload says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from haulout.crypto.envelope import EnvelopeContext, open_envelope, seal
from haulout.crypto.keys import DeviceKeys, Entropy
from haulout.database.transaction import Transaction
from haulout.errors import DamagedError, ErasedError, ReadOnlyError
from haulout.log.chain import EMPTY, Tip, sign
from haulout.log.clock import tick
from haulout.log.keychain import Keychain, NamespaceKey, record_context
from haulout.log.record import (
    NO_NAMESPACE,
    Header,
    Lane,
    RecordType,
    decode_header,
    encode_header,
    id_range,
    id_text,
    payload_hash,
    record_hash,
)


class Entry(NamedTuple):
    """Where a record stands: its local number, its ID and its clock."""

    num: int
    id: bytes
    clock: int


class Stored(NamedTuple):
    """A record as it stands in the log."""

    num: int
    header: Header
    header_bytes: bytes
    signature: bytes
    payload: bytes | None


class Journal:
    """One lane's log in one database, written by one device.

    Args:
        vault: the vault's local number; ``vault_id``: its ID.
        lane: which lane; ``device``: who signs; ``keychain``: the keys.
        now: microseconds since 1970 UTC; ``entropy``: random bytes.
    """

    def __init__(
        self,
        vault: int,
        vault_id: bytes,
        lane: Lane,
        device: DeviceKeys,
        keychain: Keychain,
        *,
        now: Callable[[], int],
        entropy: Entropy,
    ) -> None:
        self.vault, self.vault_id, self.lane = vault, vault_id, lane
        self._device, self.keychain = device, keychain
        self.now, self.entropy = now, entropy
        self._last_id, self._last_tip = b"", EMPTY
        self.read_only: tuple[str, str] | None = None
        """Why nothing is appended, and what to do instead; None where it may be."""

    # ------------------------------------------------------------------ writing

    def require_writable(self) -> None:
        """Refuse to go on where nothing may be added to the log.

        Raises:
            ReadOnlyError: nothing may, with the reason.
        """
        if self.read_only is not None:
            message, hint = self.read_only
            raise ReadOnlyError(message, hint=hint)

    def _ends(self, connection: Transaction) -> tuple[Tip, int]:
        """The end of this device's chain, and the newest clock: an append goes past all clocks.

        Mostly the newest record of all is the one that was appended here last, and its end is
        remembered. Its random ID tells it from another that took its number after a rollback.
        """
        row = connection.execute(  # +vault: by an index over vaults all rows would be sorted
            "SELECT id, clock FROM record WHERE +vault = ? ORDER BY num DESC LIMIT 1",
            (self.vault,),
        ).fetchone()
        if row is None:
            return EMPTY, 0
        if row[0] == self._last_id:
            return self._last_tip, row[1]
        tip = connection.execute(
            "SELECT sequence, header, clock FROM record WHERE vault = ? AND device = ?"
            " ORDER BY sequence DESC LIMIT 1",
            (self.vault, self._device.id),
        ).fetchone()
        return Tip(tip[0], record_hash(tip[1]), tip[2]) if tip else EMPTY, row[1]

    def append(
        self,
        connection: Transaction,
        record_type: RecordType,
        payload: bytes,
        *,
        namespace: NamespaceKey | None = None,
        operation: bytes = b"",
    ) -> Entry:
        """Append one record to this device's chain; durable when the transaction commits.

        Args:
            connection: inside a write transaction.
            record_type: what it is.
            payload: its bytes; sealed under a new record key where a namespace is given.
            namespace: the namespace it belongs to, or None for device and key records.
            operation: MAC of the caller's operation ID, or empty.

        Raises:
            ReadOnlyError: nothing may be added to this log.
        """
        self.require_writable()
        tip, newest = self._ends(connection)
        record_id = self.entropy(16)
        namespace_id, epoch, record_key = NO_NAMESPACE, 0, None
        if namespace is not None:
            namespace_id, epoch, record_key = namespace.id, namespace.epoch, self.entropy(32)
            context = EnvelopeContext(
                self.vault_id, namespace_id, epoch, record_id, record_type, self._device.id
            )
            payload = seal(record_key, payload, context)
        header = Header(
            vault=self.vault_id,
            lane=self.lane,
            device=self._device.id,
            sequence=tip.sequence + 1,
            previous=tip.hash,
            id=record_id,
            clock=tick(newest, self.now()),
            type=record_type,
            namespace=namespace_id,
            epoch=epoch,
            operation=operation,
            payload_hash=payload_hash(payload),
        )
        header_bytes = encode_header(header)
        connection.execute(
            "INSERT INTO record (vault, device, sequence, id, type, clock, header, signature,"
            " payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.vault,
                header.device,
                header.sequence,
                record_id,
                int(record_type),
                header.clock,
                header_bytes,
                sign(header_bytes, self._device.signing),
                payload,
            ),
        )
        self._last_id = record_id
        self._last_tip = Tip(header.sequence, record_hash(header_bytes), header.clock)
        num = connection.last_insert_rowid()
        if namespace is not None and record_key is not None:
            bound = record_context(self.vault_id, namespace.id, namespace.epoch, record_id)
            wrap = namespace.key.wrap(record_key, bound, self.entropy)
            connection.execute("INSERT INTO record_key VALUES (?, ?, ?)", (num, self.vault, wrap))
        if operation:
            connection.execute(
                "INSERT INTO operation VALUES (?, ?, ?)", (self.vault, operation, num)
            )
        return Entry(num, record_id, header.clock)

    def ensure_namespace(self, connection: Transaction, name: str) -> tuple[int, NamespaceKey]:
        """Return a namespace's local number and newest key, bringing it in where it is new.

        It is asked for by who is about to write, so it refuses as `append` does.
        """
        self.require_writable()
        row = connection.execute(
            "SELECT namespace, id FROM namespace WHERE vault = ? AND name = ?", (self.vault, name)
        ).fetchone()
        if row is not None:
            return row[0], self._newest_key(connection, row[1])
        payload = self.keychain.new_namespace_payload(name, self.entropy)
        self.append(connection, RecordType.KEY_EPOCH, payload)
        key = self.keychain.read_namespace_key(payload)
        connection.execute(
            "INSERT INTO namespace (vault, id, name) VALUES (?, ?, ?)", (self.vault, key.id, name)
        )
        return connection.last_insert_rowid(), key

    def _newest_key(self, connection: Transaction, namespace: bytes) -> NamespaceKey:
        key = self.keychain.newest(namespace)
        if key is None:
            self.refresh_keys(connection)
            key = self.keychain.newest(namespace)
        if key is None:
            # A rolled back transaction can leave `learned` ahead of the table: read it all.
            self.keychain.learned = 0
            self.refresh_keys(connection)
            key = self.keychain.newest(namespace)
        if key is None:
            message = f"There is no key for namespace {namespace.hex()}."
            raise DamagedError(message)
        return key

    def destroy(self, connection: Transaction, num: int) -> None:
        """Destroy a record's key and payload. The header stays; the chain still verifies."""
        connection.execute("DELETE FROM record_key WHERE num = ?", (num,))
        connection.execute("UPDATE record SET payload = NULL WHERE num = ?", (num,))

    # ------------------------------------------------------------------ reading

    def refresh_keys(self, connection: Transaction) -> None:
        """Learn key records that other processes (or rolled forward transactions) brought in."""
        learn_keys(connection, self.vault, self.keychain)

    def operation(self, connection: Transaction, operation: bytes) -> int | None:
        """The number of the record that an operation ID wrote, if it wrote one."""
        row = connection.execute(
            "SELECT num FROM operation WHERE vault = ? AND mac = ?", (self.vault, operation)
        ).fetchone()
        return row[0] if row else None

    def find(self, connection: Transaction, record_id: bytes) -> int | None:
        """The number of the record with an ID."""
        row = connection.execute(
            "SELECT num FROM record WHERE vault = ? AND id = ?", (self.vault, record_id)
        ).fetchone()
        return row[0] if row else None

    def beginning(
        self, connection: Transaction, prefix: str, types: Sequence[RecordType], limit: int
    ) -> list[bytes]:
        """IDs of records of some types whose text begins with a prefix, at most ``limit``."""
        low, high = id_range(prefix)
        marks = ",".join("?" * len(types))
        rows = connection.execute(
            "SELECT id FROM record WHERE vault = ? AND id BETWEEN ? AND ?"
            f" AND type IN ({marks}) ORDER BY id LIMIT ?",
            (self.vault, low, high, *map(int, types), limit),
        )
        return [row[0] for row in rows]

    def stored(self, connection: Transaction, num: int) -> Stored:
        """One record as it stands.

        Raises:
            DamagedError: it is not there.
        """
        row = connection.execute(
            "SELECT num, header, signature, payload FROM record WHERE vault = ? AND num = ?",
            (self.vault, num),
        ).fetchone()
        if row is None:
            message = f"Record number {num} is missing."
            raise DamagedError(message)
        return Stored(row[0], decode_header(row[1]), row[1], row[2], row[3])

    def records(self, connection: Transaction, after: int = 0) -> Iterator[Stored]:
        """Every record after a number, in the order this copy learned of them."""
        rows = connection.execute(
            "SELECT num, header, signature, payload FROM record"
            " WHERE vault = ? AND num > ? ORDER BY num",
            (self.vault, after),
        )
        for num, header, signature, payload in rows:
            yield Stored(num, decode_header(header), header, signature, payload)

    def namespace_key(self, connection: Transaction, namespace: bytes, epoch: int) -> NamespaceKey:
        """One epoch's key, learned from the log where it is not known yet.

        Raises:
            DamagedError: no record brought it in.
        """
        key = self.keychain.namespace_key(namespace, epoch)
        if key is None:
            self._newest_key(connection, namespace)
            key = self.keychain.namespace_key(namespace, epoch)
        if key is None:
            message = f"There is no key for epoch {epoch} of namespace {namespace.hex()}."
            raise DamagedError(message)
        return key

    def record_key(self, connection: Transaction, stored: Stored) -> bytes:
        """The key that seals a record's payload.

        Raises:
            ErasedError: it was destroyed; DamagedError: its wrap is not what was written.
        """
        header = stored.header
        row = connection.execute(
            "SELECT wrap FROM record_key WHERE num = ?", (stored.num,)
        ).fetchone()
        if row is None or stored.payload is None:
            message = f"Record {id_text(header.id)} was erased."
            raise ErasedError(message)
        namespace = self.namespace_key(connection, header.namespace, header.epoch)
        bound = record_context(self.vault_id, header.namespace, header.epoch, header.id)
        return namespace.key.unwrap(row[0], bound)

    def open_payload(self, connection: Transaction, stored: Stored) -> bytes:
        """The payload of a record, unsealed.

        Raises:
            ErasedError: its key was destroyed; DamagedError: it is not what was written.
        """
        header = stored.header
        if header.namespace == NO_NAMESPACE:
            return stored.payload or b""
        record_key = self.record_key(connection, stored)
        context = EnvelopeContext(
            self.vault_id, header.namespace, header.epoch, header.id, header.type, header.device
        )
        assert stored.payload is not None, "record_key refuses a record without one"
        return open_envelope(record_key, stored.payload, context)


def learn_keys(connection: Transaction, vault: int, keychain: Keychain) -> None:
    """Teach a keychain the device and key records that it has not learned yet."""
    for row in connection.execute(
        # The first IN is the index's own condition, word for word, or SQLite reads the whole
        # log: 570 ms of every opening at 100,000 memories.
        "SELECT num, header, payload FROM record"
        " WHERE vault = ? AND num > ? AND type IN (3, 5, 8) AND type IN (5, 8) ORDER BY num",
        (vault, keychain.learned),
    ).fetchall():
        keychain.learn(row[0], decode_header(row[1]), row[2])
