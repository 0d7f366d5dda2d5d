"""What a vault's verbs return; the values of other rooms stand here by name."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from haulout.index.context import Citation, Context
from haulout.index.search import Recalled
from haulout.log.attachment import Attachment, Passage
from haulout.log.memory import Memory

__all__ = [
    "Attachment",
    "BackedUp",
    "CheckReport",
    "Citation",
    "Context",
    "Event",
    "Exported",
    "Level",
    "Memory",
    "Page",
    "Passage",
    "Recalled",
    "Receipt",
    "Refreshed",
    "Stats",
    "StoreSynced",
    "Synced",
    "VolumeReport",
    "VolumesRebalanced",
    "VolumesRepaired",
    "VolumesReport",
]

Level = Literal["hidden", "destroyed", "everywhere"]
"""How far a forget goes (docs/spec/erasure.md).

hidden: not shown any more; `undo` brings it back.
destroyed: its keys, ciphertext and every index entry are gone from this disk; the stores' copies
follow with the next sync.
everywhere: the stores follow at once, those that answer and can take something away.
"""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a forget or undo did.

    Attributes:
        op_id: the operation; `undo` takes it.
        action: "forget" or "undo".
        level: how far it went.
        memories: IDs of the memories it reached.
        recorded_at: when.
        pending: what is not finished, in words; empty when all of it is done. A later `check`,
            or where stores hold a copy the next `sync`, finishes it.
        stores: where no key to it is left; "local" is this disk, the others are kinds of stores.
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
        memories: current ones, without passages; versions: all, superseded ones included.
        attachments: memories that have one; attached_bytes: their sizes together; passages:
            pieces of text inside them.
        records: entries of the log.
        namespaces: current memories in each namespace that holds any.
        bytes: on disk, write-ahead log included.
        model: the embedding model in use, or None: recall is by words.
        vectors: versions with a vector of that model; waiting: versions that have none yet.
        newest: when the newest memory was recorded.
        states: states of agents; state_records: entries of their log, in a file of its own, which
            ``bytes`` counts as well; states_failure: why they cannot be read, in words.
        durability: "remote" where there are stores and every one of them holds every record;
            "local" otherwise.
        head: of a replica, the number of the head it was made of, 0 for any other vault;
            as_of: when that was published; refreshed_at: when the stores last gave no newer one.
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
    attachments: int = 0
    attached_bytes: int = 0
    passages: int = 0
    durability: str = "local"
    head: int = 0
    as_of: datetime | None = None
    refreshed_at: datetime | None = None
    states: int = 0
    state_records: int = 0
    states_failure: str = ""


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `check` verified.

    Attributes:
        records: entries whose hash, chain and signature were verified.
        payloads: payloads unsealed; erased: payloads that were destroyed on purpose.
        versions: rows of the view compared with the log.
        chunks: pieces of attachments that were read and opened.
        states: states of agents whose events were unsealed and folded; state_records: entries of
            their log that were verified like the others.
        problems: findings, each naming a file or record; empty when all is sound.
        cleared: leftovers of earlier forgets that this check removed.
        pending: those that it could not remove yet, because another process reads them.
        remote_sections: parts read back from the stores and verified, with ``remote=True``;
            ``remote_bytes``: in all.
    """

    records: int
    payloads: int
    erased: int
    versions: int
    chunks: int = 0
    problems: tuple[str, ...]
    cleared: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    remote_sections: int = 0
    remote_bytes: int = 0
    states: int = 0
    state_records: int = 0

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
        state_records: entries of the state lane that it holds; ``waiting_states``: those that it
            does not yet, as far as the lane opens.
        bytes: what was sent to it and stands there, before any coding.
        published_at: when its newest head was made; None before the first.
        ends_in_days: days until something that it holds of this vault may end, where nothing is
            done; None where nothing ends.
        alarm: what is about to end and was not renewed, in words; empty when all is well.
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
    ends_in_days: float | None = None
    alarm: str = ""
    state_records: int = 0
    waiting_states: int = 0


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What a `sync` did, store by store.

    Attributes:
        stores: each of them.
        states_failure: why the states of agents were left out, in words; empty when they were not.
    """

    stores: tuple[StoreSynced, ...]
    states_failure: str = ""

    @property
    def complete(self) -> bool:
        """Whether every store holds everything."""
        if self.states_failure:
            return False
        return not any(one.failure or one.waiting or one.waiting_states for one in self.stores)


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """What a refresh of a replica found and did.

    Attributes:
        changed: whether there was a newer head.
        head: the number of the head that is here now; as_of: when it was published.
        refreshed_at: when the stores were read.
        records: entries of the log that came; erased: those whose keys went.
        vectors: records whose computed vectors came with them.
        anew: whether the replica was made anew, in place of another history.
        problems: what came and cannot be understood, in words: it is kept and not found.
        ignored: heads that were found and not used, with the reason.
    """

    changed: bool
    head: int
    as_of: datetime
    refreshed_at: datetime
    records: int = 0
    erased: int = 0
    vectors: int = 0
    anew: bool = False
    problems: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class VolumeReport(msgspec.Struct, frozen=True, kw_only=True):
    """One volume of a vault. What was not asked for is None.

    Attributes:
        id: its ID in the set; ``url``: where it is; ``shards``: which it holds of every blob.
        reachable: whether it answered; ``why``: if not, what came instead.
        latency_ms: milliseconds for an answer.
        held: shard objects that stand in their place; ``expected``: how many there should be.
        bytes: what it holds; ``last_fault``: what went wrong with it last.
    """

    id: str
    url: str
    shards: tuple[int, ...]
    reachable: bool | None = None
    why: str | None = None
    latency_ms: float | None = None
    held: int | None = None
    expected: int | None = None
    bytes: int | None = None
    last_fault: str | None = None


class VolumesReport(msgspec.Struct, frozen=True, kw_only=True):
    """A vault's volumes, and what they survive and cost. What was not asked for is None.

    Attributes:
        set_id: of the set; ``generation``: of its layout; ``n_shards``: of every blob.
        volumes: each of them.
        volumes_lost: that many may be lost, whichever they are.
        shards_lost: that many shards may be lost, rot or lie; ``fatal_volumes``: volumes whose
            loss alone is too much.
        factor: bytes stored for a byte of a 1 MiB blob; ``small_blob_bytes``: for a blob of 300.
        warnings: what the owner should know of this layout.
        rebalancing: a change of the set was cut short; `rebalance` finishes it.
        sound, degraded, out_of_reach, lost: blobs that are whole, readable but not whole,
            readable once volumes answer again, and gone.
    """

    set_id: str
    generation: int
    n_shards: int
    volumes: tuple[VolumeReport, ...]
    volumes_lost: int
    shards_lost: int
    fatal_volumes: tuple[str, ...]
    factor: float
    small_blob_bytes: int
    warnings: tuple[str, ...] = ()
    rebalancing: bool = False
    sound: int | None = None
    degraded: int | None = None
    out_of_reach: int | None = None
    lost: int | None = None


class VolumesRepaired(msgspec.Struct, frozen=True, kw_only=True):
    """What a `repair` found and did.

    Attributes:
        blobs: how many were looked at; ``made``: shard objects that were written again.
        slivers: how many were rebuilt; ``bytes_read``: for that; ``bytes_checked``: what a deep
            look read; ``bytes_written``: what was written.
        faults: what was found wrong, naming the volume.
        lost: blobs that cannot be made whole from what is left.
        unfinished: those that can once more volumes answer; ``unreached``: volumes that did not.
    """

    blobs: int
    made: int
    slivers: int
    bytes_read: int
    bytes_checked: int
    bytes_written: int
    faults: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every blob is whole on every volume now."""
        return not (self.lost or self.unfinished or self.unreached)


