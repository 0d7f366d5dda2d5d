"""Random patterns of shards that lie, are stale, slow, missing, cut short or tell two things.

With up to f of them the bytes come back right and each liar that was heard is named; with more they
come back right or not at all. A seed is a pattern.
"""

from __future__ import annotations

import random

import pytest
from storage.volumes.parts import Rig, layout_of, objects_of

from haulout.errors import HauloutError
from haulout.redstuff import parameters
from haulout.storage.memory import MemoryBackend
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.repair import repair
from haulout.storage.volumes.shardfile import HEADER_BYTES, prefix_size
from haulout.testing.faulty import Fault, FaultyBackend

N = 10
RS2 = parameters(N)
LAYOUTS = {n: layout_of(n) for n in (10, 5, 3)}
BLOBS = {size: objects_of(random.Random(size).randbytes(size), N) for size in (0, 300, 20_000)}
DATA = {size: random.Random(size).randbytes(size) for size in BLOBS}
# Another blob with objects of the same size: of 0 bytes there is one blob only.
OTHERS = {n: objects_of(random.Random(-n - 1).randbytes(n or 1), N)[1] for n in BLOBS}

HEARD_AT_ONCE = ("lie", "forge", "stale", "swap", "missing", "cut", "version")
KINDS = (*HEARD_AT_ONCE, "flip", "giant", "equivocate", "slow", "unavailable", "refused")
SEEDS = 2000


def damaged(  # noqa: PLR0911 - one line a kind reads as the table it is
    kind: str, shard: int, size: int, draw: random.Random
) -> bytes | None:
    """What stands in the place of a shard's object; None where nothing does."""
    right = BLOBS[size][1][shard]
    start = prefix_size(N)
    if kind == "lie":  # the metadata are right, both slivers are not
        return right[:start] + draw.randbytes(len(right) - start)
    if kind == "forge":
        return right[:HEADER_BYTES] + draw.randbytes(len(right) - HEADER_BYTES)
    if kind == "stale":
        return OTHERS[size][shard]
    if kind == "swap":
        return BLOBS[size][1][(shard + draw.randrange(1, N)) % N]
    if kind == "cut":  # within the primary sliver or before it
        return right[: draw.randrange(start + 1)]
    if kind == "version":
        return bytes([draw.randrange(2, 256)]) + right[1:start] + draw.randbytes(len(right) - start)
    if kind == "flip":
        place, bit = draw.randrange(len(right)), 1 << draw.randrange(8)
        return right[:place] + bytes([right[place] ^ bit]) + right[place + 1 :]
    return None if kind == "missing" else right


class Pattern:
    """The faults of one seed, in place."""

    def __init__(self, seed: int, most: int) -> None:
        draw = random.Random(seed)
        self.size = draw.choice(list(BLOBS))
        self.blob_id = BLOBS[self.size][0].blob_id_text
        layout = LAYOUTS[draw.choice(list(LAYOUTS))]
        self.rig = Rig(layout, adopted=False)
        shards = draw.sample(range(N), draw.randint(1, most))
        self.kinds = {shard: draw.choice(KINDS) for shard in shards}
        self.homes = layout.homes()
        opened = self.rig.open()
        for volume in layout.volumes:
            store = self.rig.stores[volume.id] = MemoryBackend(volume.url)
            self.rig.places[volume.id] = FaultyBackend(store, seed=seed)
            store.put("volume", opened.members.marker(volume.id))
        for shard, right in BLOBS[self.size][1].items():
            kind = self.kinds.get(shard, "")
            data = damaged(kind, shard, self.size, draw) if kind else right
            if data is not None:
                self.rig.stores[self.homes[shard]].put(shard_name(self.blob_id, shard), data)
            if kind in {"giant", "equivocate", "slow", "unavailable", "refused"}:
                self.rig.inject(self.homes[shard], kind, shard=shard_name(self.blob_id, shard))

    def heard(self, shard: int) -> bool:
        """Whether a shard's object was read."""
        name = shard_name(self.blob_id, shard)
        return any(call[1] == name for call in self.rig.asked("get"))


@pytest.mark.parametrize("chunk", range(8))
def test_with_up_to_f_faults_the_bytes_are_right_and_whoever_lied_is_named(chunk):
    for seed in range(chunk, SEEDS, 8):
        pattern = Pattern(seed, RS2.faults)
        volumes = pattern.rig.open()
        read = volumes.read(pattern.blob_id)
        assert read.data == DATA[pattern.size], seed
        named = {fault.shard for fault in read.faults if fault.kind != "slow"}
        assert named <= set(pattern.kinds), (seed, read.faults)
        if any(fault.kind == "slow" for fault in read.faults):
            assert "slow" in pattern.kinds.values(), seed
        for shard, kind in pattern.kinds.items():
            # Of 20,000 bytes the first range read need not reach what is wrong, and of none the
            # slivers of another shard or blob may be the same zeros.
            tells = pattern.size == 300 or (pattern.size == 0 and kind in {"lie", "missing"})
            if kind in HEARD_AT_ONCE and tells and pattern.heard(shard):
                assert shard in named, (seed, shard, kind, read.faults)
        pattern.rig.close()


def test_with_any_number_of_faults_no_wrong_byte_comes_back():
    outcomes = {"right": 0, "error": 0}
    for seed in range(SEEDS, SEEDS + 250):
        pattern = Pattern(seed, N)
        try:
            assert pattern.rig.open().get(pattern.blob_id) == DATA[pattern.size], seed
            outcomes["right"] += 1
        except HauloutError:
            outcomes["error"] += 1
        pattern.rig.close()
    assert min(outcomes.values()) > 15, outcomes


def test_a_deep_repair_after_any_pattern_leaves_every_object_as_it_was():
    for seed in range(3 * SEEDS, 3 * SEEDS + 30):
        pattern = Pattern(seed, RS2.faults)
        pattern.rig.heal()
        repaired = repair(pattern.rig.open(), deep=True)
        wrong = {s for s, k in pattern.kinds.items() if k in {*HEARD_AT_ONCE, "flip"}}
        assert {shard for blob, shard, _ in repaired.made if blob == pattern.blob_id} == wrong, seed
        right = {
            (pattern.homes[s], shard_name(pattern.blob_id, s)): data
            for s, data in BLOBS[pattern.size][1].items()
        }
        assert pattern.rig.objects() == right, seed
        assert not repair(pattern.rig.open(), deep=True).made
        pattern.rig.close()


def test_the_patterns_hold_every_kind_of_fault_and_every_number_of_them():
    kinds, counts = set(), set()
    for seed in range(300):
        pattern = Pattern(seed, RS2.faults)
        kinds |= set(pattern.kinds.values())
        counts.add(len(pattern.kinds))
        pattern.rig.close()
    assert kinds == set(KINDS)
    assert counts == {1, 2, 3}
    assert Fault("slow").kind == "slow"
