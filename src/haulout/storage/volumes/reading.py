"""Reading one blob from whichever shards are well.

Metadata first, from any one shard and verified against the blob ID; then the p systematic primary
slivers, which are the blob; others in the place of those that are missing, late or wrong; and if
primary slivers do not suffice, secondary ones. Every sliver is verified against the metadata before
it counts, every read is bounded by the size the metadata give, and so nothing a volume answers
can become a wrong byte. walrus.md section 4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from haulout.errors import (
    BlobMissingError,
    HauloutError,
    InputError,
    StoreUnavailableError,
    TooFewSliversError,
    WrongBytesError,
)
from haulout.redstuff import Metadata, Sliver, decode
from haulout.redstuff.parameters import Axis
from haulout.storage.backend import Backend
from haulout.storage.volumes.faults import Fault, fault_of, fault_of_prefix, told
from haulout.storage.volumes.members import Members, bounded_get
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.rounds import Answer, Question, Round
from haulout.storage.volumes.shardfile import (
    decode_prefix,
    decode_sliver,
    holder,
    prefix_size,
    sliver_extent,
    sliver_index,
)

FIRST_BYTES: Final = 4096  # read behind the metadata in one go: all of a small blob's sliver


class Read(NamedTuple):
    """A blob's bytes, and what went wrong on the way to them."""

    data: bytes
    faults: tuple[Fault, ...]