class VolumesRebalanced(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of the volumes carried over.

    Attributes:
        generation: of the layout that stands now.
        copied, rebuilt, removed: shard objects; ``bytes_copied``: of the copies.
        faults: what was found wrong, naming the volume.
        incomplete: blobs that are not whole under the new layout.
        unreached: volumes that did not answer; leftovers may stand there.
    """

    generation: int
    copied: int = 0
    rebuilt: int = 0
    removed: int = 0
    bytes_copied: int = 0
    faults: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()


class WalrusReport(msgspec.Struct, frozen=True, kw_only=True):
    """The network that a vault is published on, and how.

    Attributes:
        publishers, aggregators, relays, nodes: URLs; ``n_shards``: of the network.
        epoch_days: how long an epoch lasts; keep_days: for how long after a publication what it
            names stays at the least; cadence_days: how long what is new may wait.
        pack_bytes: the most of a blob; vectors: whether computed vectors are sent, too.
        epoch: the newest one that was met; None before the first publication.
        held: what stands there, as far as this disk knows.
    """

    publishers: tuple[str, ...]
    aggregators: tuple[str, ...]
    relays: tuple[str, ...]
    nodes: tuple[str, ...]
    n_shards: int
    epoch_days: float
    keep_days: float
    cadence_days: float
    pack_bytes: int
    vectors: bool
    epoch: int | None
    held: StoreSynced


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What `export` wrote: how many memories, and the SHA-256 of their lines."""

    path: str
    memories: int
    digest: str
    bytes: int


class BackedUp(msgspec.Struct, frozen=True, kw_only=True):
    """What `backup` wrote: one sealed file that the recovery kit opens.

    Attributes:
        path: the file; ``bytes``: its size; ``records``: entries of the log.
        chunks: pieces of attachments in it; missing: those that were not here to be taken.
        state_records: entries of the state lane in it; states_failure: why it holds none although
            the vault has states, in words.
    """

    path: str
    records: int
    bytes: int
    chunks: int = 0
    missing: int = 0
    state_records: int = 0
    states_failure: str = ""
