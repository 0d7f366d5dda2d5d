"""Dividing vectors into lists: read in parts, group in memory, write in parts.

Nothing waits for it: no transaction is open while vectors are grouped, a write transaction
takes in a few thousand vectors, and recalls answer from what stood before until the last step.
What a crash or a second builder leaves at each step is told in `index/lists.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from haulout.index import lists
from haulout.index.clusters import centres_of, nearest
from haulout.index.lists import Claim, Codes, Nums, Place
from haulout.vault.opening import Parts

_READ_AT_ONCE = 20_000
_WRITTEN_AT_ONCE = 4_096
_LONGEST_LIST = 4_096
_TRAINED_ON = 64
"""Vectors of the sample for each list."""


def divide_where_due(parts: Parts) -> int:
    """Divide anew what has outgrown its lists, and sweep what is left over.

    Returns:
        how many places were divided.
    """
    database, vault = parts.database, parts.vault
    with database.read() as connection:
        places: list[Place] = []
        newest = lists.newest_vector(connection)
        looked = lists.may_be_due(connection, vault)
        if looked:
            places = lists.due(connection, vault)
    done = sum(_divide(parts, place) for place in places)
    if looked:
        database.write(lambda connection: lists.note_looked(connection, vault, newest))
    _sweep(parts)
    return done


def _divide(parts: Parts, place: Place) -> bool:
    """Divide one place; False where another builder took over."""
    database, vault = parts.database, parts.vault
    claim: Claim = database.write(lambda connection: lists.begin(connection, vault, place))
    nums, codes = _read(parts, place, claim)
    batch: list[tuple[Nums, Codes, bool]] = []
    waiting = 0
    for members, sample in _groups(nums, codes):
        batch.append((nums[members], codes[members], sample))
        waiting += len(members)
        if waiting >= _WRITTEN_AT_ONCE:
            if not _put(parts, claim, batch):
                return False
            batch, waiting = [], 0
    if not _put(parts, claim, batch):
        return False
    return bool(database.write(lambda connection: lists.finish(connection, vault, claim)))


def _put(parts: Parts, claim: Claim, batch: list[tuple[Nums, Codes, bool]]) -> bool:
    return bool(
        parts.database.write(lambda connection: lists.put(connection, parts.vault, claim, batch))
    )


def _read(parts: Parts, place: Place, claim: Claim) -> tuple[Nums, Codes]:
    """All vectors of a place, each part in a short read transaction."""
    nums: list[Nums] = []
    codes: list[Codes] = []
    after = 0
    while after < claim.newest:
        with parts.database.read() as connection:
            some, theirs, after = lists.part(connection, place, after, claim.newest, _READ_AT_ONCE)
        if len(some):
            nums.append(some)
            codes.append(theirs)
    if not nums:
        return np.empty(0, np.int64), np.empty((0, 1), np.int8)
    return np.concatenate(nums), np.concatenate(codes)


def _groups(nums: Nums, codes: Codes) -> Iterator[tuple[Nums, bool]]:
    """The places of each list's members, and whether it is of the sample."""
    yield from ((piece, True) for piece in _pieces(np.flatnonzero(lists.sampled(len(nums)))))
    if not len(nums):
        return
    count = max(1, int(np.sqrt(len(nums))))
    trained = codes[:: max(1, len(nums) // (count * _TRAINED_ON))]
    centres = centres_of(lists.at_unit_length(trained), min(count, len(trained)))
    groups = np.concatenate(
        [
            nearest(lists.at_unit_length(codes[start : start + _READ_AT_ONCE]), centres)
            for start in range(0, len(nums), _READ_AT_ONCE)
        ]
    )
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(np.bincount(groups, minlength=len(centres)))
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        yield from ((piece, False) for piece in _pieces(order[start:end]))


def _pieces(members: Nums) -> Iterator[Nums]:
    """Members in pieces of at most the length of a list, and of about one length."""
    if len(members):
        yield from np.array_split(members, -(-len(members) // _LONGEST_LIST))


def _sweep(parts: Parts) -> None:
    """Delete the lists that are left over, a few in each transaction."""
    while True:
        with parts.database.read() as connection:
            if not lists.left_over(connection, parts.vault):
                return
        parts.database.write(lambda connection: lists.sweep(connection, parts.vault))
