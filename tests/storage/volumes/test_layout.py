"""Layouts: planned evenly with few moves, one form, and honest about what they survive and cost."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage.volumes.parts import SET_ID, layout_of, objects_of

from haulout.errors import InputError, WrongBytesError
from haulout.redstuff import parameters
from haulout.storage.volumes.explanation import MIB, SMALL_BLOB, explain
from haulout.storage.volumes.layout import (
    Layout,
    Place,
    Volume,
    decode_layout,
    encode_layout,
    moves,
    plan,
)
from haulout.storage.volumes.quorum import head_quorum, write_quorum


def places(names: list[str]) -> list[Place]:
    return [Place(name, f"file:///{name}") for name in names]


names = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=10, unique=True)


@given(n_shards=st.integers(10, 40), before=names, after=names)
@settings(max_examples=150, deadline=None)
def test_a_plan_is_even_and_moves_as_few_shards_as_any_even_placement(n_shards, before, after):
    old = plan(n_shards, places(before), set_id=SET_ID)
    new = plan(n_shards, places(after), old)
    weights = sorted(new.weights().values())
    assert sum(weights) == n_shards
    assert weights[-1] - weights[0] <= 1
    # The fewest moves of an even placement: what each volume can keep, larger shares given best.
    share, larger = divmod(n_shards, len(after))
    had = sorted((len(dict.fromkeys(v.shards)) for v in old.volumes if v.id in after), reverse=True)
    had += [0] * (len(after) - len(had))
    most_kept = max(
        sum(min(h, share + (i in chosen)) for i, h in enumerate(had))
        for chosen in combinations(range(len(after)), larger)
    )
    assert len(moves(old, new)) == n_shards - most_kept
    assert (new.generation, new.set_id) == (2, old.set_id)
    assert plan(n_shards, places(after), new).volumes == new.volumes


def test_neighbouring_shards_of_a_new_set_stand_on_different_volumes():
    homes = layout_of(5).homes()
    assert all(a != b for a, b in pairwise(homes))


@pytest.mark.parametrize(
    ("n_shards", "wanted", "with_id"),
    [(3, "a", True), (1001, "a", True), (10, "", True), (4, "abcde", True), (10, "aa", True),
     (10, "A", True), (10, "a", False)],
)  # fmt: skip
def test_what_cannot_be_placed_is_refused(n_shards, wanted, with_id):
    with pytest.raises(InputError):
        plan(n_shards, places(list(wanted)), set_id=SET_ID if with_id else None)


def test_a_set_keeps_its_number_of_shards_and_its_id():
    old = layout_of(3)
    with pytest.raises(InputError, match="cannot change"):
        plan(13, places(["v0"]), old)
    with pytest.raises(InputError):
        plan(10, places(["v0"]), old, set_id=SET_ID)


def test_a_layout_has_one_text():
    layout = layout_of(3)
    data = encode_layout(layout)
    assert decode_layout(data) == layout
    for other in (
        data + b" ", b" " + data, data.replace(b":1", b":1.0", 1),
        data.replace(b'"v0"', b'"\\u00760"'),
        data.replace(b'"generation":1,', b""), data[:-1] + b',"more":1}', b"[]", b"", b"\xff",
        data.replace(b"[0,3,6,9]", b"[0,3,6]"), data.replace(b"[0,3,6,9]", b"[3,0,6,9]"),
        data.replace(b"[0,3,6,9]", b"[0,3,6,9,9]"), data.replace(b'"v1"', b'"v0"'),
        data.replace(b'"format":1', b'"format":2'),
        data.replace(b'"n_shards":10', b'"n_shards":11'),
        data.replace(b"memory:1", b"memory:0"), data.replace(b"memory:1", b""),
        data.replace(SET_ID.encode(), SET_ID.upper().encode()),
        data.replace(b'"generation":1', b'"generation":0'),
    ):  # fmt: skip
        with pytest.raises(WrongBytesError):
            decode_layout(other)


def test_no_layout_is_longer_than_the_most_that_is_read():
    volumes = tuple(Volume(f"{i:064}", f"{i:02000}", (i,)) for i in range(1000))
    assert decode_layout(encode_layout(Layout(1, SET_ID, 2**32 - 1, 1000, volumes))).volumes


def test_the_cost_is_the_bytes_that_a_blob_really_takes():
    draw = random.Random(3)
    for n_shards in (4, 10, 31):
        told = explain(layout_of(4, n_shards))
        small = objects_of(draw.randbytes(SMALL_BLOB), n_shards)[1]
        assert told.bytes_per_small_blob == sum(map(len, small.values()))
        if n_shards == 10:
            large = objects_of(draw.randbytes(MIB), n_shards)[1]
            assert told.bytes_per_mib == sum(map(len, large.values()))
            assert 3.93 < told.factor < 3.94
            assert 28 < told.small_factor < 29


def test_the_figures_of_ten_shards_are_those_of_red_stuff():
    told = explain(layout_of(5))
    assert (told.any_volumes_lost, told.shards_lost, told.shards_lost_after_write) == (3, 6, 3)
    assert told.writable_without == told.heads_without == tuple(f"v{i}" for i in range(5))
    told = explain(layout_of(3))
    assert (told.any_volumes_lost, told.writable_without) == (1, ())
    assert told.largest_losses == (("v0",), ("v1", "v2"))
    assert told.heads_without == ("v1", "v2")
    assert explain(layout_of(100, 100)).largest_losses == ()
    assert explain(layout_of(100, 100)).any_volumes_lost == 66


def test_warnings_say_what_a_layout_does_not_survive():
    assert "one volume only" in " ".join(explain(layout_of(1)).warnings)
    assert explain(layout_of(1)).fatal_volumes == ("v0",)
    folders = plan(10, places(["a", "b", "c"]), set_id=SET_ID)
    assert any("this machine" in warning for warning in explain(folders).warnings)
    shared = explain(folders, {"a": "disk 1", "b": "disk 2", "c": "disk 1"}).warnings
    assert any("a, c" in warning and "disk 1" in warning for warning in shared)
    buckets = plan(10, [Place("a", "s3://one/x"), Place("b", "s3://one/y"),
                        Place("c", "gs://two/x")], set_id=SET_ID)  # fmt: skip
    assert [w for w in explain(buckets).warnings if "a, b" in w and "s3://one" in w]
    apart = [Place("a", "s3://one/x"), Place("b", "gs://two"), Place("c", "file:///c")]
    assert explain(plan(10, apart, set_id=SET_ID)).warnings == ()
    lopsided = Layout(1, SET_ID, 1, 10, (
        Volume("a", "s3://a", tuple(range(8))), Volume("b", "s3://b", (8, 9))))  # fmt: skip
    assert any("with volume a alone" in w for w in explain(lopsided).warnings)


def test_the_write_quorum_leaves_the_blob_readable_after_any_loss_it_stands_for():
    for n_shards, n_volumes in (
        (10, 1),
        (10, 2),
        (10, 3),
        (10, 4),
        (10, 5),
        (7, 3),
        (5, 4),
        (9, 4),
    ):
        layout, rs2 = layout_of(n_volumes, n_shards), parameters(n_shards)
        shards = range(n_shards)
        for count in range(n_shards + 1):
            for durable in combinations(shards, count):
                after_f = count - rs2.faults >= rs2.primary
                one_volume = all(
                    len(set(durable) - set(volume.shards)) >= rs2.primary
                    for volume in layout.volumes
                    if n_shards - len(volume.shards) >= rs2.primary
                )
                assert write_quorum(layout, durable) == (after_f and one_volume)
        if n_volumes >= 4 and n_shards == 10:
            assert all(write_quorum(layout, set(shards) - set(v.shards)) for v in layout.volumes)


def test_no_loss_that_leaves_blobs_readable_takes_every_copy_of_an_acknowledged_head():
    for n_shards, n_volumes in ((10, 2), (10, 3), (10, 5), (7, 4), (13, 6)):
        layout, weights = layout_of(n_volumes, n_shards), layout_of(n_volumes, n_shards).weights()
        sets = [set(c) for k in range(n_volumes + 1) for c in combinations(weights, k)]
        for quorum in (found for found in sets if head_quorum(layout, found)):
            assert 2 * len(quorum) > n_volumes
            for lost in sets:
                if n_shards - sum(weights[v] for v in lost) >= parameters(n_shards).primary:
                    assert quorum - lost


def test_one_heavy_volume_is_no_quorum_for_heads_by_itself():
    lopsided = Layout(1, SET_ID, 1, 10, (
        Volume("a", "s3://a", tuple(range(8))), Volume("b", "s3://b", (8, 9))))  # fmt: skip
    assert not head_quorum(lopsided, {"a"})
    assert head_quorum(lopsided, {"a", "b"})
