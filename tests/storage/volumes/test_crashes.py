"""The process dies at every call it makes of its volumes, before it is carried out and after.

What was acknowledged is still there, nothing is half there, and the next run heals the rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from storage.volumes.parts import Fuse, Rig, layout_of, objects_of
from storage.volumes.test_rebalance import next_layout

from haulout.errors import ConflictError, StoreUnavailableError
from haulout.storage.volumes.headstate import decode_state
from haulout.storage.volumes.layout import decode_layout
from haulout.storage.volumes.naming import parse_shard_name
from haulout.storage.volumes.rebalance import find_layout, rebalance
from haulout.storage.volumes.repair import repair
from haulout.testing.faulty import SimulatedCrash

OLD = random.Random(1).randbytes(500)
NEW = random.Random(2).randbytes(900)
RIGHT = {data: objects_of(data, 10) for data in (OLD, NEW)}
MOST_CALLS = 2000


def prepared(n_volumes: int) -> Rig:
    rig = Rig(layout_of(n_volumes))
    volumes = rig.open()
    volumes.put(OLD)
    volumes.publish_layout()
    volumes.publish_head("memory", b"1", None)
    return rig


def deaths(
    prepare: Callable[[], Rig], act: Callable[[Rig, dict, list], None], step: int = 1
) -> Iterator[tuple[Rig, list, int]]:
    """Run ``act`` once for each ``step``-th call it makes and each side of it, dying there.

    Yields the rig as the death left it, what ``act`` noted as acknowledged, and which call.
    """
    for done in (False, True):
        for at in range(1 + (step // 2 if done else 0), MOST_CALLS, step):
            rig, acknowledged = prepare(), []
            fuse = Fuse(at)
            with suppress(SimulatedCrash):
                act(rig, rig.mortal(fuse, done=done), acknowledged)
            died = fuse.blown
            if died:
                yield rig, acknowledged, at
            rig.close()
            if not died:
                assert at > 5, "it hardly called anything"
                break
        else:
            pytest.fail("it never ended")


def assert_no_half_object(rig: Rig) -> None:
    known = {e.blob_id_text: objects for e, objects in RIGHT.values()}
    for (_, name), data in rig.objects().items():
        blob_id, shard = parse_shard_name(name, 10)
        assert data == known[blob_id][shard]


def test_a_put_may_die_anywhere():
    acknowledged_deaths = 0

    def act(rig, backends, acknowledged):
        rig.open(backends=backends, workers=1).put(NEW)
        acknowledged.append(True)

    for rig, acknowledged, _ in deaths(lambda: prepared(4), act):
        assert_no_half_object(rig)
        volumes = rig.open()
        assert volumes.get(RIGHT[OLD][0].blob_id_text) == OLD
        if acknowledged:
            acknowledged_deaths += 1
            assert volumes.get(RIGHT[NEW][0].blob_id_text) == NEW
        stored = volumes.put(NEW)
        assert stored.missing == ()
        assert repair(volumes, deep=True).made == ()
    assert acknowledged_deaths == 0  # with every volume well, put waits for all of them


def test_a_repair_may_die_anywhere():
    def prepare():
        rig = prepared(4)
        rig.wipe("v1")
        rig.open().adopt("v1")
        return rig

    def act(rig, backends, _):
        repair(rig.open(backends=backends, workers=1))

    for rig, _, _ in deaths(prepare, act):
        assert_no_half_object(rig)
        volumes = rig.open()
        assert volumes.get(RIGHT[OLD][0].blob_id_text) == OLD
        repaired = repair(volumes)
        assert repaired.lost == repaired.unfinished == ()
        assert repair(volumes, deep=True).made == ()
        heads = {decode_state(head.data).data for head in rig.heads("memory").values()}
        assert heads == {b"1"}


def test_a_publisher_may_die_anywhere():
    outcomes = set()

    def act(rig, backends, acknowledged):
        volumes = rig.open(backends=backends, workers=1)
        volumes.publish_head("memory", b"2", b"1")
        acknowledged.append(b"2")

    for rig, acknowledged, _ in deaths(lambda: prepared(4), act):
        volumes = rig.open(seed=1)
        try:
            volumes.publish_head("memory", b"3", b"1")
            outcomes.add("old stood")
            assert not acknowledged
        except ConflictError:  # then the new head stood, and can be followed
            outcomes.add("new stood")
            volumes.publish_head("memory", b"3", b"2")
        assert {copy.data for copy in volumes.read_heads("memory")} == {b"3"}
    assert outcomes == {"old stood", "new stood"}


def test_a_publisher_that_comes_back_publishes_the_same_again():
    def act(rig, backends, _):
        rig.open(backends=backends, workers=1).publish_head("memory", b"2", b"1")

    for rig, _, _ in deaths(lambda: prepared(4), act):
        volumes = rig.open(seed=1)
        volumes.publish_head("memory", b"2", b"1")
        assert {copy.data for copy in volumes.read_heads("memory")} == {b"2"}


CHANGES = [
    (4, ["v0", "v1", "v2", "v3", "v4"]),
    (4, ["v0", "v1", "v2"]),
    (1, ["w0", "w1", "w2", "w3"]),
]


class Between:
    """A backend before whose k-th call, counted over a set, somebody else acts."""

    def __init__(self, inner, counter: list[int], at: int, act: Callable[[], None]) -> None:
        self._inner, self._counter, self._at, self._act = inner, counter, at, act

    def __getattr__(self, name: str):
        method = getattr(self._inner, name)
        if not callable(method):
            return method

        def call(*arguments):
            self._counter[0] += 1
            if self._counter[0] == self._at:
                self._act()
            return method(*arguments)

        return call


@pytest.mark.parametrize("rival_dies", [False, True])
def test_of_a_publisher_and_a_rival_that_comes_between_any_two_calls_one_wins(rival_dies):
    draw, winners, at, came = random.Random(rival_dies), set(), 0, True
    while came:
        at += 1
        rig, acknowledged, counter = prepared(5), [], [0]

        def rival(rig=rig, acknowledged=acknowledged) -> None:
            fuse = Fuse(draw.randrange(1, 60) if rival_dies else None)
            volumes = rig.open(backends=rig.mortal(fuse, done=draw.random() < 0.5), seed=1)
            with suppress(SimulatedCrash, ConflictError, StoreUnavailableError):
                volumes.publish_head("memory", b"rival", b"1")
                acknowledged.append(b"rival")

        places = {v: Between(p, counter, at, rival) for v, p in rig.places.items()}
        with suppress(ConflictError, StoreUnavailableError):
            rig.open(backends=places, workers=1, seed=2).publish_head("memory", b"mine", b"1")
            acknowledged.append(b"mine")
        came = counter[0] >= at
        assert len(acknowledged) <= 1, at
        winners.update(acknowledged)
        stands = []
        for believed in (b"1", b"mine", b"rival"):  # exactly one of them can be followed
            with suppress(ConflictError):
                rig.open(seed=3).publish_head("memory", b"next", believed)
                stands.append(believed)
                break
        assert stands
        assert not acknowledged or stands == acknowledged, (at, stands, acknowledged)
        rig.close()
    assert at > 20
    assert winners == {b"mine", b"rival"}


@pytest.mark.parametrize(("before", "names"), CHANGES)
def test_a_rebalance_may_die_at_many_calls(before, names):
    die_while_rebalancing(before, names, step=9)


@pytest.mark.full
@pytest.mark.parametrize(("before", "names"), CHANGES)
def test_a_rebalance_may_die_anywhere(before, names):
    die_while_rebalancing(before, names, step=1)


def die_while_rebalancing(before: int, names: list[str], step: int) -> None:
    sides = set()

    def act(rig, backends, _):
        after = next_layout(rig.layout, names)
        rig.open(after)  # makes the places of the new layout
        mortal = rig.mortal(backends["v0"]._fuse, done=backends["v0"]._done)
        old = rig.open(backends=mortal, workers=1)
        rebalance(old, rig.open(after, backends=mortal, workers=1))

    blob_id = RIGHT[OLD][0].blob_id_text
    for rig, _, at in deaths(lambda: prepared(before), act, step):
        assert_no_half_object(rig)
        after = next_layout(rig.layout, names)
        found = find_layout(rig.stores.values())
        sides.add(found.generation)
        reader = rig.open(found)
        assert reader.get(blob_id) == OLD, at
        assert {copy.data for copy in reader.read_heads("memory")} == {b"1"}, at
        old, new = rig.open(), rig.open(after)
        rebalance(old, new)
        assert new.get(blob_id) == OLD
        new.publish_head("memory", b"2", b"1")
        assert repair(new, deep=True).made == ()
        assert find_layout(rig.stores.values()) == after
        for volume in new.layout.volumes:
            shards = {parse_shard_name(f.name, 10)[1] for f in rig.stores[volume.id].list("blobs/")}
            assert shards == set(volume.shards)
        assert decode_layout(new.read_heads("layout")[0].data) == after
    assert sides == {1, 2}


def test_a_delete_may_die_anywhere_and_is_done_by_the_next():
    blob_id = RIGHT[OLD][0].blob_id_text

    def act(rig, backends, _):
        rig.open(backends=backends, workers=1).delete(blob_id)

    for rig, _, _ in deaths(lambda: prepared(4), act):
        assert_no_half_object(rig)
        assert rig.open().delete(blob_id).unreached == ()
        assert rig.objects() == {}
