"""Putting, reading, listing and removing blobs: what is acknowledged, asked for and told."""

from __future__ import annotations

import random
import threading
from itertools import combinations

import pytest
from storage.volumes.parts import (
    PATIENCE_S,
    SET_ID,
    Rig,
    layout_of,
    objects_of,
    place_objects,
    threads_of_volumes,
)

from haulout.errors import (
    BlobMissingError,
    ConflictError,
    InputError,
    LimitError,
    StoreUnavailableError,
    TooFewSliversError,
)
from haulout.redstuff import encode, shard_of_pair
from haulout.storage.folder import FolderBackend
from haulout.storage.volumes import writing
from haulout.storage.volumes.explanation import explain
from haulout.storage.volumes.layout import Place, plan
from haulout.storage.volumes.marker import Marker, encode_marker
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.quorum import write_quorum
from haulout.storage.volumes.reading import FIRST_BYTES
from haulout.storage.volumes.repair import repair
from haulout.storage.volumes.rounds import AVOIDED_FOR
from haulout.storage.volumes.shardfile import object_size, prefix_size
from haulout.storage.volumes.status import status
from haulout.storage.volumes.volumeset import VolumeSet

DATA = random.Random(4).randbytes(100_000)
ENCODED, OBJECTS = objects_of(DATA, 10)
BLOB = ENCODED.blob_id_text
ROW = 7 * ENCODED.symbol_size  # bytes of a primary sliver


def systematic(index: int, encoded=ENCODED) -> int:
    """The shard that holds a part of the blob itself."""
    return shard_of_pair(index, encoded.blob_id, 10)


