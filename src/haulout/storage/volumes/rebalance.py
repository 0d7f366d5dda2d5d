"""From one layout to the next: shard objects go where the new one wants them.

The order is the contract; every step may be repeated, and `rebalance` run again does so:

    1 mark     new places get their markers              nothing else has changed
    2 copy     each object that has a new home is        readable under the old layout;
               copied there and verified; what is lost   the new one fills up
               at its old home is rebuilt
    3 carry    heads are copied to the new volumes       old publishers are refused from here on,
               under a ballot of the new generation      and told that a newer layout is coming
    4 publish  the head `layout`, then the caller's      readable under both; the new one counts
               own record of it
    5 fence    markers name the new generation           old writers are refused
    6 copy     once more: what was written meanwhile     readable under both
    7 remove   objects that stand at their new home      readable under the new layout
               are removed from their old ones

A crash before 4 leaves the old layout whole, one after it the new one; nothing is removed before
the new layout is published and the copy has been listed by its new home. Between 3 and 4 heads can
be read and not published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from haulout.errors import (
    HauloutError,
    InputError,
    StoreUnavailableError,
)
from haulout.storage.backend import Backend
from haulout.storage.volumes import heads
from haulout.storage.volumes.faults import Fault, fault_of
from haulout.storage.volumes.headstate import Ballot, HeadState
from haulout.storage.volumes.layout import Layout, encode_layout
from haulout.storage.volumes.listing import Listing
from haulout.storage.volumes.members import Members, bounded_get, bounded_list
from haulout.storage.volumes.naming import BLOBS, HEADS, LAYOUT_HEAD, MARKER, shard_name
from haulout.storage.volumes.quorum import head_quorum
from haulout.storage.volumes.repair import Mended, Progress, mend
from haulout.storage.volumes.shardfile import decode_object
from haulout.storage.volumes.volumeset import VolumeSet


class Rebalanced(NamedTuple):
    """What a rebalance did.

    Attributes:
        copied: objects copied to a new home; ``rebuilt``: objects made again, their source lost.
        removed: objects removed from where they do not belong any more.
        bytes_copied: of the copies.
        faults: (blob ID, fault): what was found wrong on the way.
        incomplete: (blob ID, why) of each blob that is not whole under the new layout.
        unreached: (volume, why) of volumes that did not answer; leftovers may stand there.
    """

    copied: int
    rebuilt: int
    removed: int
    bytes_copied: int
    faults: tuple[tuple[str, Fault], ...]
    incomplete: tuple[tuple[str, str], ...]
    unreached: tuple[tuple[str, str], ...]


def rebalance(
    old: VolumeSet,
    new: VolumeSet,
    *,
    publish: Callable[[Layout], None] | None = None,
    give_up: bool = False,
    number: heads.Number | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Rebalanced:
    """Carry a set over to its next layout. Run again after a crash, it goes on where it was.

    Args:
        old: the set as it stands; ``new``: the same set under the layout of the next generation.
            Their backends may be shared.
        publish: notes the new layout wherever the caller keeps it (step 4); may be called again.
        give_up: go on although volumes that leave do not answer and may hold the last of a blob.
        number: verifies heads, as for `VolumeSet.publish_head`.
        progress: called after each blob of each copying pass.

    Raises:
        InputError: ``new`` is not the next layout of the same set.
        StoreUnavailableError: a blob cannot be made whole under the new layout, or a head cannot
            be carried, while volumes do not answer; the old layout stands, nothing was removed.
        ConflictError: a new place belongs to something else, or the set has a newer layout.
    """
    _check(old.layout, new.layout)
    joining = [name for name in new.members.names if name not in old.members.names]
    if joining:
        new.adopt(*joining)
    moving = _Moving(old, new)
    moving.copy_all(progress)
    if not _published(new):
        moving.must_be_whole(give_up=give_up)
        for name in sorted(set(old.list_heads()) - {LAYOUT_HEAD}):
            _carry(old, new, name, None, number)
        _carry(old, new, LAYOUT_HEAD, encode_layout(new.layout), number)
    if publish is not None:
        publish(new.layout)
    moving.fence()
    moving.copy_all(progress)
    moving.remove()
    return moving.result()


def find_layout(backends: Iterable[Backend]) -> Layout | None:
    """The newest layout that any of some places tells of, for a reader who has only their URLs.

    Nothing vouches for it: a caller with a signed copy compares.
    """
    found: list[Layout] = []
    for backend in backends:
        layout = heads.read_layout(backend)
        if layout is not None:
            found.append(layout)
    return max(found, key=lambda layout: layout.generation, default=None)


def _check(old: Layout, new: Layout) -> None:
    same = (old.set_id, old.n_shards) == (new.set_id, new.n_shards)
    if not same or new.generation != old.generation + 1:
        raise InputError("This is not the next layout of the set.")


def _published(new: VolumeSet) -> bool:
    """Whether the new layout stands under its head on a quorum: step 4 was done before."""
    wanted = encode_layout(new.layout)
    votes = heads.read_states(new.members, LAYOUT_HEAD)
    keeping = {volume for volume, vote in votes.items() if vote.state.data == wanted}
    return head_quorum(new.layout, keeping)


def _carry(
    old: VolumeSet, new: VolumeSet, name: str, data: bytes | None, number: heads.Number | None
) -> None:
    """Bring a head from the old quorum to the new one, under a ballot that old publishers lack.

    Args:
        old, new: the sets; ``name``: the head.
        data: what to put there; None for what stands.
        number: verifies a copy.

    Raises:
        StoreUnavailableError: no quorum of the old or of the new volumes took part.
        ConflictError: what stands cannot be told.
    """
    seen = [*heads.read_states(old.members, name).values()]
    seen += heads.read_states(new.members, name).values()
    highest = max((vote.state.promised.number for vote in seen), default=0)
    ballot = Ballot(new.layout.generation, highest + 1, new.nonce())
    before = heads.promise(old.members, name, ballot, fenced=False)
    if not head_quorum(old.layout, heads.granting(before)):
        raise StoreUnavailableError(f"Too few volumes answered to carry head {name} over.")
    kept = heads.current(old.members, before, number).data if data is None else data
    if kept is None:
        return
    after = heads.promise(new.members, name, ballot, fenced=False)
    state = HeadState(ballot, ballot, kept)
    accepted = heads.accept(new.members, name, state, after)
    if not head_quorum(new.layout, heads.granting(accepted)):
        raise StoreUnavailableError(f"Too few new volumes took head {name}.")


class _Moving:
    """One rebalance under way."""

    def __init__(self, old: VolumeSet, new: VolumeSet) -> None:
        self._old = old
        self._new = new
        self._copied = 0
        self._removed = 0
        self._bytes = 0
        self._mended: dict[str, Mended] = {}
        self._rebuilt = 0
        self._faults: list[tuple[str, Fault]] = []
        self._unreached: dict[str, str] = {}

    def copy_all(self, progress: Callable[[Progress], None] | None) -> None:
        """Copy what has a new home, and rebuild what cannot be copied."""
        listing = self._both()
        blob_ids = listing.blob_ids()
        for count, blob_id in enumerate(blob_ids, 1):
            made = self._copy(blob_id, listing)
            if progress is not None:
                progress(Progress(count, len(blob_ids), blob_id, made))
        self._mend(blob_ids)

    def must_be_whole(self, *, give_up: bool) -> None:
        """Refuse to publish a layout under which less would stand than could.

        Raises:
            StoreUnavailableError: a blob is not whole there, though it could be.
        """
        uncopied = {blob for blob, fault in self._faults if fault.kind == "unavailable"}
        short = [
            blob_id
            for blob_id, mended in self._mended.items()
            if mended.unfinished is not None
            or (mended.lost is not None and (blob_id in uncopied or self._leaving_away()))
        ]
        away = self._new.listing().unreached
        if away or (short and not give_up):
            names = ", ".join(sorted({*self._unreached, *away})) or "some volumes"
            message = f"{len(short)} blobs are not whole under the new layout: {names} failed."
            raise StoreUnavailableError(message, hint="Rebalance again once they answer.")

    def _leaving_away(self) -> bool:
        return any(name not in self._new.members.names for name in self._unreached)

    def fence(self) -> None:
        """Have every marker name the new generation."""
        for name in self._new.members.names:
            self._new.adopt(name)

    def remove(self) -> None:
        """Remove objects from where they do not belong, each once its new home lists it."""
        listing = self._both()
        homes = self._new.layout.homes()
        leaving = set(self._old.members.names) - set(self._new.members.names)
        for blob_id in listing.blob_ids():
            size = listing.likely_size(blob_id)
            for volume, held in listing.found.items():
                for shard in held.get(blob_id, {}):
                    home = homes[shard]
                    there = listing.found.get(home, {}).get(blob_id, {}).get(shard)
                    if volume != home and there is not None and there == size:
                        self._removed += self._done(volume, _removing(shard_name(blob_id, shard)))
        for volume in sorted(leaving & set(listing.found)):
            left = self._done(volume, _emptied)
            if left:
                self._unreached[volume] = f"{left} objects have no other home and stay."

    def _done(self, volume: str, call: Callable[[Backend], int]) -> int:
        """What a call on a volume gives; 0 where the volume fails, which is noted."""
        try:
            return self._members(volume).lines.submit(volume, call).result()
        except HauloutError as error:
            self._unreached[volume] = error.message
            return 0

    def result(self) -> Rebalanced:
        """What was done."""
        incomplete = [
            (blob_id, mended.lost or mended.unfinished or "")
            for blob_id, mended in self._mended.items()
            if mended.lost is not None or mended.unfinished is not None
        ]
        return Rebalanced(
            copied=self._copied,
            rebuilt=self._rebuilt,
            removed=self._removed,
            bytes_copied=self._bytes,
            faults=tuple(self._faults),
            incomplete=tuple(incomplete),
            unreached=tuple(sorted(self._unreached.items())),
        )

    def _members(self, volume: str) -> Members:
        """Through which set a volume is spoken to."""
        return self._new.members if volume in self._new.members.names else self._old.members

    def _both(self) -> Listing:
        """What old and new volumes list, each asked once."""
        listing, before = self._new.listing(), self._old.listing()
        known = set(self._new.members.names)
        leaving = {v: held for v, held in before.found.items() if v not in known}
        gone = {v: why for v, why in before.unreached.items() if v not in known}
        self._unreached |= {**gone, **listing.unreached}
        found: Mapping[str, Mapping[str, Mapping[int, int]]] = {**listing.found, **leaving}
        return Listing(self._new.layout, found, {**listing.unreached, **gone})

    def _copy(self, blob_id: str, listing: Listing) -> int:
        """Copy the objects of a blob that stand elsewhere than at their new home."""
        there = listing.standing(blob_id)
        size = listing.likely_size(blob_id)
        made = 0
        for volume, shard, found in listing.misplaced(blob_id):
            home = self._new.layout.volume_of(shard)
            if shard in there or found != size or home not in listing.found:
                continue
            try:
                self._copy_one(blob_id, shard, volume, home, found)
            except HauloutError as error:
                self._faults.append((blob_id, fault_of(volume, shard, error)))
                continue
            there[shard] = home
            made += 1
        return made

    def _copy_one(self, blob_id: str, shard: int, volume: str, home: str, size: int) -> None:
        name, n_shards = shard_name(blob_id, shard), self._new.layout.n_shards
        source, target = self._members(volume), self._new.members
        asked = source.reading(volume, shard, lambda b: bounded_get(b, name, 0, size))
        data = source.lines.submit(volume, asked.call).result()
        decode_object(data, blob_id, n_shards, shard)
        asked_to = target.writing(home, shard, lambda b: b.put(name, data))
        target.lines.submit(home, asked_to.call).result()
        self._copied += 1
        self._bytes += len(data)

    def _mend(self, blob_ids: Iterable[str]) -> None:
        """Rebuild what could not be copied, from what stands under the new layout."""
        listing = self._new.listing()
        for blob_id in blob_ids:
            mended = mend(self._new.members, blob_id, listing, deep=False)
            self._mended[blob_id] = mended
            self._rebuilt += len(mended.made)
            self._faults += [(blob_id, fault) for fault in mended.faults]


def _removing(name: str) -> Callable[[Backend], int]:
    def call(backend: Backend) -> int:
        backend.delete(name)
        return 1

    return call


def _emptied(backend: Backend) -> int:
    """Remove heads and marker of a volume that left the set; count blob objects that stay.

    The marker goes last, and only from a place that holds nothing more.
    """
    blobs = sum(1 for _ in bounded_list(backend, BLOBS))
    for found in list(bounded_list(backend, HEADS)):
        backend.delete(found.name)
    if not blobs:
        backend.delete(MARKER)
    return blobs
