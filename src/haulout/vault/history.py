"""A memory's history, read from the log itself: what was written, and what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import cbor2

from haulout.database.transaction import Transaction
from haulout.errors import ConflictError, ErasedError, InputError, NotFoundError
from haulout.index import memories
from haulout.log.clock import from_microseconds
from haulout.log.journal import Journal, Stored
from haulout.log.record import RecordType, id_bytes, id_text
from haulout.vault.values import Event

_LEAST_PREFIX = 6
_SHOWN = 5
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


def matching(
    connection: Transaction,
    journal: Journal,
    conditions: Mapping[str, Any],
    namespace: str | None,
) -> list[bytes]:
    """The IDs of the memories that a filter finds."""
    scope = memories.namespaces(connection, journal.vault, namespace)
    nums = memories.matching(connection, journal.vault, scope, conditions)
    return [id_bytes(memory.id) for memory in memories.read(connection, nums)]


def resolve(
    connection: Transaction,
    journal: Journal,
    prefix: str,
    of: Literal["memory", "operation"],
) -> str:
    """The whole ID that begins with a prefix; see `Vault.resolve`."""
    if len(prefix) < _LEAST_PREFIX:
        message = f"{prefix!r} is too short for the beginning of an ID."
        raise InputError(message, hint=f"Give at least {_LEAST_PREFIX} of its characters.")
    types = [RecordType.MEMORY]
    types += [RecordType.UPDATE, RecordType.FORGET] if of == "operation" else []
    found = journal.beginning(connection, prefix, types, _SHOWN + 1)
    if not found:
        message = f"No {of}'s ID begins with {prefix!r}."
        raise NotFoundError(message)
    if len(found) > 1:
        several = ", ".join(id_text(one) for one in found[:_SHOWN])
        message = f"Several IDs begin with {prefix!r}: {several}."
        raise ConflictError(message, hint="Give more of it.")
    return id_text(found[0])


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
        # The type is written out: a bound one cannot use the index of rare types.
        "SELECT id, clock, payload FROM record"
        f" WHERE vault = ? AND type = {int(RecordType.FORGET)} ORDER BY num",
        (journal.vault,),
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