# --- put -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 56, 57, 300, 4096, 200_000])
def test_what_was_put_comes_back_whole_and_in_parts(rig_of, size):
    data = random.Random(size).randbytes(size)
    volumes = rig_of(5).open()
    stored = volumes.put(data)
    assert stored == (stored.blob_id, tuple(range(10)), (), ())
    assert volumes.read(stored.blob_id) == (data, ())
    for start in {0, size // 3, size}:
        for length in {0, (size - start) // 2, size - start}:
            assert volumes.get_range(stored.blob_id, start, length) == data[start : start + length]
    for start, length in ((-1, 1), (0, size + 1), (size, 1), (0, -1)):
        with pytest.raises(InputError):
            volumes.get_range(stored.blob_id, start, length)


def test_the_largest_blob_goes_in_and_one_byte_more_does_not(rig_of):
    volumes = rig_of(5).open()
    with pytest.raises(LimitError):
        volumes.put(bytes(1_834_953))
    with pytest.raises(InputError):
        volumes.get("no blob ID")


@pytest.mark.parametrize("n_volumes", [1, 2, 3, 4, 5, 10])
def test_a_put_is_acknowledged_exactly_when_its_quorum_is_durable(rig_of, n_volumes):
    rig = rig_of(n_volumes)
    names = [volume.id for volume in rig.layout.volumes]
    outcomes = set()
    for count in range(min(n_volumes, 4) + 1):
        for away in list(combinations(names, count))[:8]:
            rig.heal()
            for volume in away:
                rig.inject(volume, "refused", methods={"put"})
            data = repr(away).encode()
            lacking = {s for s, home in enumerate(rig.layout.homes()) if home in away}
            durable = set(range(10)) - lacking
            outcomes.add(write_quorum(rig.layout, durable))
            volumes = rig.open()
            if write_quorum(rig.layout, durable):
                stored = volumes.put(data)
                assert set(stored.durable) == durable
                assert {(s, v) for s, v, _ in stored.missing} == {
                    (s, rig.layout.volume_of(s)) for s in lacking
                }
                assert all("token" in why for *_, why in stored.missing)
            else:
                with pytest.raises(StoreUnavailableError) as raised:
                    volumes.put(data)
                assert all(f"volume {volume}" in str(raised.value) for volume in away)
            volumes.close()
    assert outcomes == {True, False}


def test_after_a_bare_quorum_any_one_volume_may_be_lost(rig_of):
    for n_volumes in (4, 5):
        rig = rig_of(n_volumes)
        assert explain(rig.layout).writable_without == tuple(rig.stores)
        for away in rig.stores:
            data = away.encode()
            rig.inject(away, "unavailable")
            blob_id = rig.open().put(data).blob_id
            for lost in set(rig.stores) - {away}:
                rig.heal()
                rig.inject(away, "lose", shard="blobs/")
                rig.inject(lost, "lose", shard="blobs/")
                assert rig.open().get(blob_id) == data
            rig.heal()


def test_what_stands_is_not_sent_again_unless_asked(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    place_objects(rig, BLOB, {s: OBJECTS[s] for s in (0, 4)} | {7: OBJECTS[7][:-1]})
    rig.forget_calls()
    stored = volumes.put(DATA)
    assert (stored.stood, stored.missing) == ((0, 4), ())
    assert len(rig.asked("put")) == 8
    rig.forget_calls()
    assert volumes.put(DATA).stood == tuple(range(10))
    assert rig.asked("put") == []
    assert volumes.put(DATA, resend=True).stood == ()
    assert len(rig.asked("put")) == 10


def test_an_answer_that_was_lost_is_not_counted_as_durable(rig_of):
    rig = rig_of(10)
    rig.inject("v3", "lost-answer", methods={"put"})
    volumes = rig.open()
    stored = volumes.put(DATA)
    assert [shard for shard, *_ in stored.missing] == [3]
    rig.heal()
    assert volumes.put(DATA).stood == tuple(range(10))


def test_a_slow_volume_does_not_keep_a_put_and_is_not_counted(rig_of):
    rig = rig_of(10)
    volumes = rig.open()
    rig.inject("v2", "slow", methods={"put"})
    rig.inject("v6", "slow")
    stored = volumes.put(DATA)
    assert set(stored.durable) == set(range(10)) - {2, 6}
    assert {why for *_, why in stored.missing} == {"There was no answer in time."}
    assert rig.clock.now() == pytest.approx(1.0, abs=1.01)


def test_a_delete_waits_for_writes_that_are_still_under_way(rig_of, monkeypatch):
    rig = rig_of(10)
    volumes = rig.open()
    rig.inject("v2", "slow", methods={"put"})
    volumes.put(DATA)
    really_wait, waited = writing.wait, []

    def wait(running):  # the slow write goes on once it is waited for
        waited.extend(running)
        rig.clock.release()
        return really_wait(running)

    monkeypatch.setattr(writing, "wait", wait)
    assert volumes.delete(BLOB).unreached == ()
    assert len(waited) == 1
    assert waited[0].done()
    assert rig.objects() == {}


# --- reading -------------------------------------------------------------------------------


def test_a_blob_is_read_from_its_systematic_slivers_alone(rig_of):
    rig = rig_of(10)
    place_objects(rig, BLOB, OBJECTS)
    rig.forget_calls()
    assert rig.open().read(BLOB) == (DATA, ())
    names = [name for _, name in rig.asked("get") if name != "volume"]
    others = {shard_name(BLOB, s) for s in range(10)} - {
        shard_name(BLOB, systematic(i)) for i in range(4)
    }
    assert len(set(names) & others) <= 1  # whoever was asked for the metadata
    markers = len([1 for _, name in rig.asked("get") if name == "volume"]) * 200
    assert rig.moved("get") <= 4 * ROW + prefix_size(10) + FIRST_BYTES + markers


def test_a_tiny_blob_costs_a_few_hundred_bytes(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    blob_id = volumes.put(b"I moved to Lisbon").blob_id
    rig.forget_calls()
    assert volumes.get(blob_id) == b"I moved to Lisbon"
    assert rig.moved("get") <= object_size(17, 10) + 4 * 14
    assert len(rig.asked("get")) <= 5
    rig.forget_calls()
    assert volumes.get_range(blob_id, 2, 5) == b"moved"  # 7 symbols of 2 bytes are one sliver
    assert rig.moved("get") == 14
    assert len(rig.asked("get")) == 1


def test_a_range_reads_the_slivers_that_hold_it_and_no_more(rig_of):
    rig = rig_of(10)
    volumes = rig.open()
    volumes.put(DATA)
    volumes.get(BLOB)
    for start, length, slivers in ((10, 100, [0]), (ROW - 1, 2, [0, 1]), (2 * ROW, ROW, [2])):
        rig.forget_calls()
        assert volumes.get_range(BLOB, start, length) == DATA[start : start + length]
        assert sorted(name for _, name in rig.asked("get")) == sorted(
            shard_name(BLOB, systematic(i)) for i in slivers
        )
        assert rig.moved("get") == len(slivers) * ROW


@pytest.mark.parametrize("kind", ["lose", "flip", "truncate", "slow", "unavailable", "giant"])
def test_a_range_whose_sliver_is_not_well_is_read_from_the_others(rig_of, kind):
    rig = rig_of(10)
    place_objects(rig, BLOB, OBJECTS)
    volumes = rig.open()
    volumes.get(BLOB)
    rig.inject(f"v{systematic(1)}", kind, shard="blobs/")
    assert volumes.get_range(BLOB, ROW + 5, 50) == DATA[ROW + 5 : ROW + 55]


def test_late_slivers_are_replaced_and_their_volume_asked_last_afterwards(rig_of):
    rig = rig_of(10)
    place_objects(rig, BLOB, OBJECTS)
    volumes = rig.open()
    late = f"v{systematic(2)}"
    rig.inject(late, "slow", shard="blobs/")
    read = volumes.read(BLOB)
    assert read.data == DATA
    assert {(fault.volume, fault.kind) for fault in read.faults} == {(late, "slow")}
    rig.forget_calls()
    now = rig.clock.now()
    assert volumes.read(BLOB) == (DATA, ())
    assert late not in {volume for volume, _ in rig.asked("get")}
    assert rig.clock.now() == now
    rig.heal()
    rig.clock.release()
    rig.clock.advance(AVOIDED_FOR + 1)
    rig.forget_calls()
    volumes.read(BLOB)
    assert late in {volume for volume, _ in rig.asked("get")}


def test_the_fastest_known_volumes_are_asked_first(rig_of):
    rig = rig_of(10)
    place_objects(rig, BLOB, OBJECTS)
    volumes = rig.open()
    pace = volumes.members.lines.pace
    for i in range(10):
        pace.answered(f"v{i}", 0.5 if i in {1, 2} else 5.0 + i)
    for i in range(4):
        rig.stores[f"v{systematic(i)}"].delete(shard_name(BLOB, systematic(i)))
    volumes.get(BLOB)
    asked = [v for v, name in rig.asked("get") if name.startswith("blobs/")]
    left = sorted({f"v{s}" for s in range(10)} - {f"v{systematic(i)}" for i in range(4)})
    fastest = sorted(left, key=lambda v: pace.rank(v)[1])
    assert set(asked) >= set(fastest[:1])
    assert pace.latency("v1") < pace.latency("v9")


def test_all_volumes_late_are_waited_for(rig_of):
    rig = rig_of(5)
    place_objects(rig, BLOB, OBJECTS)
    for volume in rig.stores:
        rig.inject(volume, "slow")
    read = rig.open().read(BLOB)
    assert read.data == DATA
    assert {fault.kind for fault in read.faults} == {"slow"}


def test_errors_tell_never_kept_from_lost_from_away(rig_of):
    rig = rig_of(10)
    place_objects(rig, BLOB, {s: OBJECTS[s] for s in (0, 1, 2)})
    with pytest.raises(TooFewSliversError, match="needs 4 whole shards of 10, and 3 were found"):
        rig.open().get(BLOB)
    with pytest.raises(BlobMissingError):
        rig.open().get(encode(b"never kept", 10).blob_id_text)
    rig.inject("v9", "unavailable")
    with pytest.raises(StoreUnavailableError, match="shard 9 on volume v9 is unavailable"):
        rig.open().get(BLOB)
    with pytest.raises(StoreUnavailableError):
        rig.open().has(BLOB)
    rig.heal()
    assert not rig.open().has(BLOB)
    for volume in rig.stores:
        rig.inject(volume, "unavailable")
    with pytest.raises(StoreUnavailableError):
        rig.open().get(BLOB)


def test_a_volume_that_gives_more_than_was_asked_for_is_told_as_wrong(rig_of):
    class Pouring:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def get(self, name, start=0, length=None):
            data = self.inner.get(name, start, length)
            return data if name == "volume" else data + bytes(10_000)

    rig = rig_of(10)
    place_objects(rig, BLOB, OBJECTS)
    poured = {f"v{systematic(i)}" for i in (0, 3)}
    backends = {n: Pouring(p) if n in poured else p for n, p in rig.places.items()}
    read = rig.open(backends=backends).read(BLOB)
    assert read.data == DATA
    told = {(fault.volume, fault.kind) for fault in read.faults}
    assert told == {(volume, "wrong") for volume in poured}


def test_whole_objects_of_another_blob_or_shard_are_told_as_stale_and_others_as_wrong(rig_of):
    rig = rig_of(10)
    place_objects(rig, BLOB, OBJECTS)
    other = objects_of(DATA[::-1], 10)[1]
    rig.stores["v0"].put(shard_name(BLOB, 0), other[0])
    rig.stores["v1"].put(shard_name(BLOB, 1), OBJECTS[2])
    rig.stores["v2"].put(shard_name(BLOB, 2), b"\x01" + bytes(900))
    rig.stores["v3"].delete(shard_name(BLOB, 3))
    repaired = repair(rig.open(), deep=True)
    kinds = {shard: {f.kind for _, f in repaired.faults if f.shard == shard} for shard in range(5)}
    assert kinds[0] >= {"stale"}
    assert kinds[1] >= {"stale"}
    assert kinds[3] == {"missing"}
    assert "stale" not in kinds[2]
    assert kinds[4] == set()
    assert {shard for _, shard, _ in repaired.made} == {0, 1, 2, 3}


def test_many_threads_read_and_write_one_set(rig_of):
    volumes = rig_of(5).open()
    blobs = {n: random.Random(n).randbytes(500 * n) for n in range(12)}
    wrong = []

    def work(n: int) -> None:
        blob_id = volumes.put(blobs[n]).blob_id
        if volumes.get(blob_id) != blobs[n] or volumes.get_range(blob_id, 0, n) != blobs[n][:n]:
            wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in blobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert wrong == []
    assert len(list(volumes.blobs())) == 12


# --- listing, removing, status -------------------------------------------------------------


def test_blobs_are_listed_with_how_many_shards_stand(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    assert list(volumes.blobs()) == []
    ids = {volumes.put(b"%d" % i).blob_id: 10 for i in range(3)}
    gone = min(ids)
    rig.stores["v1"].delete(shard_name(gone, 1))
    rig.stores["v2"].put(shard_name(gone, 2), b"cut")
    rig.stores["v3"].put(shard_name(gone, 1), rig.stores["v0"].get(shard_name(gone, 0)))
    rig.stores["v3"].put("blobs/of/another/kind", b"")
    assert dict(volumes.blobs()) == ids | {gone: 8}
    assert volumes.has(gone)
    rig.inject("v0", "unavailable")
    assert dict(volumes.blobs()) == dict.fromkeys(ids, 8) | {gone: 6}
    for volume in rig.stores:
        rig.inject(volume, "unavailable")
    with pytest.raises(StoreUnavailableError):
        list(volumes.blobs())


def test_a_delete_removes_what_it_reaches_and_tells_what_it_does_not(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    blob_id, other = volumes.put(DATA).blob_id, volumes.put(b"stays").blob_id
    rig.stores["v3"].put(shard_name(blob_id, 0), b"misplaced")
    rig.inject("v1", "unavailable")
    done = volumes.delete(blob_id)
    assert (done.objects, [volume for volume, _ in done.unreached]) == (9, ["v1"])
    rig.heal()
    assert volumes.delete(blob_id) == (blob_id, 2, ())
    assert volumes.delete(blob_id) == (blob_id, 0, ())
    assert dict(volumes.blobs()) == {other: 10}
    with pytest.raises(BlobMissingError):
        rig.open().get(blob_id)


def test_status_counts_what_stands_and_names_who_is_away(rig_of):
    rig = rig_of(10)
    volumes = rig.open()
    whole, short, lost, away = (volumes.put(b"%d" % i).blob_id for i in range(4))
    for shard in (0, 1):
        rig.stores[f"v{shard}"].delete(shard_name(short, shard))
    for shard in range(8):
        rig.stores[f"v{shard}"].delete(shard_name(lost, shard))
    for shard in (*range(5), 7, 8):
        rig.stores[f"v{shard}"].delete(shard_name(away, shard))
    found = status(volumes)
    assert (found.sound, found.degraded, found.out_of_reach, found.lost) == (1, 1, 0, 2)
    rig.inject("v8", "unavailable")
    rig.stores["v8"].put(shard_name(away, 8), OBJECTS[8])
    found = status(volumes)
    assert (found.sound, found.degraded, found.out_of_reach, found.lost) == (0, 2, 1, 1)
    eight, nine = found.volumes[8], found.volumes[9]
    assert (eight.reachable, eight.held, eight.bytes) == (False, 0, 0)
    assert "does not answer" in eight.why
    assert (nine.reachable, nine.held, nine.expected, nine.why) == (True, 4, 4, None)
    assert nine.bytes == 4 * object_size(1, 10)
    assert nine.latency is not None
    assert nine.url == "memory:9"
    assert whole in volumes.listing().blob_ids()


# --- who is a member -----------------------------------------------------------------------


def test_an_empty_a_foreign_and_a_swapped_place_are_noticed_and_never_written_to(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    volumes.put(DATA)
    rig.wipe("v0")
    rig.stores["v1"].put("volume", encode_marker(Marker(1, "ab" * 16, "v1", 1)))
    rig.stores["v2"].put("volume", encode_marker(Marker(1, SET_ID, "v3", 1)))
    before = {v: {f.name for f in s.list()} for v, s in rig.stores.items()}
    opened = rig.open()
    read = opened.read(BLOB)
    assert read.data == DATA
    words = {fault.volume: fault.words for fault in read.faults}
    assert set(words) <= {"v0", "v1", "v2"}
    told = status(opened)
    assert [v.reachable for v in told.volumes] == [False, False, False, True, True]
    assert "no marker" in told.volumes[0].why
    assert "set abababab" in told.volumes[1].why
    assert "holds volume v3" in told.volumes[2].why
    with pytest.raises(StoreUnavailableError, match="v0"):
        opened.put(b"anything")
    with pytest.raises(StoreUnavailableError):
        opened.publish_head("memory", b"1", None)
    assert {f.name for f in rig.stores["v0"].list()} == before["v0"] == set()
    for volume in ("v1", "v2"):
        with pytest.raises(ConflictError, match=volume):
            opened.adopt(volume)
    opened.adopt("v0")
    assert {f.name for f in rig.stores["v0"].list()} == {"volume"}


def test_a_place_is_adopted_only_if_it_is_empty_or_already_of_the_set(rig_of):
    rig = rig_of(3, adopted=False)
    volumes = rig.open()
    volumes.adopt("v0")
    volumes.adopt("v0")
    rig.stores["v1"].put("photos/one", b"of somebody")
    with pytest.raises(ConflictError, match="no marker"):
        volumes.adopt()
    rig.stores["v2"].put("volume", b"\x00\x01")
    with pytest.raises(ConflictError, match="not empty"):
        volumes.adopt("v2")
    with pytest.raises(InputError):
        volumes.adopt("v7")
    rig.inject("v1", "unavailable")
    with pytest.raises(StoreUnavailableError):
        volumes.adopt("v1")


def test_adopting_never_takes_a_newer_layout_from_a_volume(rig_of):
    rig = rig_of(3)
    newer = encode_marker(Marker(1, SET_ID, "v1", 4))
    rig.stores["v1"].put("volume", newer)
    rig.open().adopt()
    assert rig.stores["v1"].get("volume") == newer
    assert rig.open().read_heads("memory") == ()  # it is read all the same


def test_verified_metadata_are_kept_up_to_a_bound_those_used_last(rig_of, monkeypatch):
    rig = rig_of(3)
    volumes = rig.open()
    monkeypatch.setattr("haulout.storage.volumes.members._CACHED_HASHES", 60)  # three blobs
    ids = [volumes.put(b"%d" % i).blob_id for i in range(5)]
    for blob_id in (*ids[:3], ids[0], *ids[3:]):
        volumes.get(blob_id)
    known = [blob_id for blob_id in ids if volumes.members.known(blob_id) is not None]
    assert known == [ids[0], ids[3], ids[4]]


def test_a_set_needs_exactly_the_backends_of_its_layout(rig_of):
    rig = rig_of(3)
    for names in (["v0", "v1"], ["v0", "v1", "v2", "v9"]):
        with pytest.raises(InputError):
            VolumeSet(rig.layout, dict.fromkeys(names, rig.places["v0"]))
    for options in ({"workers": 0}, {"hedge_after": 0}):
        with pytest.raises(InputError):
            VolumeSet(rig.layout, dict(rig.places), **options)


def test_a_listing_without_end_is_cut_off(rig_of, monkeypatch):
    from haulout.storage.volumes import listing, members

    rig = rig_of(10)
    volumes = rig.open()
    volumes.put(DATA)
    monkeypatch.setattr(members, "MOST_LISTED", 40)
    monkeypatch.setattr(listing, "bounded_list", lambda b, p: members.bounded_list(b, p, most=40))
    for i in range(50):
        rig.stores["v0"].put(f"blobs/liar/{i}", b"")
    found = volumes.listing()
    assert list(found.unreached) == ["v0"]
    assert "more than 40" in found.unreached["v0"]


def test_a_closed_set_leaves_no_thread_behind():
    before = set(threads_of_volumes())
    rig = Rig(layout_of(3))
    with rig.open() as volumes:
        volumes.put(DATA)
    with pytest.raises(InputError, match="closed"):
        volumes.get(BLOB)
    rig.close()
    for thread in threading.enumerate():
        if thread.name.startswith("volume-") and thread.name not in before:
            thread.join(PATIENCE_S)
    assert set(threads_of_volumes()) <= before


def test_a_set_over_real_folders_with_the_real_clock(tmp_path):
    urls = [Place(f"disk{i}", str(tmp_path / f"disk{i}")) for i in range(4)]
    layout = plan(10, urls, set_id=SET_ID)
    folders = {place.id: FolderBackend.create(tmp_path / place.id) for place in urls}
    with VolumeSet(layout, folders) as volumes:
        volumes.adopt()
        blob_id = volumes.put(DATA).blob_id
        volumes.publish_head("memory", b"1", None)
        volumes.publish_head("memory", b"2", b"1")
        assert volumes.read(blob_id) == (DATA, ())
        assert {copy.data for copy in volumes.read_heads("memory")} == {b"2"}
        assert status(volumes).sound == 1
