"""Which sections the next publication writes: pure arithmetic over what is published.

Runs form a staircase. A new run joins the one before it while the two fit into one segment and
the older is less than `_STEP` times as large: a record is then sealed again about
log(segment / publication) / log(_STEP) times, five where a publication holds a kilobyte, and a
lane has few small runs (O'Neil et al., "The Log-Structured Merge-Tree", 1996).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from haulout.log.published import PublishedRun
from haulout.log.segment import SEGMENT_BYTES

_STEP = 4
_MARGIN = 4096
"""What a segment holds beside its records: devices, namespaces, its sealing."""


class Wanted(NamedTuple):
    """A run as the next head shall name it.

    Attributes:
        first, last: numbers of its first and last record.
        bytes: its segment's size, estimated where it is new.
        base: the published run it is, where its segment stays; None: a segment is written.
        keys: whether its keys are written; models: whose vectors are.
    """

    first: int
    last: int
    bytes: int
    base: PublishedRun | None
    keys: bool
    models: tuple[str, ...]


def cut(fresh: Iterable[tuple[int, int]], most: int = SEGMENT_BYTES - _MARGIN) -> list[Wanted]:
    """New records as runs that each fit into one segment; a larger record stands alone."""
    runs: list[Wanted] = []
    for num, size in fresh:
        last = runs[-1] if runs else None
        if last is not None and last.bytes + size <= most:
            runs[-1] = last._replace(last=num, bytes=last.bytes + size)
        else:
            runs.append(Wanted(num, num, size, None, keys=True, models=()))
    return runs


def join(runs: Sequence[Wanted], most: int = SEGMENT_BYTES - _MARGIN) -> list[Wanted]:
    """The same runs with small ones at the end joined, as the module says."""
    joined = list(runs)
    while len(joined) > 1:
        older, newer = joined[-2:]
        if older.bytes + newer.bytes > most or older.bytes > _STEP * newer.bytes:
            break
        size = older.bytes + newer.bytes
        joined[-2:] = [Wanted(older.first, newer.last, size, None, keys=True, models=())]
    return joined


def erased_within(erased: Sequence[int], first: int, last: int) -> int:
    """How many of some numbers, in order, lie from ``first`` to ``last``."""
    return bisect_right(erased, last) - bisect_left(erased, first)


def ending(
    runs: Iterable[PublishedRun], erased: Sequence[int], doomed: Collection[bytes]
) -> set[bytes]:
    """Blobs that the next head must not name: the doomed, and those with keys that are erased.

    What is erased goes with its whole blob, so all else that stands in it is written again.
    """
    ended = set(doomed)
    for published in runs:
        keys = published.run.keys
        if keys is not None and _is_stale(published, erased):
            ended.add(keys.blob)
    return ended


def _is_stale(published: PublishedRun, erased: Sequence[int]) -> bool:
    return erased_within(erased, published.first, published.last) != published.erased


def live_bytes(runs: Iterable[PublishedRun], erased: Sequence[int]) -> dict[bytes, int]:
    """How many bytes of each blob are of records that were not erased.

    Args:
        runs: those of the head that stands; ``erased``: numbers of all erased records, in order.
    """
    found: dict[bytes, int] = {}
    for one in runs:
        live = one.run.records - erased_within(erased, one.first, one.last)
        refs = [one.run.segment, *one.run.vectors, *([one.run.keys] if one.run.keys else [])]
        for ref in refs:
            found[ref.blob] = found.get(ref.blob, 0) + ref.length * live // one.run.records
    return found


def standing(
    runs: Iterable[PublishedRun], erased: Sequence[int], ended: Collection[bytes]
) -> list[Wanted]:
    """The published runs, each with what of it has to be written again.

    Args:
        runs: those of the head that stands; ``erased``: numbers of all erased records, in order.
        ended: what `ending` gave.
    """
    wanted: list[Wanted] = []
    for published in runs:
        keys, segment = published.run.keys, published.run.segment
        moved = segment.blob in ended
        again = moved or _is_stale(published, erased) or (keys is not None and keys.blob in ended)
        base = None if moved else published
        wanted.append(
            Wanted(published.first, published.last, segment.length, base, keys=again, models=())
        )
    return wanted


def plan(
    runs: Iterable[PublishedRun],
    fresh: Iterable[tuple[int, int]],
    erased: Sequence[int],
    ended: Collection[bytes] = (),
) -> list[Wanted]:
    """The runs of the next head, in order, each with what has to be written for it.

    Args:
        runs: those of the head that stands.
        fresh: number and bytes of each record that is not published, in order.
        erased: numbers of all records that were erased, in order.
        ended: what `ending` gave.
    """
    return join([*standing(runs, erased, ended), *cut(fresh)])


def with_vectors(
    wanted: Iterable[Wanted],
    ready: Callable[[int, int], tuple[str, ...]],
    ended: Collection[bytes] = (),
) -> list[Wanted]:
    """The same runs, with the models whose vectors are to be written.

    Args:
        wanted: what `plan` gave; ``ended``: as there.
        ready: the models of which every vector of the records in a range is there.
    """
    found: list[Wanted] = []
    for one in wanted:
        models = ready(one.first, one.last)
        if one.base is not None:
            pairs = list(zip(one.base.models, one.base.run.vectors, strict=True))
            there = {model for model, _ in pairs}
            there -= {model for model, ref in pairs if ref.blob in ended}
            models = tuple(model for model in models if model not in there)
        found.append(one._replace(models=models))
    return found


def changes(wanted: Sequence[Wanted]) -> bool:
    """Whether a plan writes anything."""
    return any(one.base is None or one.keys or one.models for one in wanted)
