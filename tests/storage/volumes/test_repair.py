"""Repair: what was lost is made again, by the cheapest way that is right, without a key."""

from __future__ import annotations

import random

import pytest
from storage.volumes.parts import Rig, layout_of, objects_of, place_objects

from haulout.errors import StoreUnavailableError
from haulout.redstuff import encode, pair_of_shard, parameters
from haulout.redstuff.metadata import Metadata
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.reading import FIRST_BYTES
from haulout.storage.volumes.rebuilding import by_ranges, range_bytes, whole_bytes
from haulout.storage.volumes.repair import repair
from haulout.storage.volumes.shardfile import (
    encode_object,
    holder,
    object_size,
    prefix_size,
    sliver_extent,
)

DATA = random.Random(2).randbytes(30_000)


@pytest.mark.parametrize("n_volumes", [10, 5, 3])
def test_volume_after_volume_may_be_destroyed_if_repair_runs_between(rig_of, n_volumes):
    rig = rig_of(n_volumes)
    volumes, draw = rig.open(), random.Random(n_volumes)
    blobs = [draw.randbytes(size) for size in (0, 300, 5_000)]
    ids = [volumes.put(data).blob_id for data in blobs]
    volumes.publish_head("memory", b"head", None)
    before = rig.objects()
    for volume in [*rig.stores] * 2 if n_volumes < 10 else rig.stores:
        rig.wipe(volume)
        opened = rig.open()
        assert volume in dict(repair(opened).unreached)  # an empty place is not written to
        assert not list(rig.stores[volume].list())
        opened.adopt(volume)
        repaired = repair(opened)
        held = len(next(v.shards for v in rig.layout.volumes if v.id == volume))
        assert len(repaired.made) == len(blobs) * held
        assert repaired.lost == repaired.unfinished == repaired.unreached == ()
        assert repaired.heads == (("memory", volume),)
        assert rig.objects() == before
        assert [opened.get(blob_id) for blob_id in ids] == blobs
        again = repair(opened)
        assert (again.made, again.bytes_read, again.bytes_written) == ((), 0, 0)
        opened.close()


def spoil(rig: Rig, blob_id: str, metadata: Metadata, axis: str, index: int) -> int:
    """Damage one sliver where it stands; return its shard."""
    n = metadata.n_shards
    shard = holder(axis, index, metadata.blob_id, n)
    store, name = rig.stores[rig.layout.volume_of(shard)], shard_name(blob_id, shard)
    extent, data = sliver_extent(axis, metadata.size, n), bytearray(store.get(name))
    data[extent.start] ^= 1
    store.put(name, bytes(data))
    return shard


@pytest.mark.parametrize("n_shards", [10, 100])
def test_a_sliver_whose_symbols_are_stored_costs_its_own_size_and_no_more(n_shards):
    rig = Rig(layout_of(10, n_shards))
    encoded, objects = objects_of(DATA, n_shards)
    rs2 = parameters(n_shards)
    place_objects(rig, encoded.blob_id_text, objects)
    before = rig.objects()
    overhead = prefix_size(n_shards) + FIRST_BYTES
    for axis, index in (
        ("primary", 0), ("primary", rs2.primary - 1), ("secondary", 0),
        ("secondary", rs2.secondary - 1),
    ):  # fmt: skip
        volumes = rig.open()
        shard = spoil(rig, encoded.blob_id_text, encoded.metadata, axis, index)
        repaired = repair(volumes, deep=True)
        own = rs2.sliver_symbols(axis) * encoded.symbol_size
        assert own == range_bytes([(axis, index)], len(DATA), n_shards)
        assert own <= repaired.bytes_read <= own + overhead
        assert repaired.slivers == 1
        assert repaired.made == ((encoded.blob_id_text, shard, rig.layout.volume_of(shard)),)
        assert repaired.bytes_written == object_size(len(DATA), n_shards)
        assert repaired.bytes_checked == n_shards * object_size(len(DATA), n_shards)
        assert {fault.shard for _, fault in repaired.faults} == {shard}
        assert rig.objects() == before
        volumes.close()
    rig.close()


