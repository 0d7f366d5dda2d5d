"""Repair: find shard objects that are missing or damaged, and make them again. Needs no key.

For each blob that any volume lists: what is missing by name and size (``deep``: every object is
read and verified), then the cheapest way to make it again (`rebuilding.py`), then whole new objects
in the place of the old ones. Each object is written once and whole, so a crash leaves a set that is
no worse than before, and the next run goes on. Heads that lag behind an acknowledged one are
brought up as well.

Nothing is removed, and nothing is written to a volume that does not prove to be of the set: an
empty place in the stead of a lost one is first adopted (`VolumeSet.adopt`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from haulout.errors import (
    BlobMissingError,
    CodingError,
    HauloutError,
    StorageError,
    StoreUnavailableError,
    WrongBytesError,
)
from haulout.redstuff import Metadata, Sliver
from haulout.redstuff.parameters import Axis
from haulout.storage.backend import Backend
from haulout.storage.volumes.faults import Fault, fault_of, fault_of_prefix
from haulout.storage.volumes.listing import Listing
from haulout.storage.volumes.members import Members, bounded_get
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.reading import Reading
from haulout.storage.volumes.rebuilding import Rebuilding, Target
from haulout.storage.volumes.rounds import Answer, Question, Round, ask_all
from haulout.storage.volumes.shardfile import (
    decode_prefix,
    decode_sliver,
    encode_object,
    object_size,
    sliver_extent,
    sliver_index,
)
from haulout.storage.volumes.volumeset import VolumeSet

AXES: Final[tuple[Axis, Axis]] = ("primary", "secondary")
_AT_ONCE: Final = 8  # objects of one blob in memory while they are verified


class Progress(NamedTuple):
    """How far a run is: blobs done of how many, the one just done, objects made for it."""

    done: int
    total: int
    blob_id: str
    made: int


class Mended(NamedTuple):
    """What was done for one blob.

    Attributes:
        made: (shard, volume) of each object that was written.
        slivers: how many slivers were rebuilt; ``bytes_read``: for that, metadata included.
        bytes_checked: what a deep look read; ``bytes_written``: what was written.
        faults: what was found wrong.
        lost: why the blob cannot be made whole from what is left, for good; None where it can.
        unfinished: why it is not whole yet though it could be; None where it is.
    """

    made: tuple[tuple[int, str], ...] = ()
    slivers: int = 0
    bytes_read: int = 0
    bytes_checked: int = 0
    bytes_written: int = 0
    faults: tuple[Fault, ...] = ()
    lost: str | None = None
    unfinished: str | None = None


class Repaired(NamedTuple):
    """What a repair found and did.

    Attributes:
        blobs: how many were looked at; ``made``: (blob ID, shard, volume) of each object written.
        slivers: how many slivers were rebuilt; ``bytes_read``: for that, metadata included.
        bytes_checked: what a deep look read; ``bytes_written``: what was written.
        faults: (blob ID, fault): what was found wrong, liars among it.
        lost: (blob ID, why) of each blob that cannot be made whole from what is left.
        unfinished: (blob ID, why) of each that may be made whole once more volumes answer.
        heads: (head, volume) of each copy that was brought up.
        unsettled: heads that no quorum keeps alike; their next publisher decides.
        unreached: (volume, why) of each volume that did not answer; it was not repaired.
    """

    blobs: int
    made: tuple[tuple[str, int, str], ...]
    slivers: int
    bytes_read: int
    bytes_checked: int
    bytes_written: int
    faults: tuple[tuple[str, Fault], ...]
    lost: tuple[tuple[str, str], ...]
    unfinished: tuple[tuple[str, str], ...]
    heads: tuple[tuple[str, str], ...]
    unsettled: tuple[str, ...]
    unreached: tuple[tuple[str, str], ...]


def repair(
    volumes: VolumeSet, *, deep: bool = False, progress: Callable[[Progress], None] | None = None
) -> Repaired:
    """Make every blob of a set whole again, as far as what is left allows.

    Args:
        volumes: the set; ``deep``: read and verify every object rather than trust names and sizes.
        progress: called after each blob.

    Raises:
        StoreUnavailableError: no volume answers.
    """
    listing = volumes.listing()
    if len(listing.unreached) == len(volumes.members.names):
        raise StoreUnavailableError("No volume of the set answers.")
    done: dict[str, Mended] = {}
    blob_ids = listing.blob_ids()
    for number, blob_id in enumerate(blob_ids, 1):
        done[blob_id] = mend(volumes.members, blob_id, listing, deep=deep)
        if progress is not None:
            progress(Progress(number, len(blob_ids), blob_id, len(done[blob_id].made)))
    settled = {name: volumes.settle_head(name) for name in volumes.list_heads()}
    return _summed(done, settled, listing.unreached)


def mend(members: Members, blob_id: str, listing: Listing, *, deep: bool) -> Mended:
    """Make one blob whole again."""
    standing = listing.standing(blob_id)
    reached = [s for s, volume in enumerate(members.homes) if volume in listing.found]
    if not deep and all(shard in standing for shard in reached):
        return Mended()
    work = _Mending(members, blob_id)
    try:
        return work.run(listing, deep=deep)
    except (CodingError, BlobMissingError) as error:
        return work.so_far(lost=error.message)
    except StorageError as error:
        return work.so_far(unfinished=error.message)


class _Mending:
    """One blob being made whole."""

    def __init__(self, members: Members, blob_id: str) -> None:
        self._members = members
        self._blob_id = blob_id
        self._reading = Reading(members, blob_id)
        self._rebuilding: Rebuilding | None = None
        self._slivers = 0
        self._checked = 0
        self._written = 0
        self._made: list[tuple[int, str]] = []
        self._refused: list[str] = []

    def run(self, listing: Listing, *, deep: bool) -> Mended:
        """Find what is not well, and make it again."""
        metadata = self._reading.metadata()
        size = object_size(metadata.size, metadata.n_shards)
        standing = listing.standing(self._blob_id, size)
        due = [s for s, volume in enumerate(self._members.homes) if volume in listing.found]
        halves: dict[int, dict[Axis, Sliver]] = {s: {} for s in due if s not in standing}
        for shard in halves:
            volume = self._members.homes[shard]
            self._reading.note(Fault(volume, shard, "missing", "It is not listed, or too short."))
        if deep:
            halves |= self._damaged(sorted(standing), size, metadata)
        if not halves:
            return self.so_far()
        unfit: list[tuple[Axis, int]] = [
            (axis, s) for s, good in halves.items() for axis in AXES if axis not in good
        ]
        self._reading.pass_over(unfit)
        self._reading.hold(sliver for good in halves.values() for sliver in good.values())
        self._rebuilding = Rebuilding(self._members, self._reading, unfit)
        wanted: list[Target] = [
            (axis, sliver_index(axis, shard, metadata))
            for shard, good in sorted(halves.items())
            for axis in AXES
            if axis not in good
        ]
        made = self._rebuilding.slivers(wanted)
        self._slivers = len(made)
        self._write(halves, made, metadata)
        return self.so_far(unfinished="; ".join(self._refused) or None)

    def so_far(self, *, lost: str | None = None, unfinished: str | None = None) -> Mended:
        """What was done until here."""
        rebuilding = 0 if self._rebuilding is None else self._rebuilding.bytes_read
        return Mended(
            made=tuple(self._made),
            slivers=self._slivers,
            bytes_read=self._reading.bytes_read + rebuilding,
            bytes_checked=self._checked,
            bytes_written=self._written,
            faults=self._reading.faults,
            lost=lost,
            unfinished=unfinished,
        )

    def _damaged(
        self, shards: list[int], size: int, metadata: Metadata
    ) -> dict[int, dict[Axis, Sliver]]:
        """Read and verify objects; of each that is not well, the slivers in it that are."""
        queue, damaged = deque(shards), dict[int, dict[Axis, Sliver]]()
        with Round[bytes](self._members.lines, self._members.hedge_after) as talk:
            while queue or talk.outstanding:
                while queue and talk.outstanding < _AT_ONCE:
                    talk.ask(self._object_question(queue.popleft(), size))
                found = talk.next()
                if found is None:
                    break
                if isinstance(found, Question):
                    continue
                good = self._verified(found, size, metadata)
                if good is not None and found.question.shard is not None:
                    damaged[found.question.shard] = good
        return damaged

    def _object_question(self, shard: int, size: int) -> Question[bytes]:
        name = shard_name(self._blob_id, shard)

        def call(backend: Backend) -> bytes:
            return bounded_get(backend, name, 0, size)

        return self._members.reading(self._members.homes[shard], shard, call)

    def _verified(
        self, answer: Answer[bytes], size: int, metadata: Metadata
    ) -> dict[Axis, Sliver] | None:
        """None where an object is well or cannot be read now; else what in it is well."""
        volume, shard, _ = answer.question
        data, error = answer.value, answer.error
        if shard is None:
            return None
        if data is None:
            failed = error or WrongBytesError("The object could not be read.")
            self._reading.note(fault_of(volume, shard, failed))
            return {} if isinstance(failed, BlobMissingError | WrongBytesError) else None
        self._checked += len(data)
        well, good = len(data) == size, dict[Axis, Sliver]()
        try:
            decode_prefix(data, self._blob_id, metadata.n_shards, shard)
        except WrongBytesError as wrong:
            well = False
            self._reading.note(fault_of_prefix(volume, shard, wrong, data, metadata.n_shards))
        for axis in AXES:
            extent = sliver_extent(axis, metadata.size, metadata.n_shards)
            try:
                held = data[extent.start : extent.start + extent.length]
                good[axis] = decode_sliver(held, axis, shard, metadata)
            except WrongBytesError as wrong:
                well = False
                self._reading.note(fault_of(volume, shard, wrong))
        return None if well else good

    def _write(
        self,
        halves: Mapping[int, Mapping[Axis, Sliver]],
        made: Mapping[Target, Sliver],
        metadata: Metadata,
    ) -> None:
        """Write whole objects; those that a volume does not take stay for the next run."""

        def half(shard: int, axis: Axis) -> Sliver:
            kept = halves[shard].get(axis)
            return kept if kept is not None else made[axis, sliver_index(axis, shard, metadata)]

        def sending(shard: int) -> Question[int]:
            primary, secondary = half(shard, "primary"), half(shard, "secondary")

            def call(backend: Backend) -> int:
                data = encode_object(metadata, shard, primary, secondary)
                backend.put(shard_name(self._blob_id, shard), data)
                return len(data)

            return self._members.writing(self._members.homes[shard], shard, call)

        questions = [sending(shard) for shard in sorted(halves)]
        for answer in ask_all(self._members.lines, self._members.hedge_after, questions):
            volume, shard, _ = answer.question
            if answer.error is not None or answer.value is None or shard is None:
                failed = answer.error or HauloutError("The object could not be written.")
                self._reading.note(fault_of(volume, shard, failed))
                self._refused.append(f"volume {volume}: {failed.message.rstrip('.')}")
                continue
            self._written += answer.value
            self._made.append((shard, volume))


def _summed(
    done: Mapping[str, Mended],
    settled: Mapping[str, tuple[tuple[str, ...], bool]],
    unreached: Mapping[str, str],
) -> Repaired:
    return Repaired(
        blobs=len(done),
        made=tuple((b, shard, volume) for b, m in done.items() for shard, volume in m.made),
        slivers=sum(m.slivers for m in done.values()),
        bytes_read=sum(m.bytes_read for m in done.values()),
        bytes_checked=sum(m.bytes_checked for m in done.values()),
        bytes_written=sum(m.bytes_written for m in done.values()),
        faults=tuple((b, fault) for b, m in done.items() for fault in m.faults),
        lost=tuple((b, m.lost) for b, m in done.items() if m.lost is not None),
        unfinished=tuple((b, m.unfinished) for b, m in done.items() if m.unfinished is not None),
        heads=tuple((name, v) for name, (raised, _) in settled.items() for v in raised),
        unsettled=tuple(name for name, (_, kept) in settled.items() if not kept),
        unreached=tuple(sorted(unreached.items())),
    )
