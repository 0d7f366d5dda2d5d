"""What storage nodes say of a blob together, of whom up to a third may lie or be behind.

Nodes are counted by their shards. A claim is believed when nodes with f + 1 of the n shards make
it: one of them is honest, and an honest node says what the chain says. That *nothing* is
registered is believed when 2f + 1 say so and none contradicts. Source: walrus.md §6.6 (quorums),
§8; the arithmetic is by shards, which stand for stake. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from haulout.storage.walrus.wire import BlobStatus


@dataclass(frozen=True, slots=True)
class Standing:
    """What can be believed of a blob.

    Attributes:
        certified: storage nodes vouch for it, or an aggregator gave it and it was verified.
        end_epoch: of the longest certified permanent object; None where there is none, because
            nodes do not tell the ends of deletable ones.
        certified_deletable: how many certified deletable objects there are.
        registered: objects of any kind that even one node speaks of, so that none is overlooked;
            a registration that is not certified was paid for, and is not stored.
        surely_registered: how many of them can be believed, so that nobody makes up too many.
        invalid: the network holds it for inconsistent; it is read by nobody.
        known: enough nodes answered that "nothing is registered" can be believed.
        epoch: the current one, where nodes told it.
    """

    certified: bool = False
    end_epoch: int | None = None
    certified_deletable: int = 0
    registered: int = 0
    surely_registered: int = 0
    invalid: bool = False
    known: bool = False
    epoch: int | None = None

    @property
    def nothing(self) -> bool:
        """Nothing was registered, for all that can be known."""
        return self.known and not self.registered and not self.certified


def faulty(n_shards: int) -> int:
    """f: the shards that may lie."""
    return (n_shards - 1) // 3


def agree(
    told: Sequence[tuple[int, BlobStatus]],
    n_shards: int,
    epochs: Sequence[tuple[int, int]] = (),
) -> Standing:
    """Make one standing of what nodes say.

    Args:
        told: each node's weight in shards, and its answer.
        n_shards: of the network.
        epochs: each node's weight, and the epoch that it says is the current one.
    """
    enough = faulty(n_shards) + 1
    heard = sum(weight for weight, _ in told)

    def backed(value: Callable[[BlobStatus], int | None]) -> int:
        return highest_backed([(w, value(s) or 0) for w, s in told], enough)

    end = backed(lambda s: s.end_epoch if s.permanent_certified else None)
    return Standing(
        certified=bool(backed(lambda s: int(s.certified))),
        end_epoch=end or None,
        certified_deletable=backed(lambda s: s.deletable_certified),
        registered=max((_objects(s) for _, s in told), default=0),
        surely_registered=backed(_objects),
        invalid=bool(backed(lambda s: int(s.kind == "invalid"))),
        known=heard >= n_shards - faulty(n_shards),
        epoch=highest_backed(epochs, enough) if sum(w for w, _ in epochs) >= enough else None,
    )


def _objects(status: BlobStatus) -> int:
    """The objects that a status speaks of: it counts deletable ones, permanent ones not."""
    return status.deletable + (status.kind in {"permanent", "other"})


def highest_backed(values: Sequence[tuple[int, int]], enough: int) -> int:
    """The highest number that nodes of ``enough`` shards say at the least; 0 where none is."""
    weight = 0
    for shards, value in sorted(values, key=lambda pair: -pair[1]):
        weight += shards
        if weight >= enough:
            return value
    return 0
