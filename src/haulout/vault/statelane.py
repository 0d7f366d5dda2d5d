"""The state lane of an open vault: its database, made when the first state is asked for.

The lane has a file, a lock and a chain of its own, so that an order never waits for an import. It
opens by itself, too: the records of device and user key that it needs are its first ones, the same
payloads as in the memory lane, signed anew.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from haulout.database.database import Database
from haulout.database.lock import WriterLock
from haulout.database.transaction import Transaction
from haulout.errors import DamagedError, HauloutError, ReadOnlyError
from haulout.log.journal import Journal
from haulout.log.keychain import Keychain, brings_user_key
from haulout.log.memory import checked_namespace
from haulout.log.record import Lane, RecordType, canonical, decode_header
from haulout.log.schema import ERASED_INDEX, LOG_TABLES, NEWEST_RECORD
from haulout.state.lane import LaneTape, state_names
from haulout.state.schema import STATE_TABLES
from haulout.state.state import State
from haulout.vault.opening import (
    STATES,
    STATES_MADE,
    STATES_RECORD,
    Parts,
    keeps_states,
    note_states,
    noted_states,
)

_LOG_PAGES = 4_000
"""An order in 500 waits for the write-ahead log to be moved, some 40 ms; at 1,000 pages, one in
130: more than one in a hundred is what its p99 is made of."""
_MARKED_WITHIN = 2.0
"""Seconds, once in a vault's life; an import that is under way commits several times in one."""
SCHEMA = (LOG_TABLES + STATE_TABLES, ERASED_INDEX)
_REPLICA = "This is a replica, and a replica has no states: an agent must not act on old ones."
_AGAIN = "Restore the vault again from its stores or a backup, in another folder."


class StateLane:
    """The state lane of a vault, opened when it is first needed.

    Args:
        parts: the open vault.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turn = threading.Lock()
        self._opened: Parts | None = None
        self._tapes: dict[str, LaneTape] = {}

    @property
    def is_there(self) -> bool:
        """Whether the vault has a state lane, or had one: it is made with the first state."""
        return self._opened is not None or keeps_states(self._parts)

    def parts(self) -> Parts:
        """The lane as the parts of a vault: its database, and its journal in place of memories'.

        Raises:
            DamagedError: the lane is gone, or not what was acknowledged; StorageError.
        """
        with self._turn:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def opened(self) -> tuple[Database, Journal]:
        """The lane's database and journal. Raises as `parts`."""
        parts = self.parts()
        return parts.database, parts.journal

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
            tape = self._tapes.setdefault(name, LaneTape(database, journal, name, self._parts.way))
        return State(
            tape, now=now or journal.now, entropy=journal.entropy, patience=patience, by=by
        )

    def names(self) -> list[str]:
        """The names of all states; none where there is no lane.

        Raises:
            ReadOnlyError: a replica has none; otherwise as `parts`.
        """
        self._require_vault()
        if not self.is_there:
            return []
        database, journal = self.opened()
        with database.read() as connection:
            return state_names(connection, journal.vault)

    def close(self) -> None:
        """Give the lane's files back."""
        with self._turn:
            if self._opened is not None:
                self._opened.database.close()
                self._opened = None
                self._tapes.clear()

    # ------------------------------------------------------------------ opening

    def _require_vault(self) -> None:
        if self._parts.journal.read_only is not None:
            raise ReadOnlyError(_REPLICA, hint="Ask the vault that it is a copy of.")

    def _open(self) -> Parts:
        self._require_vault()
        parts = self._parts
        lane = dataclasses.replace(parts, database=self._database(), journal=lane_journal(parts))
        try:
            with lane.database.read() as connection:
                founded = _is_founded(connection)
            if not founded:
                keys = self._key_payloads()
                lane.database.write(lambda connection: _found(connection, lane.journal, keys))
            with lane.database.read() as connection:
                row = connection.execute("SELECT id FROM vault").fetchone()
                if row is None or row[0] != parts.vault_id:
                    message = f"{STATES} belongs to another vault."
                    raise DamagedError(message)
                lane.journal.refresh_keys(connection)
            lane.journal.keychain.require_user_key()
        except BaseException:
            lane.database.close()
            raise
        self._note()
        return lane

    def _database(self) -> Database:
        """The lane's database, made where there was none.

        What was noted in the memory lane or acknowledged must be there. What was not is made: a
        crash in the making, before it was either, is begun again.
        """
        folder = self._parts.folder
        create = True
        if folder is not None:
            with self._parts.database.read() as connection:
                note = noted_states(connection, self._parts.vault)
            if note not in {"", STATES_MADE}:
                message = f"The states of this vault were not brought back: {note}"
                raise DamagedError(message, hint=_AGAIN)
            acknowledged = _acknowledged(folder)
            create = not note and not acknowledged
            if not create and not (folder / STATES).exists():
                message = f"{STATES} is missing, and record {max(acknowledged, 1)} of it was"
                raise DamagedError(f"{message} acknowledged.", hint=_AGAIN)
        return open_lane(self._parts, create=create)

    def _note(self) -> None:
        """Note in the memory lane that there are states, so that nobody takes them for new.

        The record travels: a restore that finds no head of the state lane misses it. The setting
        is looked up at each opening.
        """
        parts = self._parts
        if parts.folder is None:
            return
        with parts.database.read() as connection:
            noted = noted_states(connection, parts.vault)
        if not noted:
            with suppress(HauloutError):  # memories that do not answer keep no agent: the next
                parts.database.write(self._mark, patience=_MARKED_WITHIN)  # opening notes it

    def _mark(self, connection: Transaction) -> None:
        parts = self._parts
        if not noted_states(connection, parts.vault):
            parts.journal.append(connection, RecordType.STATE, canonical([STATES_RECORD]))
            note_states(connection, parts.vault)

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


def open_lane(parts: Parts, *, create: bool) -> Database:
    """Open a vault's state lane's database, or make it. Raises as `Database`."""
    return Database(
        parts.folder / STATES if parts.folder else None, parts.device.database, schema=SCHEMA,
        newest=NEWEST_RECORD, create=create, vfs=parts.world.vfs, log_pages=_LOG_PAGES,
    )  # fmt: skip


def lane_journal(parts: Parts) -> Journal:
    """The state lane's journal; its keychain has learned nothing yet."""
    keychain = Keychain(parts.vault_id, parts.device.id, parts.device.agreement)
    memory = parts.journal
    return Journal(
        parts.vault, parts.vault_id, Lane.STATE, parts.device, keychain,
        now=memory.now, entropy=memory.entropy,
    )  # fmt: skip


def _acknowledged(folder: Path) -> int:
    """The newest acknowledged number of the lane; 0 where nothing was."""
    path = (folder / STATES).with_suffix(".lock")
    if not path.exists():
        return 0
    lock = WriterLock(path)
    try:
        return lock.acknowledged()
    finally:
        lock.close()


def _is_founded(connection: Transaction) -> bool:
    return connection.execute("SELECT 1 FROM record LIMIT 1").fetchone() is not None


def _found(connection: Transaction, journal: Journal, keys: list[tuple[RecordType, bytes]]) -> None:
    """Write the lane's first records, unless another process was faster."""
    if _is_founded(connection):
        return
    connection.execute("INSERT INTO vault VALUES (?, ?)", (journal.vault, journal.vault_id))
    for kind, payload in keys:
        journal.append(connection, kind, payload)
