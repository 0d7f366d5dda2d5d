"""What a vault's verbs return; the values of other rooms stand here by name."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from haulout.index.context import Citation, Context
from haulout.index.search import Recalled
from haulout.log.memory import Memory

__all__ = [
    "BackedUp",
    "CheckReport",
    "Citation",
    "Context",
    "Event",
    "Exported",
    "Level",
    "Memory",
    "Page",
    "Recalled",
    "Receipt",
    "Stats",
    "StoreSynced",
    "Synced",
]

Level = Literal["hidden", "destroyed", "everywhere"]
"""How far a forget goes (docs/spec/erasure.md).

hidden: not shown any more; `undo` brings it back.
destroyed: its keys, ciphertext and every index entry are gone from every live copy.
everywhere: gone from every store the vault controls, too.
"""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a forget or undo did.

    Attributes:
        op_id: the operation; `undo` takes it.
        action: "forget" or "undo".
        level: how far it went.
        memories: IDs of the memories it reached.
        recorded_at: when.
        pending: what is not finished, in words; empty when all of it is done. A later `check`
            finishes it.
        stores: the stores whose copies are gone; "local" is this disk.
    """

    op_id: str
    action: str
    level: str
    memories: tuple[str, ...]
    recorded_at: datetime
    pending: tuple[str, ...] = ()
    stores: tuple[str, ...] = ("local",)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One step in a memory's history.

    Attributes:
        action: "remember", "update", "forget", "show" or "erase".
        op_id: the operation that did it.
        recorded_at: when.
        memory: the version it wrote; None for the other actions and where it was erased.
    """

    action: str
    op_id: str
    recorded_at: datetime
    memory: Memory | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the memories that a `list` found.

    Attributes:
        memories: newest first.
        next: pass it as `after` for the next page; None at the end.
    """

    memories: tuple[Memory, ...]
    next: str | None = None


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """A vault in figures.

    Attributes:
        path: its folder; None for one in memory.
        memories: current ones; versions: all, superseded ones included.
        records: entries of the log.
        namespaces: current memories in each namespace that holds any.
        bytes: on disk, write-ahead log included.
        model: the embedding model in use, or None: recall is by words.
        vectors: versions with a vector of that model; waiting: versions that have none yet.
        newest: when the newest memory was recorded.
        durability: "local": nothing leaves this disk until a store is added.
    """

    path: str | None
    memories: int
    versions: int
    records: int
    namespaces: dict[str, int]
    bytes: int
    model: str | None
    vectors: int
    waiting: int
    newest: datetime | None
    durability: str = "local"


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `check` verified.

    Attributes:
        records: entries whose hash, chain and signature were verified.
        payloads: payloads unsealed; erased: payloads that were destroyed on purpose.
        versions: rows of the view compared with the log.
        problems: findings, each naming a file or record; empty when all is sound.
        cleared: leftovers of earlier forgets that this check removed.
        pending: those that it could not remove yet, because another process reads them.
    """

    records: int
    payloads: int
    erased: int
    versions: int
    problems: tuple[str, ...]
    cleared: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class StoreSynced(msgspec.Struct, frozen=True, kw_only=True):
    """What one store holds.

    Attributes:
        name: the store, for people; ``kind``: "volumes" or "walrus".
        head: the number of its newest head; 0 before the first.
        records: entries of the log that it holds; ``waiting``: those that it does not yet.
        bytes: what was sent to it and stands there, before any coding.
        published_at: when its newest head was made; None before the first.
        failure: why the last attempt did not succeed; empty when it did.
    """

    name: str
    kind: str
    head: int
    records: int
    waiting: int
    bytes: int
    published_at: datetime | None = None
    failure: str = ""


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What a `sync` did, store by store."""

    stores: tuple[StoreSynced, ...]

    @property
    def complete(self) -> bool:
        """Whether every store holds everything."""
        return all(not store.failure and not store.waiting for store in self.stores)


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What `export` wrote: how many memories, and the SHA-256 of their lines."""

    path: str
    memories: int
    digest: str
    bytes: int


class BackedUp(msgspec.Struct, frozen=True, kw_only=True):
    """What `backup` wrote: one sealed file that the recovery kit opens."""

    path: str
    records: int
    bytes: int
