"""What a layout survives and what it costs, counted rather than promised. Pure.

A blob is readable while p shards are left whole (primary slivers of p shards decode it), so the
loss of any set of volumes with at most n - p = 2f shards between them is survived. That holds
for blobs whose n objects all stand; directly after a write that found volumes missing it is
less, and the write quorum (`quorum.py`) says how much is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from haulout.redstuff import most_bytes, parameters
from haulout.storage.volumes.layout import Layout
from haulout.storage.volumes.quorum import head_quorum, write_quorum
from haulout.storage.volumes.shardfile import object_size

MIB: Final = 1024 * 1024
SMALL_BLOB: Final = 300  # bytes: one short memory
MOST_VOLUMES_ENUMERATED: Final = 12  # 4,096 sets; above, counts are given and no sets


class Explanation(NamedTuple):
    """What a layout survives and costs.

    Attributes:
        any_volumes_lost: this many volumes may be lost, whichever they are.
        largest_losses: every largest set of volumes that may be lost together, by ID, where the
            set has at most 12 volumes; empty above.
        fatal_volumes: volumes whose loss alone makes blobs unreadable.
        shards_lost: how many shards may be lost, rot or lie at once where all stood before:
            each is told from a good one by its hash, so a liar counts as a loss.
        shards_lost_after_write: the same for a blob just acknowledged by a bare write quorum.
        writable_without: volumes of which any one may be away while writes are acknowledged.
        heads_without: the same for heads.
        bytes_per_mib: bytes stored in all for a blob of 1 MiB, exactly.
        bytes_per_small_blob: the same for a blob of 300 bytes.
        warnings: sentences for the owner.
    """

    any_volumes_lost: int
    largest_losses: tuple[tuple[str, ...], ...]
    fatal_volumes: tuple[str, ...]
    shards_lost: int
    shards_lost_after_write: int
    writable_without: tuple[str, ...]
    heads_without: tuple[str, ...]
    bytes_per_mib: int
    bytes_per_small_blob: int
    warnings: tuple[str, ...]

    @property
    def factor(self) -> float:
        """Bytes stored for each byte of a blob of 1 MiB."""
        return self.bytes_per_mib / MIB

    @property
    def small_factor(self) -> float:
        """Bytes stored for each byte of a blob of 300 bytes."""
        return self.bytes_per_small_blob / SMALL_BLOB


def survives(layout: Layout, lost: Iterable[str]) -> bool:
    """Whether blobs whose objects all stood stay readable without these volumes."""
    rs2, weights = parameters(layout.n_shards), layout.weights()
    return sum(weights[volume] for volume in set(lost)) <= layout.n_shards - rs2.primary


def explain(layout: Layout, devices: Mapping[str, str] | None = None) -> Explanation:
    """Say what a layout survives and costs.

    Args:
        layout: the layout.
        devices: by volume ID, which disk or account it is on, in any words that are equal for
            the same one; the caller knows, a layout does not. Buckets are told apart by the host
            of their URL where nothing is given.
    """
    rs2, weights = parameters(layout.n_shards), layout.weights()
    shards = list(range(layout.n_shards))
    without = {v.id: [s for s in shards if s not in v.shards] for v in layout.volumes}
    return Explanation(
        any_volumes_lost=_any_lost(sorted(weights.values(), reverse=True), 2 * rs2.faults),
        largest_losses=_largest_losses(layout),
        fatal_volumes=tuple(name for name in weights if not survives(layout, [name])),
        shards_lost=layout.n_shards - rs2.primary,
        shards_lost_after_write=rs2.faults,
        writable_without=tuple(n for n, left in without.items() if write_quorum(layout, left)),
        heads_without=tuple(n for n in weights if head_quorum(layout, set(weights) - {n})),
        bytes_per_mib=_stored(MIB, layout.n_shards),
        bytes_per_small_blob=_stored(SMALL_BLOB, layout.n_shards),
        warnings=tuple(_warnings(layout, devices or {})),
    )


def _stored(size: int, n_shards: int) -> int:
    """Bytes stored for so many; as several blobs where one cannot hold them (n below 8)."""
    full, rest = divmod(size, most_bytes(n_shards))
    sizes = [most_bytes(n_shards)] * full + [rest] * (rest > 0)
    return n_shards * sum(object_size(each, n_shards) for each in sizes)


def _any_lost(heaviest_first: list[int], tolerated: int) -> int:
    """How many of the heaviest volumes fit into what is tolerated: then any that many do."""
    lost = 0
    for count, weight in enumerate(heaviest_first):
        lost += weight
        if lost > tolerated:
            return count
    return len(heaviest_first)


def _largest_losses(layout: Layout) -> tuple[tuple[str, ...], ...]:
    """Every survivable set of volumes to which no volume can be added."""
    ids = [volume.id for volume in layout.volumes]
    if len(ids) > MOST_VOLUMES_ENUMERATED:
        return ()
    fit = [
        set(lost)
        for count in range(1, len(ids) + 1)
        for lost in combinations(ids, count)
        if survives(layout, lost)
    ]
    return tuple(tuple(sorted(lost)) for lost in fit if not any(lost < other for other in fit))


def _warnings(layout: Layout, devices: Mapping[str, str]) -> Iterable[str]:
    urls = {volume.id: volume.url for volume in layout.volumes}
    schemes = {urlsplit(url).scheme for url in urls.values()}
    if len(urls) == 1:
        yield (
            "There is one volume only: damage to parts of it is healed, its loss is not. "
            "Add a second place."
        )
    for name in urls:
        if len(urls) > 1 and not survives(layout, [name]):
            yield f"Everything is lost with volume {name} alone: it holds too many shards."
    if len(urls) > 1 and schemes <= {"", "file"}:
        yield "Every volume is a folder of this machine: what takes the machine takes them all."
    where = {name: devices.get(name) or _host(url) for name, url in urls.items()}
    for device, count in Counter(where.values()).items():
        if device and count > 1:
            names = ", ".join(name for name in urls if where[name] == device)
            yield f"Volumes {names} are in one place ({device}): they are lost together."


def _host(url: str) -> str:
    """What buckets of one provider share; nothing for folders, whose disk a URL does not tell."""
    parts = urlsplit(url)
    return "" if parts.scheme in {"", "file", "memory"} else f"{parts.scheme}://{parts.netloc}"