@pytest.mark.parametrize("n_shards", [10, 100])
@pytest.mark.parametrize("lost", [1, 3])
def test_slivers_whose_symbols_are_not_stored_cost_the_blob_once_for_all(n_shards, lost):
    rig = Rig(layout_of(10, n_shards))
    encoded, objects = objects_of(DATA, n_shards)
    place_objects(rig, encoded.blob_id_text, objects)
    before = rig.objects()
    gone = [rig.layout.volumes[i] for i in range(lost)]
    for volume in gone:
        for found in list(rig.stores[volume.id].list("blobs/")):
            rig.stores[volume.id].delete(found.name)
    repaired = repair(rig.open())
    whole = whole_bytes(len(DATA), n_shards)
    slivers = 2 * sum(len(volume.shards) for volume in gone)
    assert repaired.slivers == slivers
    assert repaired.bytes_read <= whole + prefix_size(n_shards) + FIRST_BYTES
    assert repaired.bytes_read / slivers <= (whole + prefix_size(n_shards) + FIRST_BYTES) / slivers
    assert rig.objects() == before
    rig.close()


def test_which_shards_are_rebuilt_by_ranges_alone_follows_from_their_pair(rig_of):
    rig = rig_of(10)
    encoded, objects = objects_of(DATA, 10)
    rs2 = parameters(10)
    for shard in range(10):
        place_objects(rig, encoded.blob_id_text, objects)
        rig.stores[f"v{shard}"].delete(shard_name(encoded.blob_id_text, shard))
        volumes = rig.open()
        repaired = repair(volumes)
        pair = pair_of_shard(shard, encoded.blob_id, 10)
        targets = [("primary", pair), ("secondary", 9 - pair)]
        cheap = rs2.faults <= pair < rs2.primary
        assert all(by_ranges(target, 10) for target in targets) == cheap
        most = range_bytes(targets, len(DATA), 10) if cheap else whole_bytes(len(DATA), 10)
        assert repaired.bytes_read <= most + prefix_size(10) + FIRST_BYTES
        assert repaired.slivers == 2
        volumes.close()


def test_a_symbol_that_lies_is_found_out_by_the_slivers_root_and_its_volume_named(rig_of):
    rig = rig_of(10)
    encoded, objects = objects_of(DATA, 10)
    rs2 = parameters(10)
    place_objects(rig, encoded.blob_id_text, objects)
    target = holder("primary", rs2.faults, encoded.blob_id, 10)  # both slivers by ranges
    rig.stores[f"v{target}"].delete(shard_name(encoded.blob_id_text, target))
    # The liar holds a secondary sliver that is asked first, and damages all but its size.
    liar = holder("secondary", 0, encoded.blob_id, 10)
    extent = sliver_extent("secondary", len(DATA), 10)
    forged = objects[liar][: extent.start] + bytes(extent.length)
    rig.stores[f"v{liar}"].put(shard_name(encoded.blob_id_text, liar), forged)
    repaired = repair(rig.open())
    assert (encoded.blob_id_text, target, f"v{target}") in repaired.made
    name = shard_name(encoded.blob_id_text, target)
    assert rig.stores[f"v{target}"].get(name) == objects[target]
    assert {(f.volume, f.kind) for _, f in repaired.faults} == {
        (f"v{liar}", "wrong"),
        (f"v{target}", "missing"),
    }
    deep = repair(rig.open(), deep=True)
    assert [shard for _, shard, _ in deep.made] == [liar]
    assert rig.stores[f"v{liar}"].get(shard_name(encoded.blob_id_text, liar)) == objects[liar]


@pytest.mark.parametrize("kind", ["flip", "truncate", "giant", "equivocate", "unavailable", "slow"])
def test_volumes_that_fail_while_others_are_rebuilt_do_not_spoil_what_is_made(rig_of, kind):
    rig = rig_of(10)
    encoded, objects = objects_of(DATA, 10)
    place_objects(rig, encoded.blob_id_text, objects)
    for shard in (0, 1):
        rig.stores[f"v{shard}"].delete(shard_name(encoded.blob_id_text, shard))
    rig.inject("v2", kind, methods={"get"}, after=1)
    for deep in (False, True):
        repair(rig.open(), deep=deep)
        rig.clock.release()
    for shard in (0, 1):
        name = shard_name(encoded.blob_id_text, shard)
        assert rig.stores[f"v{shard}"].get(name) == objects[shard]


