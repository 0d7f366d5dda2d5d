"""Which volume holds which shards: a layout, and how one is planned. Pure.

docs/spec/volume.md, "Layout". A layout says where each of the n shards of every blob belongs.
It is a value: changing a set of volumes makes a new layout of the next generation, and
`rebalance` carries the objects over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from haulout.errors import InputError, WrongBytesError

FORMAT: Final = 1
DEFAULT_SHARDS: Final = 10
FEWEST_SHARDS: Final = 4
MOST_SHARDS: Final = 1000
MOST_URL_CHARACTERS: Final = 2000
MOST_LAYOUT_BYTES: Final = 4 * 1024 * 1024  # 1,000 volumes with the longest URLs are half of it

_SET_ID = re.compile(r"[0-9a-f]{32}")
_VOLUME_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Place(NamedTuple):
    """A volume before it has shards: its ID, never used twice in a set, and its URL."""

    id: str
    url: str


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place that holds some shards: a folder or a bucket.

    Attributes:
        id: its name within the set, 1 to 64 of ``a-z0-9-``; it stands in the place's marker.
        url: where the place is; no secret.
        shards: the shards it holds of every blob, ascending.
    """

    id: str
    url: str
    shards: tuple[int, ...]


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A set of volumes, and where each shard belongs.

    Attributes:
        format: 1.
        set_id: 16 random bytes in hexadecimal; the same through all generations.
        generation: 1 at first, one more at each change.
        n_shards: 4 to 1,000. Blob IDs depend on it, so it never changes within a set.
        volumes: ordered by ID; each shard is on exactly one of them.
    """

    format: int
    set_id: str
    generation: int
    n_shards: int
    volumes: tuple[Volume, ...]

    def __post_init__(self) -> None:
        _check(self)

    def volume_of(self, shard: int) -> str:
        """The ID of the volume to which a shard belongs."""
        return next(volume.id for volume in self.volumes if shard in volume.shards)

    def homes(self) -> tuple[str, ...]:
        """The volume ID of every shard, in the order of the shards."""
        found = {shard: volume.id for volume in self.volumes for shard in volume.shards}
        return tuple(found[shard] for shard in range(self.n_shards))

    def weights(self) -> dict[str, int]:
        """How many shards each volume holds, by ID."""
        return {volume.id: len(volume.shards) for volume in self.volumes}


def encode_layout(layout: Layout) -> bytes:
    """The one JSON text of a layout: keys sorted, no spaces, UTF-8."""
    return msgspec.json.encode(layout, order="sorted")


def decode_layout(data: bytes) -> Layout:
    """Read a layout.

    Raises:
        WrongBytesError: it is too long, no layout, of another format, or not in its one form.
    """
    if len(data) > MOST_LAYOUT_BYTES:
        message = f"A layout of {len(data):,} bytes is longer than any can be."
        raise WrongBytesError(message)
    try:
        layout = msgspec.json.decode(data, type=Layout)
    except (msgspec.MsgspecError, InputError, UnicodeDecodeError) as error:
        raise WrongBytesError(f"These bytes are no layout of volumes: {error}") from error
    if encode_layout(layout) != data:
        raise WrongBytesError("These bytes say a layout in another form than its only one.")
    return layout


def plan(
    n_shards: int,
    places: Sequence[Place],
    existing: Layout | None = None,
    *,
    set_id: str | None = None,
) -> Layout:
    """Place n shards evenly on volumes, moving as few as possible from where they are.

    Two volumes never differ by more than one shard. Of all such placements this is one with the
    fewest moves: a volume keeps what it has up to its share, and the larger shares go to those
    that hold the most already.

    Args:
        n_shards: 4 to 1,000; that of ``existing`` where there is one.
        places: every volume of the new set. A place whose ID is in ``existing`` is the same
            volume, perhaps at another URL.
        existing: the layout that stands.
        set_id: 16 random bytes in hexadecimal for a new set; None with ``existing``.

    Raises:
        InputError: fewer shards than volumes, the same ID or URL twice, another ``n_shards`` than
            that of ``existing``, or an ID of another form.
    """
    if existing is not None and existing.n_shards != n_shards:
        message = f"This set has {existing.n_shards} shards; their number cannot change."
        raise InputError(message, hint="Make a new set, and copy the vault into it.")
    if (existing is None) == (set_id is None):
        raise InputError("A new set needs an ID, and an existing one keeps its own.")
    if not places or len(places) > n_shards:
        message = f"{n_shards} shards cannot be spread over {len(places)} volumes."
        raise InputError(message, hint="Use from one volume up to as many as there are shards.")
    if len({place.id for place in places}) < len(places):
        raise InputError("Two places have the same ID.")
    before = {} if existing is None else {v.id: v.shards for v in existing.volumes}
    homes = _placed(n_shards, [place.id for place in places], before)
    urls = {place.id: place.url for place in places}
    return Layout(
        format=FORMAT,
        set_id=set_id if existing is None else existing.set_id,  # type: ignore[arg-type]
        generation=1 if existing is None else existing.generation + 1,
        n_shards=n_shards,
        volumes=tuple(Volume(name, urls[name], homes[name]) for name in sorted(homes)),
    )


def moves(old: Layout, new: Layout) -> tuple[tuple[int, str, str], ...]:
    """What differs between two layouts of a set: (shard, from volume, to volume)."""
    pairs = enumerate(zip(old.homes(), new.homes(), strict=True))
    return tuple((shard, was, will) for shard, (was, will) in pairs if was != will)


def _placed(
    n_shards: int, ids: Sequence[str], before: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Shards per volume: each keeps what it has up to its share; the rest fills the others."""
    share, larger = divmod(n_shards, len(ids))
    by_load = sorted(ids, key=lambda name: (-len(before.get(name, ())), name))
    shares = {name: share + (rank < larger) for rank, name in enumerate(by_load)}
    kept = {name: list(before.get(name, ()))[: shares[name]] for name in ids}
    standing = {shard for shards in kept.values() for shard in shards}
    loose = [shard for shard in range(n_shards) if shard not in standing]
    # Dealt out in turns, so that neighbouring shards of a new set stand on different volumes.
    while loose:
        for name in sorted(ids):
            if loose and len(kept[name]) < shares[name]:
                kept[name].append(loose.pop(0))
    return {name: tuple(sorted(shards)) for name, shards in kept.items()}


