"""A memory's history, read from the log itself: what was written, and what happened to it."""

from __future__ import annotations

import cbor2

from haulout.database.transaction import Transaction
from haulout.errors import ErasedError, NotFoundError
from haulout.index import memories
from haulout.log.clock import from_microseconds
from haulout.log.journal import Journal, Stored
from haulout.log.record import RecordType, id_text
from haulout.vault.values import Event

_ACTIONS = {
    "hidden": "forget",
    "shown": "show",
    "destroyed": "erase",
    "everywhere": "erase",
}


def events(connection: Transaction, journal: Journal, memory_id: bytes) -> list[Event]:
    """Everything that happened to a memory, oldest first.

    Raises:
        NotFoundError: there never was such a memory.
    """
    num = journal.find(connection, memory_id)
    first = None if num is None else journal.stored(connection, num)
    if first is None or first.header.type != RecordType.MEMORY:
        message = f"There is no memory {id_text(memory_id)}."
        raise NotFoundError(message)
    found = [_written(connection, journal, first, "remember")]
    place = memories.place_of(connection, journal.vault, memory_id)
    if place is not None:
        later = memories.version_nums(connection, place.memory)[1:]
        updates = [journal.stored(connection, num) for num in later]
        found.extend(_written(connection, journal, stored, "update") for stored in updates)
    found.extend(_forgets(connection, journal, memory_id))
    return sorted(found, key=lambda event: event.recorded_at)


def _written(connection: Transaction, journal: Journal, stored: Stored, action: str) -> Event:
    try:
        journal.open_payload(connection, stored)
        memory = memories.read(connection, [stored.num])[0]
    except ErasedError:
        memory = None
    return Event(
        action=action,
        op_id=id_text(stored.header.id),
        recorded_at=from_microseconds(stored.header.clock),
        memory=memory,
    )


def _forgets(connection: Transaction, journal: Journal, memory_id: bytes) -> list[Event]:
    rows = connection.execute(
        "SELECT id, clock, payload FROM record WHERE vault = ? AND type = ? ORDER BY num",
        (journal.vault, int(RecordType.FORGET)),
    )
    read = [(record_id, clock, cbor2.loads(payload)) for record_id, clock, payload in rows]
    return [
        Event(
            action=_ACTIONS[fields["level"]],
            op_id=id_text(record_id),
            recorded_at=from_microseconds(clock),
        )
        for record_id, clock, fields in read
        if memory_id in fields["targets"]
    ]
