"""Reads while others lie, stall, lose, break off and forget: the right bytes or a loud error."""

from __future__ import annotations

import threading
from hashlib import sha256
from itertools import combinations
from random import Random

import pytest

from haulout.errors import (
    BlobMissingError,
    HauloutError,
    InputError,
    StoreRefusedError,
    StoreUnavailableError,
    WrongBytesError,
)
from haulout.redstuff import blob_id, encode, parameters, recover_sliver
from haulout.storage.walrus.hedging import Fault
from haulout.testing.walrus import answers
from haulout.testing.walrus.network import LoopbackNetwork

DATA = Random(1).randbytes(5000)
NAME = blob_id(DATA, 10)


@pytest.fixture
def stored(net, network):
    network.put(DATA, epochs=5)
    for station in net.stations:
        station.faults.asked = 0
    return net


def kinds(faults: tuple[Fault, ...], net: LoopbackNetwork) -> dict[str, str]:
    """What each liar did, by the name of its service."""
    names = {s.url: f"aggregator {i}" for i, s in enumerate(net.aggregators)}
    names |= {s.url: f"node {i}" for i, s in enumerate(net.nodes)}
    return {names[fault.url]: fault.kind for fault in faults}


# --- aggregators -----------------------------------------------------------------------------


def test_the_first_aggregator_suffices(stored, network):
    read = network.read(NAME)
    assert (read.data, read.url, read.faults) == (DATA, stored.urls.aggregators[0], ())
    assert [s.faults.asked for s in stored.aggregators] == [1, 0, 0]
    assert all(s.faults.asked == 0 for s in stored.nodes)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("lie", "wrong"), ("truncate", "unavailable"), ("dead", "unavailable"),
        ("busy", "unavailable"), ("lose", "missing"), ("forget", "missing"),
        ("lost_answers", "unavailable"),
    ],
)  # fmt: skip
def test_a_bad_aggregator_is_named_and_the_next_one_read(stored, network, fault, kind):
    setattr(stored.aggregators[0].faults, fault, True)
    read = network.read(NAME)
    assert (read.data, read.url) == (DATA, stored.urls.aggregators[1])
    assert kinds(read.faults, stored) == {"aggregator 0": kind}
    assert stored.urls.aggregators[0] in read.faults[0].words
    stored.aggregators[0].faults.clear()
    assert network.read(NAME).faults == ()


def test_a_stopped_a_stale_and_a_lying_aggregator_leave_the_nodes(stored, network):
    stored.aggregators[0].stop()
    stored.aggregators[1].faults.lie = True
    stored.aggregators[2].faults.lose = True
    read = network.read(NAME)
    assert (read.data, read.url) == (DATA, "the storage nodes")
    assert kinds(read.faults, stored) == {
        "aggregator 0": "unavailable", "aggregator 1": "wrong", "aggregator 2": "missing",
    }  # fmt: skip


def test_a_slow_aggregator_is_not_waited_for(stored, client):
    network = client(hedge_after=0.05)
    stored.aggregators[0].faults.stall()
    read = network.read(NAME)
    assert (read.data, read.url, read.faults) == (DATA, stored.urls.aggregators[1], ())
    stored.aggregators[0].faults.release()


def test_who_gives_different_answers_to_different_requests_is_caught(stored, network):
    stored.aggregators[0].faults.equivocate = True
    reads = [network.read(NAME) for _ in range(4)]
    assert {read.data for read in reads} == {DATA}
    assert sum(bool(read.faults) for read in reads) == 2


def test_without_nodes_and_with_liars_alone_the_error_names_all_of_them(stored, client):
    network = client(nodes=False)
    for station in stored.aggregators:
        station.faults.lie = True
    with pytest.raises(WrongBytesError) as caught:
        network.get(NAME)
    assert all(url in str(caught.value) for url in stored.urls.aggregators)
    stored.aggregators[0].faults.clear()
    stored.aggregators[0].faults.busy = True
    with pytest.raises(StoreUnavailableError):
        network.get(NAME)
    for station in stored.aggregators:
        station.faults.clear()
        station.faults.lose = True
    with pytest.raises(BlobMissingError):
        network.get(NAME)
    stored.aggregators[1].faults.clear()
    stored.aggregators[1].state.blocked.add(NAME)
    with pytest.raises(StoreRefusedError, match="legal"):
        network.get(NAME)


def test_no_more_is_read_than_the_blob_has(stored, client):
    network = client(nodes=False)
    with pytest.raises(StoreUnavailableError, match="at most 4999"):
        network.read(NAME, size=4999)
    assert network.read(NAME, size=5000).data == DATA


def test_what_nobody_has_is_missing(network, stored):
    with pytest.raises(BlobMissingError):
        network.get(blob_id(b"never", 10))
    with pytest.raises(InputError):
        network.get("no ID")


