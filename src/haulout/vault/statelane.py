"""The state lane of an open vault: its database, made when the first state is asked for.

The lane has a file, a lock and a chain of its own, so that an order never waits for an import. It
opens by itself, too: the records of device and user key that it needs are its first ones, the same
payloads as in the memory lane, signed anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from haulout.database.database import Database
from haulout.database.lock import WriterLock
from haulout.database.transaction import Transaction
from haulout.errors import DamagedError
from haulout.log.journal import Journal
from haulout.log.keychain import Keychain, brings_user_key
from haulout.log.memory import checked_namespace
from haulout.log.record import Lane, RecordType, decode_header
from haulout.log.schema import LOG_TABLES, NEWEST_RECORD
from haulout.state.lane import LaneTape, state_names
from haulout.state.schema import STATE_TABLES
from haulout.state.state import State
from haulout.vault.opening import Parts

DATABASE = "state.db"
SCHEMA = (LOG_TABLES + STATE_TABLES,)


class StateLane:
    """The state lane of a vault, opened when it is first needed.

    Args:
        parts: the open vault.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turn = threading.Lock()
        self._opened: tuple[Database, Journal] | None = None
        self._tapes: dict[str, LaneTape] = {}

    @property
    def is_there(self) -> bool:
        """Whether the vault has a state lane: one is made with the first state."""
        folder = self._parts.folder
        return self._opened is not None or (folder is not None and (folder / DATABASE).exists())

    def opened(self) -> tuple[Database, Journal]:
        """The lane's database and journal.

        Raises:
            DamagedError: the lane is gone, or not what was acknowledged; StorageError.
        """
        with self._turn:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def state(
        self,
        name: str,
        now: Callable[[], int] | None = None,
        patience: float | None = None,
        by: str = "",
    ) -> State:
        """One state; see `Vault.state`. ``by`` is the app that writes to it."""
        name = checked_namespace(name)
        database, journal = self.opened()
        with self._turn:
            tape = self._tapes.setdefault(name, LaneTape(database, journal, name))
        return State(
            tape, now=now or journal.now, entropy=journal.entropy, patience=patience, by=by
        )

    def names(self) -> list[str]:
        """The names of all states; none where there is no lane."""
        if not self.is_there:
            return []
        database, journal = self.opened()
        with database.read() as connection:
            return state_names(connection, journal.vault)

    def close(self) -> None:
        """Give the lane's files back."""
        with self._turn:
            if self._opened is not None:
                self._opened[0].close()
                self._opened = None
                self._tapes.clear()

    # ------------------------------------------------------------------ opening

    def _open(self) -> tuple[Database, Journal]:
        parts = self._parts
        path = parts.folder / DATABASE if parts.folder else None
        create = path is None or not path.exists()
        if path is not None and create:
            parts.journal.require_writable()
            lock = WriterLock(path.with_suffix(".lock"))
            acknowledged = lock.acknowledged()
            lock.close()
            if acknowledged:
                message = (
                    f"{DATABASE} is missing, and record {acknowledged} of it was acknowledged."
                )
                raise DamagedError(message)
        database = Database(
            path, parts.device.database, schema=SCHEMA, newest=NEWEST_RECORD, create=create,
            vfs=parts.world.vfs,
        )  # fmt: skip
        try:
            journal = self._journal()
            with database.read() as connection:
                founded = _is_founded(connection)
            if not founded:
                keys = self._key_payloads()
                database.write(lambda connection: _found(connection, journal, keys))
            with database.read() as connection:
                journal.refresh_keys(connection)
            journal.keychain.require_user_key()
        except BaseException:
            database.close()
            raise
        return database, journal

    def _journal(self) -> Journal:
        parts, memory = self._parts, self._parts.journal
        keychain = Keychain(parts.vault_id, parts.device.id, parts.device.agreement)
        journal = Journal(
            parts.vault, parts.vault_id, Lane.STATE, parts.device, keychain,
            now=memory.now, entropy=memory.entropy,
        )  # fmt: skip
        journal.read_only = memory.read_only
        return journal

    def _key_payloads(self) -> list[tuple[RecordType, bytes]]:
        """The payloads of the memory lane that bring devices and user keys in, in their order."""
        parts = self._parts
        with parts.database.read() as connection:
            rows = connection.execute(
                "SELECT header, payload FROM record WHERE vault = ? AND type IN (3, 5, 8)"
                " AND type IN (5, 8) ORDER BY num",
                (parts.vault,),
            ).fetchall()
        found = [(RecordType(decode_header(header).type), payload) for header, payload in rows]
        return [
            (kind, payload)
            for kind, payload in found
            if kind == RecordType.DEVICE or brings_user_key(payload)
        ]


def _is_founded(connection: Transaction) -> bool:
    return connection.execute("SELECT 1 FROM record LIMIT 1").fetchone() is not None


def _found(connection: Transaction, journal: Journal, keys: list[tuple[RecordType, bytes]]) -> None:
    """Write the lane's first records, unless another process was faster."""
    if _is_founded(connection):
        return
    connection.execute("INSERT INTO vault VALUES (?, ?)", (journal.vault, journal.vault_id))
    for kind, payload in keys:
        journal.append(connection, kind, payload)