def _check(layout: Layout) -> None:
    """Refuse what is no layout.

    Raises:
        InputError: saying what is wrong.
    """
    if layout.format != FORMAT:
        message = f"Format {layout.format} of a layout is not known here."
        raise InputError(message, hint="Use a version of Haulout that knows it.")
    if not FEWEST_SHARDS <= layout.n_shards <= MOST_SHARDS:
        message = f"A set has {FEWEST_SHARDS} to {MOST_SHARDS:,} shards, not {layout.n_shards}."
        raise InputError(message)
    if layout.generation < 1 or layout.generation >= 2**32:
        raise InputError(f"{layout.generation} is no generation of a layout.")
    if not _SET_ID.fullmatch(layout.set_id):
        raise InputError("The ID of a set is 32 hexadecimal digits in lower case.")
    for volume in layout.volumes:
        _check_volume(volume)
    ids = [volume.id for volume in layout.volumes]
    if ids != sorted(set(ids)):
        raise InputError("The volumes of a layout are ordered by ID, each named once.")
    if len({volume.url for volume in layout.volumes}) != len(ids):
        raise InputError("Two volumes of a layout have the same URL.")
    placed = sorted(shard for volume in layout.volumes for shard in volume.shards)
    if placed != list(range(layout.n_shards)):
        raise InputError("A layout places each shard on exactly one volume.")


def _check_volume(volume: Volume) -> None:
    """Refuse what is no volume of a layout.

    Raises:
        InputError: saying what is wrong.
    """
    if not _VOLUME_ID.fullmatch(volume.id):
        raise InputError(f"{volume.id[:80]!r} cannot name a volume.")
    if not 0 < len(volume.url) <= MOST_URL_CHARACTERS or not volume.url.isprintable():
        raise InputError(f"Volume {volume.id} has no URL that could be shown.")
    if not volume.shards or list(volume.shards) != sorted(set(volume.shards)):
        message = f"Volume {volume.id} names no shards, or not in ascending order."
        raise InputError(message)
