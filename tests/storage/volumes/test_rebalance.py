"""From one layout to the next: everything is where it belongs, and nothing was in danger."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from storage.volumes.parts import Rig, layout_of

from haulout.errors import ConflictError, InputError, StoreUnavailableError
from haulout.storage.backend import Backend
from haulout.storage.memory import MemoryBackend
from haulout.storage.volumes.layout import Layout, Place, encode_layout, moves, plan
from haulout.storage.volumes.marker import decode_marker
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.rebalance import find_layout, rebalance
from haulout.storage.volumes.repair import repair

BLOBS = [random.Random(n).randbytes(n) for n in (0, 1, 300, 9_000)]


def next_layout(layout: Layout, names: list[str]) -> Layout:
    return plan(layout.n_shards, [Place(name, f"memory:{name}") for name in names], layout)


def filled(rig: Rig) -> list[str]:
    volumes = rig.open()
    volumes.publish_layout()
    volumes.publish_head("memory", b"head", None)
    return [volumes.put(data).blob_id for data in BLOBS]


def held(store: Backend) -> set[str]:
    return {found.name for found in store.list("blobs/")}


CHANGES = [
    (3, ["v0", "v1", "v2", "v3"]),
    (4, ["v0", "v1", "v2", "v3", "v4"]),
    (5, ["v0", "v1", "v2", "v4"]),
    (1, ["v0", "v1", "v2"]),
    (3, ["w0", "w1", "w2", "w3", "w4"]),
    (4, ["v3"]),
]


@pytest.mark.parametrize(("before", "names"), CHANGES)
def test_afterwards_every_object_is_at_its_new_home_and_nowhere_else(rig_of, before, names):
    rig = rig_of(before)
    ids, old = filled(rig), rig.open()
    after = next_layout(rig.layout, names)
    new = rig.open(after)
    rig.forget_calls()
    published = []
    done = rebalance(old, new, publish=published.append)
    assert published == [after]
    assert done.copied == done.removed == len(ids) * len(moves(rig.layout, after))
    assert (done.rebuilt, done.incomplete, done.unreached, done.faults) == (0, (), (), ())
    for volume in after.volumes:
        expected = {shard_name(blob_id, shard) for blob_id in ids for shard in volume.shards}
        assert held(rig.stores[volume.id]) == expected
        marker = decode_marker(rig.stores[volume.id].get("volume"))
        assert (marker.volume, marker.generation) == (volume.id, 2)
    for volume in set(rig.stores) - set(names):
        assert list(rig.stores[volume].list()) == []  # what left the set is empty
    assert [new.get(blob_id) for blob_id in ids] == BLOBS
    assert {copy.data for copy in new.read_heads("memory")} == {b"head"}
    new.publish_head("memory", b"next", b"head")
    assert find_layout(rig.stores.values()) == after
    assert repair(new).made == ()


def test_only_what_moves_is_read_and_written(rig_of):
    rig = rig_of(4)
    ids, old = filled(rig), rig.open()
    after = next_layout(rig.layout, ["v0", "v1", "v2", "v3", "v4"])
    moved = {(shard, to) for shard, _, to in moves(rig.layout, after)}
    rig.forget_calls()
    rebalance(old, rig.open(after))
    assert len(moved) == 2
    assert {name for _, name in rig.asked("put") if name.startswith("blobs/")} == {
        shard_name(blob_id, shard) for blob_id in ids for shard, _ in moved
    }


def test_the_old_set_writes_no_more_and_says_why(rig_of):
    rig = rig_of(4)
    filled(rig)
    old, stale = rig.open(), rig.open()
    rebalance(old, rig.open(next_layout(rig.layout, ["v0", "v1", "v2", "v3", "v4"])))
    with pytest.raises(ConflictError, match="newer layout"):
        stale.put(b"written by one who does not know")
    with pytest.raises(ConflictError, match="newer layout"):
        stale.publish_head("memory", b"next", b"head")


class Before:
    """A backend before whose first swap of the layout somebody else acts."""

    def __init__(self, inner: Backend, act: Callable[[], None]) -> None:
        self._inner, self._act = inner, act

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        if name == "heads/layout":
            self._act()
        return self._inner.swap_head(name, data, version)


def test_once_heads_are_carried_over_nobody_publishes_to_the_old_volumes(rig_of):
    rig = rig_of(3)
    filled(rig)
    old, stale = rig.open(), rig.open(seed=9)
    after = next_layout(rig.layout, ["w0", "w1", "w2", "w3"])
    rig.open(after)
    refused = []

    def publish() -> None:
        with pytest.raises(ConflictError, match="newer layout"):
            stale.publish_head("memory", b"late", b"head")
        refused.append(True)

    places = {name: Before(place, publish) for name, place in rig.places.items()}
    new = rig.open(after, backends=places, workers=1)
    rebalance(old, new)
    assert refused
    assert {copy.data for copy in new.read_heads("memory")} == {b"head"}


def test_a_head_that_was_published_under_the_new_layout_is_not_set_back(rig_of):
    rig = rig_of(3)
    filled(rig)
    old = rig.open()
    new = rig.open(next_layout(rig.layout, ["w0", "w1", "w2", "w3"]))

    def fail(layout: Layout) -> None:
        message = f"Layout {layout.generation} could not be noted."
        raise StoreUnavailableError(message)

    with pytest.raises(StoreUnavailableError, match="noted"):
        rebalance(old, new, publish=fail)
    new.publish_head("memory", b"next", b"head")
    rebalance(old, new)
    assert {copy.data for copy in new.read_heads("memory")} == {b"next"}


def test_what_is_lost_at_its_old_home_is_rebuilt_at_the_new_one(rig_of):
    rig = rig_of(5)
    ids, old = filled(rig), rig.open()
    rig.inject("v4", "unavailable")
    after = next_layout(rig.layout, ["v0", "v1", "v2", "v3"])
    done = rebalance(old, rig.open(after))
    assert done.rebuilt == 2 * len(ids)
    assert (done.copied, done.incomplete) == (0, ())
    assert [volume for volume, _ in done.unreached] == ["v4"]
    rig.inject("v0", "unavailable")
    assert [rig.open(after).get(blob_id) for blob_id in ids] == BLOBS


def test_an_object_that_is_damaged_is_rebuilt_and_not_copied(rig_of):
    rig = rig_of(4)
    ids, old = filled(rig), rig.open()
    after = next_layout(rig.layout, ["v0", "v1", "v2", "v3", "v4"])
    shard, was, will = moves(rig.layout, after)[0]
    name = shard_name(ids[3], shard)
    right = rig.stores[was].get(name)
    rig.stores[was].put(name, right[:-1] + bytes([right[-1] ^ 1]))
    done = rebalance(old, rig.open(after))
    assert done.rebuilt == 1
    assert [(blob, f.volume, f.shard, f.kind) for blob, f in done.faults][:1] == [
        (ids[3], was, shard, "wrong")
    ]
    assert rig.stores[will].get(name) == right


def test_nothing_is_published_or_removed_while_a_new_place_does_not_answer(rig_of):
    rig = rig_of(4)
    filled(rig)
    old, before = rig.open(), rig.objects()
    after = next_layout(rig.layout, ["v0", "v1", "v2", "v3", "v4"])
    new = rig.open(after)
    new.adopt("v4")
    published = []
    rig.inject("v4", "unavailable")
    with pytest.raises(StoreUnavailableError):
        rebalance(old, new, publish=published.append)
    rig.heal()
    rig.inject("v4", "refused", methods={"put"}, shard="blobs/")
    with pytest.raises(StoreUnavailableError, match="not whole"):
        rebalance(old, new, publish=published.append)
    assert published == []
    assert rig.objects() == before
    rig.heal()
    assert old.publish_head("memory", b"still", b"head")
    assert rebalance(old, new, publish=published.append).incomplete == ()
    assert published == [after]


def test_what_may_stand_on_a_volume_that_leaves_and_is_away_is_not_left_behind_unasked(rig_of):
    rig = rig_of(3)  # 4, 3 and 3 shards
    ids, old = filled(rig), rig.open()
    for volume in ("v1", "v2"):
        store = rig.stores[volume]
        for name in sorted(found.name for found in store.list("blobs/"))[::2]:
            store.delete(name)
    rig.inject("v0", "unavailable")
    new = rig.open(next_layout(rig.layout, ["v1", "v2", "v3"]))
    with pytest.raises(StoreUnavailableError, match="v0"):
        rebalance(old, new)
    rig.heal()
    assert rebalance(old, new).incomplete == ()
    assert [new.get(blob_id) for blob_id in ids] == BLOBS


def test_giving_up_on_a_volume_that_is_gone_goes_on_with_what_is_left(rig_of):
    rig = rig_of(2)
    ids, old = filled(rig), rig.open()
    broken = rig.layout.volumes[0].shards
    for shard in broken[:3]:
        rig.stores["v0"].delete(shard_name(ids[0], shard))
    for shard in rig.layout.volumes[1].shards[:3]:
        rig.stores["v1"].delete(shard_name(ids[0], shard))
    rig.inject("v0", "unavailable", shard="blobs/", methods={"get", "list"})
    new = rig.open(next_layout(rig.layout, ["v1", "v2"]))
    with pytest.raises(StoreUnavailableError):
        rebalance(old, new)
    done = rebalance(old, new, give_up=True)
    assert [blob_id for blob_id, _ in done.incomplete] == [ids[0]]
    assert [new.get(blob_id) for blob_id in ids[1:]] == BLOBS[1:]


def test_what_was_written_meanwhile_moves_too_and_stays_where_it_is_until_it_did(rig_of):
    rig = rig_of(4)
    filled(rig)
    old = rig.open()
    after = next_layout(rig.layout, ["v0", "v1", "v2", "v3", "v4"])
    new, late = rig.open(after), []

    def publish(layout: Layout) -> None:
        if not late:
            late.append(old.put(b"written between publishing and fencing").blob_id)
            rig.inject("v4", "refused", methods={"put"}, shard="blobs/")

    done = rebalance(old, new, publish=publish)
    assert [blob_id for blob_id, _ in done.incomplete] == late
    shards = {
        name.rpartition("/")[2] for _, name in rig.objects() if shard_name(late[0], 0)[:-1] in name
    }
    assert shards == set("0123456789")
    rig.heal()
    assert rebalance(old, new, publish=publish).incomplete == ()
    assert repair(new).made == ()
    for volume in after.volumes:
        assert held(rig.stores[volume.id]) >= {shard_name(late[0], s) for s in volume.shards}


def test_a_foreign_place_is_not_taken_into_a_set(rig_of):
    rig = rig_of(4)
    filled(rig)
    after = next_layout(rig.layout, ["v0", "v1", "v2", "v3", "v4"])
    new = rig.open(after)
    rig.stores["v4"].put("photos", b"of somebody")
    with pytest.raises(ConflictError, match="v4"):
        rebalance(rig.open(), new)
    assert {found.name for found in rig.stores["v4"].list()} == {"photos"}


def test_only_the_next_layout_of_the_same_set_follows(rig_of):
    rig = rig_of(3)
    same = rig.open()
    for other in (rig.layout, layout_of(3, 13)):
        with pytest.raises(InputError):
            rebalance(same, Rig(other, adopted=False).open())
    skipped = next_layout(next_layout(rig.layout, ["v0"]), ["v0", "v1"])
    with pytest.raises(InputError):
        rebalance(same, rig.open(skipped))


def test_a_layout_is_found_again_from_any_place_of_the_set(rig_of):
    rig = rig_of(5)
    filled(rig)
    for store in rig.stores.values():
        assert find_layout([MemoryBackend(), store]) == rig.layout
    rig.stores["v0"].put("heads/layout", b"nonsense")
    rig.inject("v1", "unavailable")
    assert find_layout(rig.places.values()) == rig.layout
    assert find_layout([MemoryBackend()]) is None
    assert len(encode_layout(rig.layout)) < 600