class Reading:
    """One reader's way through the shards of one blob; what it verified it keeps.

    Attributes:
        faults: what went wrong so far, each thing once.
        bytes_read: what came from volumes, good or not.
    """

    def __init__(self, members: Members, blob_id: str) -> None:
        self.blob_id = blob_id
        self.bytes_read = 0
        self._members = members
        self._faults: dict[tuple[str, int | None, str], Fault] = {}
        self._slivers: dict[tuple[str, int], Sliver] = {}
        self._unfit: set[tuple[Axis, int]] = set()
        self._metadata = members.known(blob_id)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What went wrong so far, each thing once."""
        return tuple(self._faults.values())

    def whole(self) -> bytes:
        """The blob.

        Raises:
            BlobMissingError: every volume answered, and none has any of it.
            TooFewSliversError: too little is left, and the message says what is gone where.
            StoreUnavailableError: too little is left among the volumes that answer.
            InconsistentBlobError: what is left is authentic, and of no one blob.
        """
        metadata = self.metadata()
        rows = self.slivers("primary", range(self._members.layout.n_shards), self._need("primary"))
        if len(rows) >= self._need("primary"):
            return decode(metadata, rows)
        columns = self.slivers(
            "secondary", range(self._members.layout.n_shards), self._need("secondary")
        )
        if len(columns) >= self._need("secondary"):
            return decode(metadata, columns)
        raise self._too_few(len(rows))

    def part(self, start: int, length: int) -> bytes:
        """Some bytes of the blob, from the slivers that hold them where these are well.

        Raises:
            InputError: the range is not within the blob.
            HauloutError: as `whole`.
        """
        metadata = self.metadata()
        if start < 0 or length < 0 or start + length > metadata.size:
            message = f"Bytes {start} to {start + length} are not within a blob of {metadata.size}."
            raise InputError(message)
        row = self._members.rs2.secondary * metadata.symbol_size
        first, last = start // row, max(start, start + length - 1) // row
        wanted = range(first, last + 1) if length else range(0)
        rows = self.slivers("primary", wanted, len(wanted), patient=False)
        if len(rows) < len(wanted):
            return self.whole()[start : start + length]
        joined = b"".join(sliver.data for sliver in sorted(rows, key=lambda sliver: sliver.index))
        return joined[start - first * row : start - first * row + length]

    def metadata(self) -> Metadata:
        """The blob's metadata, verified against its ID.

        Raises:
            BlobMissingError, TooFewSliversError, StoreUnavailableError: no shard has them.
        """
        if self._metadata is not None:
            return self._metadata
        shards = deque(self._in_order(range(self._members.layout.n_shards), None))
        with Round[bytes](self._members.lines, self._members.hedge_after) as talk:
            while True:
                if not talk.on_time and shards:
                    talk.ask(self._prefix_question(shards.popleft()))
                found = talk.next()
                if found is None:
                    raise self._too_few(0)
                if isinstance(found, Question):
                    self._note_late(found)
                elif self._take_prefix(found):
                    break
        if self._metadata is None:
            raise self._too_few(0)
        return self._metadata

    def slivers(
        self, axis: Axis, indices: Iterable[int], wanted: int, *, patient: bool = True
    ) -> list[Sliver]:
        """Up to ``wanted`` verified slivers of an axis, of the given indices.

        Those that hold the blob itself come first, from the fastest volumes; each that fails or
        is late is replaced by the next.

        Args:
            axis: which; ``indices``: which may be used; ``wanted``: how many are enough.
            patient: whether to wait for late ones when no others are left to ask.
        """
        metadata = self.metadata()
        allowed = list(indices)
        got = [self._slivers[axis, i] for i in allowed if (axis, i) in self._slivers]
        ids, n = metadata.blob_id, metadata.n_shards
        shards = [holder(axis, i, ids, n) for i in allowed if (axis, i) not in self._slivers]
        queue = deque(self._in_order(shards, axis))
        with Round[bytes](self._members.lines, self._members.hedge_after) as talk:
            while len(got) < wanted:
                while queue and talk.on_time < wanted - len(got):
                    talk.ask(self._sliver_question(axis, queue.popleft(), metadata))
                if not talk.on_time and not patient:
                    break
                found = talk.next()
                if found is None:
                    break
                if isinstance(found, Question):
                    self._note_late(found)
                    continue
                sliver = self._take_sliver(axis, found, metadata)
                if sliver is not None:
                    got.append(sliver)
        return got[:wanted]

    def hold(self, slivers: Iterable[Sliver]) -> None:
        """Use slivers that the caller has and verified, instead of reading them."""
        self._slivers.update({(sliver.axis, sliver.index): sliver for sliver in slivers})

    def pass_over(self, unfit: Iterable[tuple[Axis, int]]) -> None:
        """Never ask for these slivers, by axis and shard: they are known to be gone or damaged."""
        self._unfit.update(unfit)

    def note(self, fault: Fault) -> None:
        """Keep a fault, once, and have its volume asked last for a while."""
        self._faults.setdefault((fault.volume, fault.shard, fault.kind), fault)
        if fault.kind != "missing":
            self._members.lines.pace.failed(fault.volume, fault.words)

    def _need(self, axis: Axis) -> int:
        return self._members.rs2.source_count(axis)

    def _in_order(self, shards: Iterable[int], axis: Axis | None) -> list[int]:
        """Volumes that failed last; then what holds the blob itself; then the fastest known."""
        homes, pace = self._members.homes, self._members.lines.pace
        gone = {fault.shard for fault in self.faults if fault.kind == "missing"}
        metadata = self._metadata

        def rank(shard: int) -> tuple[bool, bool, float, int]:
            avoided, latency = pace.rank(homes[shard])
            recovered = (
                axis is not None
                and metadata is not None
                and sliver_index(axis, shard, metadata) >= self._need(axis)
            )
            return avoided, recovered, latency, shard

        fit = [s for s in shards if s not in gone and (axis, s) not in self._unfit]
        return sorted(fit, key=rank)

    def _prefix_question(self, shard: int) -> Question[bytes]:
        name = shard_name(self.blob_id, shard)
        length = prefix_size(self._members.layout.n_shards) + FIRST_BYTES

        def call(backend: Backend) -> bytes:
            return bounded_get(backend, name, 0, length)

        return self._members.reading(self._members.homes[shard], shard, call)

    def _take_prefix(self, answer: Answer[bytes]) -> bool:
        """Keep the metadata of an answer, and its primary sliver where it is all there."""
        volume, shard, _ = answer.question
        data, n_shards = answer.value, self._members.layout.n_shards
        if answer.error is not None or data is None or shard is None:
            self._note_error(answer)
            return False
        self.bytes_read += len(data)
        try:
            metadata = decode_prefix(data, self.blob_id, n_shards, shard)
        except WrongBytesError as error:
            self.note(fault_of_prefix(volume, shard, error, data, n_shards))
            return False
        self._metadata = metadata
        self._members.keep(metadata)
        extent = sliver_extent("primary", metadata.size, n_shards)
        if len(data) >= extent.start + extent.length:
            held = data[extent.start : extent.start + extent.length]
            self._take_bytes("primary", volume, shard, held, metadata)
        return True

    def _sliver_question(self, axis: Axis, shard: int, metadata: Metadata) -> Question[bytes]:
        name = shard_name(self.blob_id, shard)
        extent = sliver_extent(axis, metadata.size, metadata.n_shards)

        def call(backend: Backend) -> bytes:
            return bounded_get(backend, name, extent.start, extent.length)

        return self._members.reading(self._members.homes[shard], shard, call)

    def _take_sliver(self, axis: Axis, answer: Answer[bytes], metadata: Metadata) -> Sliver | None:
        volume, shard, _ = answer.question
        if answer.error is not None or answer.value is None or shard is None:
            self._note_error(answer)
            return None
        self.bytes_read += len(answer.value)
        return self._take_bytes(axis, volume, shard, answer.value, metadata)

    def _take_bytes(
        self, axis: Axis, volume: str, shard: int, data: bytes, metadata: Metadata
    ) -> Sliver | None:
        try:
            sliver = decode_sliver(data, axis, shard, metadata)
        except WrongBytesError as error:
            self.note(fault_of(volume, shard, error))
            return None
        self._slivers[axis, sliver.index] = sliver
        return sliver

    def _note_late(self, question: Question[bytes]) -> None:
        words = f"There was no answer within {self._members.hedge_after:g} s."
        self.note(Fault(question.volume, question.shard, "slow", words))

    def _note_error(self, answer: Answer[bytes]) -> None:
        error = answer.error or WrongBytesError("There was no answer that could be read.")
        self.note(fault_of(answer.question.volume, answer.question.shard, error))

    def _too_few(self, good: int) -> HauloutError:
        """The error for what is left: missing for good, or only out of reach."""
        n_shards, need = self._members.layout.n_shards, self._need("primary")
        kinds: dict[int, set[str]] = {shard: set() for shard in range(n_shards)}
        for fault in self.faults:
            if fault.shard is not None:
                kinds[fault.shard].add(fault.kind)
        missing = [shard for shard, found in kinds.items() if "missing" in found]
        if len(missing) == n_shards:
            return BlobMissingError(f"No volume has any shard of blob {self.blob_id}.")
        away = [shard for shard, found in kinds.items() if "unavailable" in found]
        bad = [fault for fault in self.faults if fault.kind != "slow"]
        words = (
            f"Blob {self.blob_id} needs {need} whole shards of {n_shards}, and {good} were found: "
            f"{told(bad)}."
        )
        if good + len(away) >= need:
            return StoreUnavailableError(words)
        hint = "Connect any volume that is missing; a backup of the set may hold the rest."
        return TooFewSliversError(words, hint=hint)