def test_an_expired_blob_is_missing(stored, network):
    stored.advance(5)
    with pytest.raises(BlobMissingError):
        network.get(NAME)


# --- ranges ----------------------------------------------------------------------------------


def test_a_range_with_its_hash_comes_from_an_aggregator_as_200(stored, network):
    digest = sha256(DATA[100:300]).digest()
    read = network.read_range(NAME, 100, 200, digest=digest)
    assert (read.data, read.url) == (DATA[100:300], stored.urls.aggregators[0])
    assert all(s.faults.asked == 0 for s in stored.nodes)


def test_a_false_range_is_noticed_and_the_liar_named(stored, network):
    stored.aggregators[0].faults.lie = True
    stored.aggregators[1].faults.truncate = True
    read = network.read_range(NAME, 100, 200, digest=sha256(DATA[100:300]).digest())
    assert (read.data, read.url) == (DATA[100:300], stored.urls.aggregators[2])
    assert kinds(read.faults, stored) == {"aggregator 0": "wrong", "aggregator 1": "unavailable"}


def test_a_range_without_a_hash_is_read_from_the_rows_it_stands_in(stored, network):
    metadata = encode(DATA, 10).metadata
    row = parameters(10).secondary * metadata.symbol_size
    for start, length in ((0, 1), (row - 1, 2), (10, row * 2), (4999, 1), (0, 5000)):
        for station in stored.stations:
            station.faults.asked = 0
        assert network.get_range(NAME, start, length) == DATA[start : start + length]
        rows = (start + length - 1) // row - start // row + 1
        asked = sum(s.faults.asked for s in stored.nodes)
        assert rows <= asked <= rows + 1, "one for the metadata, the first time"
        assert all(s.faults.asked == 0 for s in stored.aggregators)


def test_a_range_whose_rows_are_lost_is_read_from_what_is_left(stored, network):
    lost = network._slivers._url(encode(DATA, 10).metadata, 0)
    for station in stored.nodes:
        station.faults.forget = station.url == lost
    assert network.get_range(NAME, 3, 40) == DATA[3:43]


@pytest.mark.parametrize(("start", "length"), [(0, 0), (-1, 2), (5000, 1), (0, 5001), (4999, 2)])
def test_ranges_that_do_not_exist_are_refused(stored, network, start, length):
    with pytest.raises(InputError):
        network.get_range(NAME, start, length)


def test_a_wrong_hash_of_the_caller_is_the_callers_mistake(stored, network):
    with pytest.raises(InputError, match="not that of bytes"):
        network.get_range(NAME, 0, 10, digest=bytes(32))
    with pytest.raises(InputError, match="32 bytes"):
        network.get_range(NAME, 0, 10, digest=b"short")


def test_a_range_that_nobody_can_vouch_for_is_not_given(stored, client):
    with pytest.raises(InputError, match="cannot be verified"):
        client(nodes=False).get_range(NAME, 0, 10)


# --- storage nodes ---------------------------------------------------------------------------


def test_storage_nodes_alone_give_the_blob(stored, network):
    assert network.get_from_nodes(NAME) == DATA
    asked = sum(s.faults.asked for s in stored.nodes)
    assert asked <= 1 + 4 + 1, "the metadata, and the systematic slivers"


def test_any_two_nodes_of_five_can_be_missing(stored, client):
    network = client()
    for gone in combinations(stored.nodes, 2):
        for station in gone:
            station.faults.dead = True
        assert network.get_from_nodes(NAME) == DATA
        for station in gone:
            station.faults.clear()


def test_primary_slivers_of_two_nodes_suffice_and_of_one_do_not(stored, client):
    network = client()
    for station in stored.nodes[2:]:
        station.faults.forget = True
    assert network.get_from_nodes(NAME) == DATA
    stored.nodes[1].faults.forget = True
    with pytest.raises(BlobMissingError) as caught:
        network.get_from_nodes(NAME)
    assert stored.urls.nodes[1] in str(caught.value)


def test_lying_nodes_are_named_and_others_used(stored, client):
    network = client()
    for station in stored.nodes[:2]:
        station.faults.lie = True
    read = network.read_from_nodes(NAME)
    assert read.data == DATA
    assert set(kinds(read.faults, stored).values()) <= {"wrong"}
    for station in stored.nodes:
        station.faults.lie = True
    with pytest.raises(WrongBytesError):
        client().read_from_nodes(NAME)


def test_nodes_that_lie_about_slivers_alone_are_each_named(stored, client):
    network = client()
    for station in stored.nodes[:3]:
        station.faults.only = lambda _, path: "/slivers/" in path
        station.faults.lie = True
    read = network.read_from_nodes(NAME)
    assert read.data == DATA
    liars = {fault.url for fault in read.faults if fault.kind == "wrong"}
    assert liars
    assert liars <= {s.url for s in stored.nodes[:3]}


