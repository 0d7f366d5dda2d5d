"""Which shards suffice: every subset of them, decoded plainly and read through a set."""

from __future__ import annotations

import random
from itertools import chain, combinations

import pytest
from storage.volumes.parts import objects_of, place_objects

from haulout.errors import BlobMissingError, TooFewSliversError
from haulout.redstuff import decode, parameters
from haulout.storage.volumes.explanation import explain, survives
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.shardfile import decode_object, prefix_size

DATA = random.Random(1).randbytes(1000)
N = 10
RS2 = parameters(N)
SUBSETS = list(chain.from_iterable(combinations(range(N), k) for k in range(N + 1)))


@pytest.fixture(scope="module")
def parts():
    encoded, objects = objects_of(DATA, N)
    pieces = [decode_object(objects[s], encoded.blob_id_text, N, s) for s in range(N)]
    return encoded, objects, pieces


@pytest.mark.parametrize(("which", "enough"), [(1, RS2.primary), (2, RS2.secondary)])
def test_every_subset_of_enough_slivers_decodes_and_no_smaller_one_does(parts, which, enough):
    encoded, _, pieces = parts
    for subset in SUBSETS:
        slivers = [pieces[shard][which] for shard in subset]
        if len(subset) >= enough:
            assert decode(encoded.metadata, slivers) == DATA
        else:
            with pytest.raises(TooFewSliversError):
                decode(encoded.metadata, slivers)


@pytest.mark.parametrize("n_volumes", [10, 3])
def test_every_subset_of_p_shards_reads_and_every_smaller_one_says_what_is_gone(
    rig_of, parts, n_volumes
):
    encoded, objects, _ = parts
    rig = rig_of(n_volumes)
    homes, volumes = rig.layout.homes(), rig.open()
    for number, subset in enumerate(SUBSETS[:: 1 if n_volumes == 10 else 5]):
        for volume in rig.stores:
            for found in list(rig.stores[volume].list("blobs/")):
                rig.stores[volume].delete(found.name)
        place_objects(rig, encoded.blob_id_text, {s: objects[s] for s in subset})
        if number % 4 == 0:  # forget the metadata that were verified before
            volumes.close()
            volumes = rig.open()
        if len(subset) >= RS2.primary:
            assert volumes.get(encoded.blob_id_text) == DATA
        else:
            with pytest.raises(TooFewSliversError if subset else BlobMissingError) as raised:
                volumes.get(encoded.blob_id_text)
            for shard in set(range(N)) - set(subset) if subset else ():
                assert f"shard {shard} on volume {homes[shard]} is missing" in str(raised.value)


def test_secondary_slivers_are_used_where_primary_ones_do_not_suffice(rig_of, parts):
    encoded, objects, _ = parts
    rig, start = rig_of(10), prefix_size(N)
    row = RS2.secondary * encoded.symbol_size
    for damaged in ((0, 1, 2, 3, 4, 5, 6), tuple(range(10))):
        bad = {
            s: o[:start] + bytes(row) + o[start + row :] if s in damaged else o
            for s, o in objects.items()
        }
        place_objects(rig, encoded.blob_id_text, bad)
        read = rig.open().read(encoded.blob_id_text)
        assert read.data == DATA
        assert {(fault.shard, fault.kind) for fault in read.faults} >= {
            (s, "wrong") for s in damaged[:7]
        }


def test_too_few_of_either_kind_is_an_error_though_together_they_are_many(rig_of, parts):
    encoded, objects, _ = parts
    rig, start = rig_of(10), prefix_size(N)
    row = RS2.secondary * encoded.symbol_size
    bad = {  # primary slivers of shards 0-2 and secondary ones of 3-8 are well
        s: o[:start] + o[start : start + row] + bytes(len(o) - start - row)
        if s < 3
        else o[:start] + bytes(row) + o[start + row :]
        for s, o in objects.items()
        if s < 9
    }
    place_objects(rig, encoded.blob_id_text, bad)
    with pytest.raises(TooFewSliversError, match="3 were found"):
        rig.open().get(encoded.blob_id_text)


@pytest.mark.parametrize("n_volumes", [1, 2, 3, 4, 5, 7, 10])
def test_what_a_layout_claims_to_survive_is_what_it_survives(rig_of, parts, n_volumes):
    encoded, objects, _ = parts
    rig = rig_of(n_volumes)
    names = [volume.id for volume in rig.layout.volumes]
    place_objects(rig, encoded.blob_id_text, objects)
    told = explain(rig.layout)
    lost_sets = chain.from_iterable(combinations(names, k) for k in range(1, n_volumes + 1))
    outcomes = {}
    for lost in lost_sets if n_volumes < 10 else combinations(names, 6):
        rig.heal()
        for volume in lost:
            rig.inject(volume, "lose", shard="blobs/")
        volumes = rig.open()
        try:
            outcomes[lost] = volumes.get(encoded.blob_id_text) == DATA
        except (TooFewSliversError, BlobMissingError):
            outcomes[lost] = False
        volumes.close()
        assert outcomes[lost] == survives(rig.layout, lost)
    if n_volumes < 10:
        assert {lost for lost, well in outcomes.items() if well} == {
            lost
            for k in range(1, n_volumes + 1)
            for lost in combinations(names, k)
            if any(set(lost) <= set(largest) for largest in told.largest_losses)
        }
        sizes = {k: all(w for lost, w in outcomes.items() if len(lost) == k) for k in range(1, 11)}
        assert told.any_volumes_lost == max(
            [k for k, v in sizes.items() if v and k <= n_volumes], default=0
        )
        assert set(told.fatal_volumes) == {
            lost[0] for lost, w in outcomes.items() if len(lost) == 1 and not w
        }


def test_a_name_tells_shard_from_shard(parts):
    encoded, _, _ = parts
    assert len({shard_name(encoded.blob_id_text, s) for s in range(N)}) == N
