"""Making lost slivers of one blob again, by the cheapest way that is right.

Volumes are dumb: they give ranges of what they store and compute nothing. Of the symbols M[r][c] of
a blob they store the rows r < p within secondary slivers and the columns c < s within primary ones,
so

    primary sliver r < p     s symbols, one from each of s secondary slivers: s · z bytes
    secondary sliver c < s   p symbols, one from each of p primary slivers: p · z bytes
    any other sliver         symbols that no object stores. Each depends on a whole row or column,
                             all of them on the whole blob: p · s · z bytes, p primary slivers,
                             which make every lost sliver of the blob at once

Where all that is lost is of the first two kinds, ranges are read as long as they are less than the
blob; otherwise the blob is read once. Symbols come without proofs: a rebuilt sliver is compared
with its hash in the metadata (walrus.md section 4, the light path). If it differs, the whole
slivers are read that the symbols were taken from, each is verified, and the liar is named and
replaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Final

from haulout.errors import InconsistentBlobError, WrongBytesError
from haulout.redstuff import (
    Encoded,
    Metadata,
    RecoverySymbol,
    Sliver,
    encode,
    recover_sliver,
    symbol_size,
)
from haulout.redstuff.parameters import Axis, parameters
from haulout.storage.backend import Backend
from haulout.storage.volumes.faults import Fault, fault_of
from haulout.storage.volumes.members import Members, bounded_get
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.reading import Reading
from haulout.storage.volumes.rounds import Answer, Question, Round
from haulout.storage.volumes.shardfile import holder, symbol_extent

Target = tuple[Axis, int]
"""A sliver that is wanted."""

OTHER: Final[dict[Axis, Axis]] = {"primary": "secondary", "secondary": "primary"}


def by_ranges(target: Target, n_shards: int) -> bool:
    """Whether the symbols of a sliver are stored, as parts of slivers of the other axis."""
    axis, index = target
    return index < parameters(n_shards).source_count(axis)


def range_bytes(targets: Iterable[Target], size: int, n_shards: int) -> int:
    """What rebuilding slivers by ranges reads, in bytes, metadata aside."""
    z, rs2 = symbol_size(size, n_shards), parameters(n_shards)
    return sum(z * rs2.sliver_symbols(axis) for axis, _ in targets)


def whole_bytes(size: int, n_shards: int) -> int:
    """What reading p primary slivers takes, in bytes: the blob, padded."""
    rs2 = parameters(n_shards)
    return symbol_size(size, n_shards) * rs2.primary * rs2.secondary


class Rebuilding:
    """Makes slivers of one blob again.

    Args:
        members: the set; ``reading``: the way through the blob so far, which keeps the faults.
        unfit: (axis, shard) of each sliver that is known to be missing or damaged.

    Attributes:
        bytes_read: what came from volumes for it, but for what ``reading`` counts.
    """

    def __init__(
        self, members: Members, reading: Reading, unfit: Collection[tuple[Axis, int]]
    ) -> None:
        self.bytes_read = 0
        self._members = members
        self._reading = reading
        self._unfit = set(unfit)
        self._encoded: Encoded | None = None

    def slivers(self, targets: Collection[Target]) -> dict[Target, Sliver]:
        """The wanted slivers, each verified.

        Raises:
            TooFewSliversError, StoreUnavailableError, BlobMissingError: too little is left.
            InconsistentBlobError: the blob's writer lied; nothing can be made again.
        """
        metadata, n = self._reading.metadata(), self._members.layout.n_shards
        made: dict[Target, Sliver] = {}
        cheap = range_bytes(targets, metadata.size, n) < whole_bytes(metadata.size, n)
        if cheap and all(by_ranges(target, n) for target in targets):
            for target in targets:
                sliver = self._from_symbols(target, metadata)
                if sliver is None:
                    break
                made[target] = sliver
        for axis, index in targets:
            if (axis, index) not in made:
                encoded = self._whole()
                made[axis, index] = (
                    encoded.primary(index) if axis == "primary" else encoded.secondary(index)
                )
        return made

    def _whole(self) -> Encoded:
        """The blob, read once and encoded anew.

        Raises:
            InconsistentBlobError: it encodes to another blob ID than the one it was found under.
        """
        if self._encoded is None:
            encoded = encode(self._reading.whole(), self._members.layout.n_shards)
            if encoded.blob_id_text != self._reading.blob_id:
                message = (
                    f"The slivers of blob {self._reading.blob_id} are authentic and of no one "
                    "blob: its writer encoded it wrongly."
                )
                raise InconsistentBlobError(message)
            self._encoded = encoded
        return self._encoded

    def _from_symbols(self, target: Target, metadata: Metadata) -> Sliver | None:
        """One sliver from symbols read by range; None where they do not suffice."""
        axis, index = target
        source_axis = OTHER[axis]
        wanted = parameters(metadata.n_shards).sliver_symbols(axis)
        symbols = self._symbols(target, metadata, wanted)
        if len(symbols) < wanted:
            return None
        try:
            return recover_sliver(metadata, axis, index, symbols, verified=True)
        except InconsistentBlobError:
            pass
        # One of them lied, or the writer did. Whole slivers verify by themselves: read those that
        # gave the symbols, which names the liar, and as many others as are then lacking.
        asked = [symbol.source for symbol in symbols]
        good = self._reading.slivers(source_axis, asked, wanted)
        if len(good) < wanted:
            good = self._reading.slivers(source_axis, range(metadata.n_shards), wanted)
        if len(good) < wanted:
            return None
        taken = [RecoverySymbol(source_axis, s.index, index, s.symbol(index), ()) for s in good]
        return recover_sliver(metadata, axis, index, taken, verified=True)

    def _symbols(self, target: Target, metadata: Metadata, wanted: int) -> list[RecoverySymbol]:
        axis, index = target
        source_axis, n = OTHER[axis], metadata.n_shards
        pace, homes = self._members.lines.pace, self._members.homes
        holders = [(i, holder(source_axis, i, metadata.blob_id, n)) for i in range(n)]
        sources = [found for found in holders if (source_axis, found[1]) not in self._unfit]
        limit = parameters(n).source_count(source_axis)
        sources.sort(
            key=lambda s: (pace.avoided(homes[s[1]]), s[0] >= limit, pace.rank(homes[s[1]]))
        )
        queue = deque(shard for _, shard in sources)
        by_shard = {shard: source for source, shard in sources}
        got: list[RecoverySymbol] = []
        with Round[bytes](self._members.lines, self._members.hedge_after) as talk:
            while len(got) < wanted:
                while queue and talk.on_time < wanted - len(got):
                    talk.ask(self._question(source_axis, queue.popleft(), index, metadata))
                found = talk.next()
                if found is None:
                    break
                if isinstance(found, Question):
                    words = "A symbol did not come in time."
                    self._reading.note(Fault(found.volume, found.shard, "slow", words))
                    continue
                data = self._taken(found, metadata)
                if data is not None and found.question.shard is not None:
                    source = by_shard[found.question.shard]
                    got.append(RecoverySymbol(source_axis, source, index, data, ()))
        return got

    def _question(self, axis: Axis, shard: int, number: int, metadata: Metadata) -> Question[bytes]:
        name = shard_name(self._reading.blob_id, shard)
        extent = symbol_extent(axis, number, metadata.size, metadata.n_shards)

        def call(backend: Backend) -> bytes:
            return bounded_get(backend, name, extent.start, extent.length)

        return self._members.reading(self._members.homes[shard], shard, call)

    def _taken(self, answer: Answer[bytes], metadata: Metadata) -> bytes | None:
        volume, shard, _ = answer.question
        error = answer.error
        if answer.value is not None:
            self.bytes_read += len(answer.value)
            if len(answer.value) == metadata.symbol_size:
                return answer.value
            error = WrongBytesError(f"A symbol has {len(answer.value)} bytes.")
        self._reading.note(
            fault_of(volume, shard, error or WrongBytesError("A symbol could not be read."))
        )
        return None