def test_more_than_can_be_made_again_is_told_as_lost_and_nothing_is_written(rig_of):
    rig = rig_of(10)
    encoded, objects = objects_of(DATA, 10)
    place_objects(rig, encoded.blob_id_text, {s: objects[s] for s in (0, 1, 2)})
    other = rig.open().put(b"whole").blob_id
    repaired = repair(rig.open())
    assert [blob_id for blob_id, _ in repaired.lost] == [encoded.blob_id_text]
    assert "shard 9 on volume v9 is missing" in repaired.lost[0][1]
    assert repaired.made == ()
    assert rig.open().get(other) == b"whole"


def test_what_lies_on_volumes_that_are_away_is_unfinished_and_not_lost(rig_of):
    rig = rig_of(10)
    blob_id = rig.open().put(DATA).blob_id
    for volume in ("v0", "v1", "v2", "v3", "v4", "v5"):
        rig.inject(volume, "unavailable")
    rig.stores["v6"].delete(shard_name(blob_id, 6))
    repaired = repair(rig.open())
    assert [found for found, _ in repaired.unfinished] == [blob_id]
    assert repaired.lost == ()
    assert [volume for volume, _ in repaired.unreached] == [f"v{i}" for i in range(6)]
    rig.heal()
    assert [shard for _, shard, _ in repair(rig.open()).made] == [6]
    for volume in rig.stores:
        rig.inject(volume, "unavailable")
    with pytest.raises(StoreUnavailableError):
        repair(rig.open())


def test_nothing_is_made_for_a_volume_that_is_away(rig_of):
    rig = rig_of(10)
    blob_id = rig.open().put(DATA).blob_id
    rig.stores["v6"].delete(shard_name(blob_id, 6))
    rig.inject("v0", "unavailable")
    repaired = repair(rig.open())
    assert repaired.made == ((blob_id, 6, "v6"),)
    assert repaired.slivers == 2
    assert repaired.unfinished == ()
    assert repair(rig.open()).bytes_read == 0


def test_a_volume_that_takes_nothing_leaves_the_blob_unfinished(rig_of):
    rig = rig_of(10)
    blob_id = rig.open().put(DATA).blob_id
    for shard in (3, 4):
        rig.stores[f"v{shard}"].delete(shard_name(blob_id, shard))
    rig.inject("v3", "refused", methods={"put"})
    repaired = repair(rig.open())
    assert [shard for _, shard, _ in repaired.made] == [4]
    assert "volume v3" in dict(repaired.unfinished)[blob_id]
    rig.heal()
    assert [shard for _, shard, _ in repair(rig.open()).made] == [3]


def test_a_writer_who_lied_is_told_and_nothing_is_made_of_it(rig_of):
    rig = rig_of(10)
    good, other = encode(DATA, 10), encode(DATA[::-1], 10)
    # Authentic slivers of no one blob: rows of one, columns of another, under a common ID.
    mixed = Metadata(
        10,
        len(DATA),
        tuple(
            (a, b)
            for (a, _), (_, b) in zip(good.metadata.hashes, other.metadata.hashes, strict=True)
        ),
    )
    blob_id = mixed.blob_id_text
    for shard in range(1, 10):
        pair = pair_of_shard(shard, mixed.blob_id, 10)
        data = encode_object(mixed, shard, good.primary(pair), other.secondary(9 - pair))
        rig.stores[f"v{shard}"].put(shard_name(blob_id, shard), data)
    repaired = repair(rig.open())
    assert repaired.made == ()
    assert [found for found, _ in repaired.lost] == [blob_id]


def test_blobs_that_a_liar_invents_are_told_and_the_others_repaired(rig_of):
    rig = rig_of(5)
    blob_id = rig.open().put(DATA).blob_id
    invented = objects_of(b"never kept", 10)[0].blob_id_text
    rig.stores["v0"].put(shard_name(invented, 0), b"nonsense")
    rig.stores["v1"].delete(shard_name(blob_id, 1))
    repaired = repair(rig.open(), deep=True)
    assert [found for found, _ in repaired.lost] == [invented]
    assert repaired.made == ((blob_id, 1, "v1"),)


def test_a_repair_tells_how_far_it_is(rig_of):
    rig = rig_of(5)
    ids = sorted(rig.open().put(b"%d" % i).blob_id for i in range(4))
    rig.wipe("v2")
    told = []
    volumes = rig.open()
    volumes.adopt("v2")
    repair(volumes, progress=told.append)
    assert [(p.done, p.total, p.blob_id, p.made) for p in told] == [
        (number, 4, blob_id, 2) for number, blob_id in enumerate(ids, 1)
    ]
