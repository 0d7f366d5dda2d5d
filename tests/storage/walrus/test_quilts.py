"""Quilts over the network: the publisher's is the one that is made here, items are verified."""

from __future__ import annotations

import pytest

from haulout.errors import HauloutError, InputError, StoreUnavailableError, WrongBytesError
from haulout.redstuff.quilt import Item

ITEMS = [Item(f"note {i}", f"walnut {i} ".encode() * 30, {"n": str(i)}) for i in range(4)]


@pytest.fixture
def quilt(net, network):
    placed = network.put_quilt(ITEMS, epochs=3)
    for station in net.stations:
        station.faults.asked = 0
    return placed


def test_the_publishers_quilt_is_ours(net, network, quilt):
    assert (quilt.placed.confirmed, quilt.placed.end_epoch) == (True, 4)
    assert len(net.ledger.payments) == 1
    listed = network.aggregators[0].patches(quilt.placed.blob_id)
    assert {one.identifier: one.patch_id for one in listed} == quilt.patch_ids
    assert {one.identifier: one.tags for one in listed} == {i.identifier: i.tags for i in ITEMS}


def test_the_publisher_names_the_same_patches(net, network):
    stored, patches = network.publishers[0].put_quilt(ITEMS, network._terms(2, deletable=True))
    placed = network.put_quilt(ITEMS)
    assert placed.placed.blob_id == stored.blob_id
    assert {p.identifier: p.quilt_patch_id for p in patches} == placed.patch_ids


def test_an_item_is_read_from_its_own_slivers(net, network, quilt):
    for item in ITEMS:
        assert network.get_item(quilt.patch_ids[item.identifier]) == item
    assert all(s.faults.asked == 0 for s in net.aggregators)


def test_an_item_whose_slivers_are_lost_is_read_from_the_whole_quilt(net, network, quilt):
    for station in net.nodes:
        station.faults.only = lambda _, path: path.endswith("/secondary")
        station.faults.busy = True
    assert network.get_item(quilt.patch_ids["note 2"]) == ITEMS[2]


def test_without_nodes_the_whole_quilt_is_read_and_verified(net, client, quilt):
    network = client(nodes=False)
    net.aggregators[0].faults.lie = True
    assert network.get_item(quilt.patch_ids["note 1"]) == ITEMS[1]
    assert network.get_quilt(quilt.placed.blob_id).get("note 3") == ITEMS[3]
    for station in net.aggregators:
        station.faults.lie = True
    with pytest.raises(WrongBytesError):
        network.get_item(quilt.patch_ids["note 1"])


def test_aggregators_give_items_unverified_by_both_routes(net, network, quilt):
    aggregator = network.aggregators[0]
    given = aggregator.patch(quilt.patch_ids["note 0"], 10_000)
    assert (given.data, given.identifier) == (ITEMS[0].data, "note 0")
    again = aggregator.quilt_item(quilt.placed.blob_id, "note 0", 10_000)
    assert (again.data, again.etag) == (given.data, quilt.placed.blob_id)


def test_a_quilt_whose_answer_was_lost_is_paid_once(net, network, diary):
    net.publishers[0].faults.lost_answers = True
    placed = network.put_quilt(ITEMS, epochs=2, write_down=diary)
    assert (placed.placed.confirmed, len(net.ledger.payments)) == (True, 1)


def test_a_publisher_that_makes_another_quilt_is_refused(net, network):
    net.publishers[0].faults.wrong_id = True
    with pytest.raises(WrongBytesError, match=net.urls.publishers[0]):
        network.put_quilt(ITEMS)


@pytest.mark.parametrize("name", ["", "a\r\nb", 'a"b', "_metadata", "a\0b"])
def test_identifiers_that_would_break_the_form_are_refused(net, network, name):
    with pytest.raises(InputError):
        network.put_quilt([Item(name, b"x"), ITEMS[0]])
    assert net.ledger.payments == []


def test_what_is_no_patch_id_is_refused(network, quilt):
    with pytest.raises(InputError):
        network.get_item("A" * 49)
    with pytest.raises(HauloutError):
        network.get_item("A" * 43 + "AQEAAgA")


def test_a_busy_network_gives_no_item(net, client, quilt):
    for station in net.stations:
        station.faults.busy = True
    with pytest.raises(StoreUnavailableError):
        client().get_item(quilt.patch_ids["note 0"])
