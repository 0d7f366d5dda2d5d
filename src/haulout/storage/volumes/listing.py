"""What the volumes of a set list of its blobs: names and sizes, nothing verified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from haulout.storage.backend import Backend
from haulout.storage.volumes.layout import Layout
from haulout.storage.volumes.members import Members, bounded_list
from haulout.storage.volumes.naming import BLOBS, blob_prefix, parse_shard_name
from haulout.storage.volumes.rounds import ask_all
from haulout.storage.volumes.shardfile import possible_size

Found = Mapping[str, Mapping[int, int]]
"""On one volume: the size of each shard object, by blob ID and shard."""


class Listing(NamedTuple):
    """What volumes list.

    Attributes:
        layout: the set's layout; ``found``: what each volume that answered lists.
        unreached: why each other volume did not answer.
    """

    layout: Layout
    found: Mapping[str, Found]
    unreached: Mapping[str, str]

    def blob_ids(self) -> list[str]:
        """Every blob of which some volume lists something, ordered."""
        return sorted({blob_id for held in self.found.values() for blob_id in held})

    def standing(self, blob_id: str, size: int | None = None) -> dict[int, str]:
        """The shards whose objects stand where they belong with the right size, and where.

        Args:
            blob_id: the blob; ``size``: of each of its objects where it is known, and otherwise
                the one that most objects have and an object can have.
        """
        homes = self.layout.homes()
        placed = {
            shard: (volume, held[blob_id][shard])
            for volume, held in self.found.items()
            for shard in held.get(blob_id, ())
            if homes[shard] == volume
        }
        if size is None:
            size = self.likely_size(blob_id)
        return {shard: volume for shard, (volume, found) in placed.items() if found == size}

    def likely_size(self, blob_id: str) -> int | None:
        """The size that most objects of a blob have, of those that an object can have."""
        sizes = Counter(
            size for held in self.found.values() for size in held.get(blob_id, {}).values()
        )
        possible = [size for size in sizes if possible_size(size, self.layout.n_shards)]
        return max(possible, key=lambda size: (sizes[size], size), default=None)

    def misplaced(self, blob_id: str) -> list[tuple[str, int, int]]:
        """(volume, shard, size) of each object of a blob that stands where it does not belong."""
        homes = self.layout.homes()
        return sorted(
            (volume, shard, size)
            for volume, held in self.found.items()
            for shard, size in held.get(blob_id, {}).items()
            if homes[shard] != volume
        )

    def out_of_reach(self) -> list[int]:
        """The shards whose volumes did not answer."""
        return [s for s, volume in enumerate(self.layout.homes()) if volume in self.unreached]


def list_blobs(members: Members, blob_id: str | None = None) -> Listing:
    """Ask every volume what it lists of one blob, or of all."""
    prefix = BLOBS if blob_id is None else blob_prefix(blob_id)
    n_shards = members.layout.n_shards

    def call(backend: Backend) -> Found:
        found: dict[str, dict[int, int]] = {}
        for name, size in bounded_list(backend, prefix):
            parsed = parse_shard_name(name, n_shards)
            if parsed is not None:
                found.setdefault(parsed[0], {})[parsed[1]] = size
        return found

    questions = [members.reading(name, None, call) for name in members.names]
    answers = ask_all(members.lines, members.hedge_after, questions)
    lists = {a.question.volume: a.value for a in answers if a.value is not None}
    errors = {a.question.volume: a.error.message for a in answers if a.error is not None}
    return Listing(members.layout, lists, errors)
