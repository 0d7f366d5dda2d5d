"""How a set of volumes is: each volume, and how many blobs are whole, by names and sizes alone."""

from __future__ import annotations

from typing import NamedTuple

from haulout.storage.volumes.listing import Listing
from haulout.storage.volumes.volumeset import VolumeSet


class VolumeStatus(NamedTuple):
    """How one volume is.

    Attributes:
        volume: its ID; ``url``: where it is.
        reachable: whether it answered and proved to be of the set; ``why``: if not, what it said.
        latency: seconds for one answer, a moving mean; None where it never answered.
        held: shard objects at their place with the right size; ``expected``: how many there
            should be for the blobs that are known.
        bytes: of all objects of blobs that it lists, misplaced ones included.
        last_fault: what went wrong with it last, while this set was open.
    """

    volume: str
    url: str
    reachable: bool
    why: str | None
    latency: float | None
    held: int
    expected: int
    bytes: int
    last_fault: str | None


class Status(NamedTuple):
    """How a set is.

    Attributes:
        volumes: each of them.
        sound: blobs with every object in its place; ``degraded``: readable ones that lack some.
        out_of_reach: blobs that can be read once volumes answer that do not now.
        lost: blobs of which too little is left.
    """

    volumes: tuple[VolumeStatus, ...]
    sound: int
    degraded: int
    out_of_reach: int
    lost: int


def status(volumes: VolumeSet) -> Status:
    """Ask every volume what it lists, and count."""
    listing, members = volumes.listing(), volumes.members
    standing = {blob_id: listing.standing(blob_id) for blob_id in listing.blob_ids()}
    counts = {"sound": 0, "degraded": 0, "out_of_reach": 0, "lost": 0}
    away = len(listing.out_of_reach())
    for shards in standing.values():
        if len(shards) == members.layout.n_shards:
            counts["sound"] += 1
        elif len(shards) >= members.rs2.primary:
            counts["degraded"] += 1
        elif len(shards) + away >= members.rs2.primary:
            counts["out_of_reach"] += 1
        else:
            counts["lost"] += 1
    each = tuple(_of(volumes, name, listing, standing) for name in members.names)
    return Status(each, **counts)


def _of(
    volumes: VolumeSet, name: str, listing: Listing, standing: dict[str, dict[int, str]]
) -> VolumeStatus:
    volume = next(v for v in volumes.layout.volumes if v.id == name)
    pace, held = volumes.members.lines.pace, listing.found.get(name, {})
    return VolumeStatus(
        volume=name,
        url=volume.url,
        reachable=name in listing.found,
        why=listing.unreached.get(name),
        latency=pace.latency(name),
        held=sum(list(shards.values()).count(name) for shards in standing.values()),
        expected=len(standing) * len(volume.shards),
        bytes=sum(size for shards in held.values() for size in shards.values()),
        last_fault=pace.last_fault(name),
    )