def test_stalled_nodes_are_passed_by_before_they_count_as_failed(stored, client):
    network = client(hedge_after=0.05)
    for station in stored.nodes[:2]:
        station.faults.stall()
    read = network.read_from_nodes(NAME)
    assert (read.data, read.faults) == (DATA, ())
    assert network.status(NAME).certified


def test_a_range_of_stalled_rows_is_read_from_others(stored, client):
    network = client(impatient=True)
    for station in stored.nodes[:2]:
        station.faults.stall()
    assert network.get_range(NAME, 0, 5000) == DATA


def test_secondary_slivers_give_the_blob_where_primary_ones_do_not(stored, network):
    for station in stored.nodes:
        station.faults.only = lambda _, path: path.endswith("/primary")
        station.faults.busy = True
    assert network.get_from_nodes(NAME) == DATA


def test_reads_from_many_threads_are_all_right(stored, network):
    stored.aggregators[0].faults.equivocate = True
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(network.get(NAME))) for _ in range(16)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [DATA] * 16


def test_the_node_client_reads_what_the_node_says(stored, network):
    metadata = encode(DATA, 10).metadata
    node, station = network.nodes[0], stored.nodes[0]
    pair = station.state.pairs(NAME)[0]
    assert node.metadata_status(NAME) == "stored"
    assert node.sliver_status(NAME, pair, "primary") == "stored"
    assert node.sliver(metadata, pair, "secondary") == encode(DATA, 10).secondary(9 - pair)
    assert node.health().epoch == 1
    assert network.current_epoch() == 1
    with pytest.raises(StoreRefusedError):
        node.confirmation(blob_id(b"never", 10))


def test_a_sliver_is_rebuilt_from_symbols_of_nodes(stored, network):
    code = encode(DATA, 10)
    for axis, index in (("primary", 7), ("secondary", 1)):
        found = [s for n in network.nodes for s in n.recovery_symbols(code.metadata, axis, index)]
        right = code.primary(index) if axis == "primary" else code.secondary(index)
        assert recover_sliver(code.metadata, axis, index, found) == right
        bare = [
            pair for n in network.nodes
            for pair in n.decoding_symbols(code.metadata, axis, [index])[index]
        ]  # fmt: skip
        assert dict(bare) == {s.source: s.symbol for s in found}
    one = network.nodes[0].proven_symbols(
        code.metadata, [(1, 9 - stored.nodes[0].state.pairs(NAME)[0])]
    )
    assert len(one) == 1


def test_a_blob_can_be_put_at_the_nodes_by_its_owner(net, network):
    code = encode(DATA, 10)
    made = net.owner().register(NAME, len(DATA), 3)
    for client, station in zip(network.nodes, net.nodes, strict=True):
        client.put_metadata(code.metadata)
        for pair in station.state.pairs(NAME):
            for sliver in code.pair(pair):
                client.put_sliver(NAME, pair, sliver)
    with pytest.raises(BlobMissingError):
        network.confirm(NAME)
    net.ledger.certify(made.id)
    network.confirm(NAME)
    assert network.get_from_nodes(NAME) == DATA


def test_every_wrong_answer_is_one_of_our_errors(stored, network):
    for station in stored.stations:
        station.faults.only = None
        station.faults.status = [1, 2]
    with pytest.raises(StoreUnavailableError, match="no answer of Walrus's"):
        network.status(NAME)
    with pytest.raises(HauloutError):
        network.put(b"x")


def test_a_node_that_gives_authentic_bytes_of_something_else_is_named(stored, network):
    other = network.put(b"another blob").blob_id
    for station in stored.nodes[:2]:
        station.faults.mixes_up = True
    metadata = encode(DATA, 10).metadata
    mixed = network.nodes[0]
    with pytest.raises(WrongBytesError, match=f"{mixed.url} gives another blob's"):
        mixed.metadata(NAME)
    with pytest.raises(WrongBytesError, match=f"{mixed.url} gives primary sliver"):
        mixed.sliver(metadata, stored.nodes[0].state.pairs(NAME)[0], "primary")
    read = network.read_from_nodes(NAME)
    assert read.data == DATA
    assert {fault.kind for fault in read.faults} <= {"wrong"}
    assert network.get_from_nodes(other) == b"another blob"


def test_a_part_of_another_length_is_refused(stored, network):
    aggregator = network.aggregators[0]
    assert aggregator.blob_part(NAME, 10, 20).data == DATA[10:30]
    stored.aggregators[0].service._app._app = answers.octets(b"short")
    for read in (aggregator.blob_part, aggregator.blob_range):
        with pytest.raises(WrongBytesError, match="5 bytes of a range of 20"):
            read(NAME, 10, 20)
