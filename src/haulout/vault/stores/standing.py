"""Where what was written stands: on this disk, or in every store as well."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import msgspec

from haulout.database.transaction import Transaction
from haulout.errors import HauloutError, InputError
from haulout.index import memories
from haulout.log import published
from haulout.log.memory import Memory
from haulout.log.published import StoreRow
from haulout.log.record import id_bytes
from haulout.vault.arguments import silent
from haulout.vault.opening import Parts
from haulout.vault.stores.remote import Remote

Wait = Literal["local", "remote"]
"""How long a write waits: until it is on this disk, or until every store has it, too."""
_WAITS = ("local", "remote")
_WITH_NEXT = "the next `haulout sync`"


class NotRemoteWarning(UserWarning):
    """A write that was to wait for every store is on this disk, and not in all of them."""


def checked_wait(remote: Remote, wait: str) -> bool:
    """Whether a write waits for the stores.

    Raises:
        InputError: it is neither "local" nor "remote", or there is no store to wait for.
    """
    if wait not in _WAITS:
        message = f'wait must be "local" or "remote", not {wait!r}.'
        raise InputError(message)
    if wait == "remote" and not remote.rows():
        message = "This vault has no stores, so nothing of it can be remote."
        raise InputError(message, hint="Add some: `haulout volumes add URL...`.")
    return wait == "remote"


def published_through(connection: Transaction, vault: int) -> int:
    """The number of the newest record that every store holds; 0 where there is no store."""
    rows = published.stores(connection, vault)
    return min((row.state.through for row in rows), default=0)


def told_remote(memory: Memory, num: int, through: int) -> Memory:
    """A memory as its reader gets it: remote where every store holds the record of its version."""
    if num > through:
        return memory
    return msgspec.structs.replace(memory, durability="remote")


def made_remote(parts: Parts, remote: Remote, kept: Sequence[Memory]) -> list[Memory]:
    """Publish, and say of each memory just written whether every store holds it.

    What failed is a `NotRemoteWarning`: everything is on this disk, and the next sync goes on.
    """
    try:
        found = remote.sync(silent)
        failures = [f"{one.name}: {one.failure}" for one in found.stores if one.failure]
    except HauloutError as error:
        failures = [str(error)]
    with parts.database.read() as connection:
        # A store that failed just now may hold the record, and not its attachment's chunks.
        through = 0 if failures else published_through(connection, parts.vault)
        told = [told_remote(one, _newest(connection, parts, one), through) for one in kept]
    if not all(one.durability == "remote" or one.erased for one in told):
        why = "; ".join(failures) or "another process publishes"
        message = f"It is on this disk, and not in every store: {why}"
        warnings.warn(f"{message} It follows with {_WITH_NEXT}.", NotRemoteWarning, stacklevel=3)
    return told


def _newest(connection: Transaction, parts: Parts, memory: Memory) -> int:
    """The number of the newest record about a memory; beyond all where it stands no more."""
    place = None
    if not memory.erased:
        place = memories.place_of(connection, parts.vault, id_bytes(memory.id))
    return 1 << 62 if place is None else memories.version_nums(connection, place.memory)[-1]


# ---------------------------------------------------------------------- what stores still hold


def holding(parts: Parts, oldest: int, forget: int) -> list[str]:
    """The kinds of the stores that may hold keys which a forget destroyed here.

    Args:
        parts: the open vault.
        oldest: the number of the oldest record that was forgotten; ``forget``: of the forget.
    """
    with parts.database.read() as connection:
        rows = published.stores(connection, parts.vault)
        return [row.kind for row in rows if _may_hold(connection, row, oldest, forget)]


def _may_hold(connection: Transaction, row: StoreRow, oldest: int, forget: int) -> bool:
    if row.state.through >= forget:
        return _left_over(connection, row)
    return row.intent is not None or row.state.through >= oldest


def _left_over(connection: Transaction, row: StoreRow) -> bool:
    """Whether a store has, or may have, blobs that its head names no more."""
    named = set(row.state.named())
    named |= {one.ref.blob for one in published.chunk_places(connection, row.number)}
    return any(one.blob not in named for one in published.blobs(connection, row.number))


def copies_pending(kinds: Sequence[str]) -> tuple[str, ...]:
    """What stands in stores after a forget, until they are published to again, in words."""
    words = {
        "volumes": f"its keys on the volumes, which {_WITH_NEXT} removes",
        "walrus": f"its keys on Walrus, which {_WITH_NEXT} names no more; the blobs that hold them"
        " end with their time",
    }
    return tuple(words.get(kind, f"its keys in {kind}") for kind in kinds)


def cleared_from(parts: Parts, remote: Remote, kinds: Sequence[str]) -> tuple[str, ...]:
    """Publish a forget at once: the stores in which none of its keys is left.

    A head's keys stand in blobs of their own, which are written again without those that were
    destroyed; what is left in a segment can be opened by nobody. A store is among them only if no
    blob is left there that its head does not name: one that failed is not, nor one that takes
    nothing away before its time.
    """
    try:
        found = {one.kind: one for one in remote.sync(silent).stores}
    except HauloutError:
        return ()
    gone: list[str] = []
    with parts.database.read() as connection:
        for row in published.stores(connection, parts.vault):
            told = found.get(row.kind)
            done = told is not None and not told.failure and not told.waiting
            done = done and not _left_over(connection, row)
            if row.kind in kinds and row.kind != "walrus" and done:
                gone.append(row.kind)
    return tuple(gone)
