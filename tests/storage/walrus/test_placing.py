"""Uploads beside a ledger: nothing is placed that is not, nothing is paid twice."""

from __future__ import annotations

import threading

import msgspec
import pytest

from haulout.errors import (
    HauloutError,
    InputError,
    LimitError,
    StoreRefusedError,
    StoreUnavailableError,
    WrongBytesError,
)
from haulout.redstuff import blob_id
from haulout.storage.walrus.config import MOST_EPOCHS
from haulout.storage.walrus.network import Attempt
from haulout.testing.walrus.network import LoopbackNetwork

DATA = b"Ana is allergic to walnuts. " * 100
NAME = blob_id(DATA, 10)


def paid(net: LoopbackNetwork) -> int:
    return len(net.ledger.paid(NAME))


def stands(net: LoopbackNetwork) -> bool:
    return net.ledger.certified(NAME)


def test_a_blob_is_placed_paid_once_and_confirmed(net, network, diary):
    placed = network.put(DATA, epochs=3, write_down=diary)
    assert (placed.blob_id, placed.size, placed.end_epoch) == (NAME, len(DATA), 4)
    assert (placed.already, placed.confirmed, placed.faults) == (False, True, ())
    assert placed.cost == net.ledger.paid(NAME)[0].amount
    assert placed.object_id in net.ledger.objects
    assert placed.publisher == net.urls.publishers[0]
    (attempt,) = diary.attempts
    assert (attempt.blob_id, attempt.epochs, attempt.epoch) == (NAME, 3, 1)
    assert (attempt.publisher, attempt.registered) == (placed.publisher, 0)


def test_an_attempt_outlives_the_process_as_json(network, diary):
    network.put(DATA, write_down=diary)
    again = msgspec.json.decode(msgspec.json.encode(diary.last), type=Attempt)
    assert again == diary.last


def test_the_attempt_is_written_down_before_anything_is_paid(net, network):
    def fail(_: Attempt) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        network.put(DATA, write_down=fail)
    assert net.publishers[0].faults.asked == 0


def test_what_stands_is_not_paid_again(net, network):
    first = network.put(DATA, epochs=3)
    again = network.put(DATA, epochs=3)
    assert (again.already, again.cost, again.publisher) == (True, 0, "")
    assert again.end_epoch == 2 <= first.end_epoch, "nodes do not tell the end of a deletable one"
    assert paid(net) == 1


def test_a_permanent_blob_is_found_with_its_end_and_paid_where_that_is_too_soon(net, network):
    network.put(DATA, epochs=3, deletable=False)
    again = network.put(DATA, epochs=3, deletable=False)
    assert (again.already, again.end_epoch, paid(net)) == (True, 4, 1)
    longer = network.put(DATA, epochs=5, deletable=False)
    assert (longer.already, longer.end_epoch, paid(net)) == (False, 6, 2)


def test_a_permanent_blob_is_wanted_and_a_deletable_one_stands(net, network):
    network.put(DATA, epochs=3)
    placed = network.put(DATA, epochs=3, deletable=False)
    assert (placed.already, placed.end_epoch, paid(net)) == (False, 4, 2)


# --- refusals that come before anything is paid ----------------------------------------------


@pytest.mark.parametrize("fault", ["busy", "broke", "stopped"])
def test_the_next_publisher_is_asked_where_nothing_was_paid(net, network, diary, fault):
    first = net.publishers[0]
    if fault == "stopped":
        first.stop()
    else:
        setattr(first.faults, fault, True)
    placed = network.put(DATA, write_down=diary)
    assert placed.publisher == net.urls.publishers[1]
    assert [f.url for f in placed.faults] == [first.url]
    assert (paid(net), stands(net)) == (1, True)
    assert [a.publisher for a in diary.attempts] == list(net.urls.publishers)


def test_when_all_are_broke_the_words_say_money_and_nothing_is_placed(net, network, diary):
    for station in net.publishers:
        station.faults.broke = True
    with pytest.raises(StoreRefusedError, match="pay") as caught:
        network.put(DATA, write_down=diary)
    assert all(url in str(caught.value) for url in net.urls.publishers)
    assert paid(net) == 0
    net.publishers[1].faults.clear()
    network.put(DATA, attempt=diary.last, write_down=diary)
    assert (paid(net), stands(net)) == (1, True)


def test_when_all_are_busy_or_gone_it_is_unavailable_and_goes_on_by_itself(net, network, diary):
    net.publishers[0].stop()
    net.publishers[1].faults.busy = True
    with pytest.raises(StoreUnavailableError) as caught:
        network.put(DATA, write_down=diary)
    assert caught.value.retry
    net.publishers[0].start()
    net.publishers[1].faults.clear()
    network.put(DATA, attempt=diary.last, write_down=diary)
    assert (paid(net), stands(net)) == (1, True)


def test_a_blob_above_the_limit_of_every_publisher_is_a_limit(client):
    with LoopbackNetwork(2, 10, signatures=False, blob_limit=100) as net:
        network = client(net.config())
        with pytest.raises((LimitError, StoreRefusedError), match="size"):
            network.put(bytes(101))
        assert net.ledger.payments == []
        network.put(bytes(100))


def test_a_publisher_that_wants_a_token_refuses(net, client):
    with LoopbackNetwork(2, 10, signatures=False, secret=b"s" * 32) as guarded:
        with pytest.raises(StoreRefusedError, match="token"):
            client(guarded.config()).put(DATA)
        assert guarded.ledger.payments == []


# --- answers that are lost -------------------------------------------------------------------


def test_a_lost_answer_is_looked_up_and_found_paid_once(net, network, diary):
    net.publishers[0].faults.lost_answers = True
    placed = network.put(DATA, epochs=3, write_down=diary)
    assert (placed.end_epoch, placed.cost, placed.confirmed) == (4, None, True)
    assert (placed.object_id, placed.publisher) == (None, net.urls.publishers[0])
    assert (paid(net), stands(net), len(diary.attempts)) == (1, True, 1)


def test_a_lost_answer_that_cannot_be_looked_up_is_found_by_the_next_call(net, network, diary):
    net.publishers[0].faults.lost_answers = True
    for station in net.nodes:
        station.faults.only = lambda _, path: path.endswith("/status") and bool(net.ledger.payments)
        station.faults.busy = True
    with pytest.raises(StoreUnavailableError, match="not known whether"):
        network.put(DATA, epochs=3, write_down=diary)
    assert (paid(net), len(diary.attempts)) == (1, 1)
    for station in net.stations:
        station.faults.clear()
    placed = network.put(DATA, epochs=3, attempt=diary.last, write_down=diary)
    assert (placed.already, placed.end_epoch, placed.cost) == (True, 4, 0)
    assert (paid(net), len(diary.attempts)) == (1, 1)


def test_a_crash_between_paying_and_the_answer_is_found_by_the_next_run(net, client, diary):
    class KilledError(Exception):
        pass

    def killed(attempt: Attempt) -> None:
        diary(attempt)
        net.publishers[0].state.ledger.register("publisher 0", NAME, len(DATA), 3)
        raise KilledError

    with pytest.raises(KilledError):
        client().put(DATA, epochs=3, write_down=killed)
    placed = client().put(DATA, epochs=3, attempt=diary.last, write_down=diary)
    assert (placed.cost, paid(net), stands(net)) == (0, 1, True)


def test_what_was_paid_and_not_finished_is_finished_where_it_was_paid(net, network, diary):
    net.publishers[0].faults.dies_after_paying = True
    with pytest.raises(StoreUnavailableError, match="paid for") as caught:
        network.put(DATA, epochs=3, write_down=diary)
    assert net.urls.publishers[0] in str(caught.value)
    assert (paid(net), stands(net)) == (1, False)
    for _ in range(2):  # not finished at the second try either; the other one is never paid
        with pytest.raises(StoreUnavailableError):
            network.put(DATA, epochs=3, attempt=diary.last, write_down=diary)
    net.publishers[0].faults.clear()
    placed = network.put(DATA, epochs=3, attempt=diary.last, write_down=diary)
    assert (placed.cost, placed.end_epoch, paid(net)) == (0, 4, 1)
    assert net.publishers[1].faults.asked == 0


def test_it_is_finished_where_it_was_paid_however_late(net, network, diary, clock):
    net.publishers[0].faults.dies_after_paying = True
    with pytest.raises(StoreUnavailableError):
        network.put(DATA, write_down=diary)
    clock.seconds += 10_000
    with pytest.raises(StoreUnavailableError):
        network.put(DATA, attempt=diary.last, write_down=diary)
    clock.seconds += 10_000
    net.publishers[0].stop()
    with pytest.raises(StoreUnavailableError):
        network.put(DATA, attempt=diary.last, write_down=diary)
    assert net.publishers[1].faults.asked == 0
    net.publishers[0].faults.clear()
    net.publishers[0].start()
    network.put(DATA, attempt=diary.last, write_down=diary)
    assert paid(net) == 1


def test_too_few_confirmations_are_paid_once_and_finished_later(net, network, diary):
    for station in net.nodes[:2]:
        station.stop()
        station.faults.dead = True
    with pytest.raises(StoreUnavailableError):
        network.put(DATA, write_down=diary)
    assert net.ledger.payments == [] or not stands(net)
    for station in net.nodes[:2]:
        station.start()
        station.faults.clear()
    network.put(DATA, attempt=diary.last, write_down=diary)
    assert (paid(net), stands(net)) == (1, True)


def test_a_stalled_publisher_is_not_passed_over_because_it_may_still_pay(net, client, diary):
    network = client(impatient=True)
    net.publishers[0].faults.stall()
    with pytest.raises(StoreUnavailableError, match="not known whether") as caught:
        network.put(DATA, write_down=diary)
    assert "in time" in str(caught.value)
    assert net.publishers[1].faults.asked == 0
    net.publishers[0].faults.release()
    network.put(DATA, attempt=diary.last, write_down=diary)
    assert (paid(net), stands(net)) == (1, True)


def test_an_attempt_of_which_nothing_is_seen_counts_as_never_done_after_a_while(
    net, network, diary, clock
):
    net.publishers[0].faults.dead = True
    with pytest.raises(StoreUnavailableError):
        network.put(DATA, write_down=diary)
    clock.seconds += 599
    with pytest.raises(StoreUnavailableError):
        network.put(DATA, attempt=diary.last, write_down=diary)
    assert net.publishers[1].faults.asked == 0
    clock.seconds += 600
    placed = network.put(DATA, attempt=diary.last, write_down=diary)
    assert placed.publisher == net.urls.publishers[1]
    assert paid(net) == 1


def test_a_publisher_that_is_no_longer_configured_blocks_until_the_attempt_has_settled(
    net, client, diary, clock
):
    net.publishers[0].faults.dead = True
    with pytest.raises(StoreUnavailableError):
        client().put(DATA, write_down=diary)
    config = net.config()
    alone = client(type(config)(**{
        name: getattr(config, name) for name in config.__slots__
    } | {"publishers": [net.urls.publishers[1]]}))  # fmt: skip
    with pytest.raises(StoreUnavailableError, match="no longer configured"):
        alone.put(DATA, attempt=diary.last)
    clock.seconds += 600
    assert alone.put(DATA, attempt=diary.last).publisher == net.urls.publishers[1]


def test_the_attempt_of_another_blob_is_refused(net, network, diary):
    network.put(DATA, write_down=diary)
    with pytest.raises(InputError, match="another blob"):
        network.put(b"other", attempt=diary.last)


# --- publishers that lie ---------------------------------------------------------------------


def test_another_blobs_id_is_refused_and_the_publisher_named(net, network):
    net.publishers[0].faults.wrong_id = True
    with pytest.raises(WrongBytesError, match=net.urls.publishers[0]):
        network.put(DATA)


@pytest.mark.parametrize("nodes", [True, False])
def test_a_publisher_that_only_says_it_stored_is_not_believed(net, client, diary, clock, nodes):
    network = client(nodes=nodes)
    net.publishers[0].faults.lie = True
    with pytest.raises(StoreUnavailableError, match="nobody bears it out") as caught:
        network.put(DATA, write_down=diary)
    assert net.urls.publishers[0] in str(caught.value)
    assert (paid(net), stands(net)) == (0, False)
    if nodes:  # without storage nodes nobody can say that nothing is registered
        clock.seconds += 600
        placed = network.put(DATA, attempt=diary.last, write_down=diary)
        assert placed.publisher == net.urls.publishers[1]
        assert (paid(net), stands(net)) == (1, True)


def test_a_certification_may_spread_slowly(net, client, clock):
    network = client(confirm_for=5.0)
    for station in net.nodes:
        station.state.stale(on=True)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        for station in net.nodes[: len(clock.slept)]:
            station.state.stale(on=False)

    network._sleep = sleep
    assert network.put(DATA).confirmed
    assert len(clock.slept) == 2, "two nodes have 4 of 10 shards, f + 1"


def test_a_third_of_the_nodes_cannot_make_a_blob_seem_placed(net, network, diary):
    told = {"permanent": {
        "endEpoch": 50, "isCertified": True, "statusEvent": {}, "initialCertifiedEpoch": 1,
        "deletableCounts": {"count_deletable_total": 9, "count_deletable_certified": 9},
    }}  # fmt: skip
    net.nodes[0].faults.status = told
    assert not network.status(NAME).certified
    net.publishers[0].faults.lie = True
    with pytest.raises(StoreUnavailableError):
        network.put(DATA, epochs=3, write_down=diary)
    net.publishers[0].faults.clear()
    assert not network.put(DATA, epochs=3, attempt=diary.last).already


def test_without_anybody_to_confirm_nothing_is_sent(net, client):
    config = net.config(nodes=False)
    fields = {name: getattr(config, name) for name in config.__slots__}
    alone = client(type(config)(**fields | {"aggregators": ()}))
    with pytest.raises(InputError, match="nobody to confirm"):
        alone.put(DATA)
    none = client(type(config)(**fields | {"publishers": ()}))
    with pytest.raises(InputError, match="No publisher"):
        none.put(DATA)
    assert net.publishers[0].faults.asked == 0


def test_an_invalid_blob_is_not_bought_again(net, network):
    network.put(DATA)
    net.ledger.mark_invalid(NAME)
    with pytest.raises(StoreRefusedError, match="inconsistent"):
        network.put(DATA)
    assert paid(net) == 1


def test_with_aggregators_alone_a_blob_is_confirmed_by_its_bytes(net, client):
    network = client(nodes=False)
    placed = network.put(DATA, epochs=3)
    assert (placed.end_epoch, placed.confirmed) == (4, True)
    assert network.put(DATA, epochs=3).already
    assert network.status(NAME).certified
    assert network.current_epoch() is None
    assert paid(net) == 1


def test_a_lying_aggregator_confirms_nothing(net, client):
    network = client(nodes=False)
    for station in net.aggregators:
        station.faults.lie = True
    with pytest.raises(StoreUnavailableError, match="nobody bears it out"):
        network.put(DATA)
    for station in net.aggregators[1:]:
        station.faults.clear()
    assert network.put(DATA).already


def test_an_aggregators_404_from_before_is_passed_by(net, client):
    network = client(nodes=False)
    asked = []
    net.aggregators[0].faults.only = lambda method, path: asked.append((method, path)) is not None
    network.put(DATA)
    assert ("HEAD", f"/v1/blobs/{NAME}") in asked


@pytest.mark.parametrize("epochs", [0, -1, MOST_EPOCHS + 1])
def test_epochs_that_cannot_be_bought_are_refused_before_anything(net, network, epochs):
    with pytest.raises(InputError, match="epochs"):
        network.put(DATA, epochs=epochs)
    assert net.nodes[0].faults.asked == 0


def test_an_empty_blob_can_be_placed(network):
    placed = network.put(b"")
    assert network.get(placed.blob_id) == b""


def test_the_object_can_belong_to_another(net, network):
    address = "0x" + "cd" * 32
    placed = network.put(DATA, send_object_to=address)
    assert net.ledger.objects[placed.object_id].owner == address
    with pytest.raises(InputError, match="address"):
        network.put(b"x", send_object_to="0x12")


# --- renewal ---------------------------------------------------------------------------------


def test_renewal_extends_what_the_wallet_owns_and_pays_the_added_epochs_alone(net, network):
    first = network.put(DATA, epochs=3)
    net.advance(2)
    renewed = network.renew(DATA, epochs=5)
    assert (renewed.end_epoch, renewed.object_id) == (8, first.object_id)
    assert renewed.cost == 4 * net.ledger.prices.storage
    assert [p.what for p in net.ledger.paid(NAME)] == ["register", "extend"]
    net.advance(3)
    assert network.get(NAME) == DATA


def test_a_permanent_blob_that_is_kept_long_enough_is_renewed_for_nothing(net, network):
    network.put(DATA, epochs=5, deletable=False)
    renewed = network.renew(DATA, epochs=5, deletable=False)
    assert (renewed.already, renewed.cost, paid(net)) == (True, 0, 1)


def test_renewal_with_a_lost_answer_is_paid_once(net, network, diary):
    network.put(DATA, epochs=3)
    net.publishers[0].faults.lost_answers = True
    with pytest.raises(StoreUnavailableError, match="not known whether"):
        network.renew(DATA, epochs=9, write_down=diary)
    net.publishers[0].faults.clear()
    renewed = network.renew(DATA, epochs=9, attempt=diary.last, write_down=diary)
    assert (renewed.end_epoch, renewed.cost) == (10, 0)
    assert [p.what for p in net.ledger.paid(NAME)] == ["register", "extend"]
    assert net.publishers[1].faults.asked == 0


def test_renewal_of_what_has_ended_buys_it_anew(net, network):
    network.put(DATA, epochs=1)
    net.advance(1)
    assert not network.status(NAME).certified
    renewed = network.renew(DATA, epochs=2)
    assert (renewed.end_epoch, renewed.already) == (4, False)


def test_renewal_at_another_publisher_is_paid_from_the_beginning(net, network):
    network.put(DATA, epochs=3)
    net.publishers[0].stop()
    renewed = network.renew(DATA, epochs=9)
    assert (renewed.publisher, renewed.end_epoch) == (net.urls.publishers[1], 10)
    assert [p.what for p in net.ledger.paid(NAME)] == ["register", "register"]


def test_every_error_of_a_put_is_one_of_ours(net, network):
    for station in net.nodes:
        station.stop()
    with pytest.raises(HauloutError):
        network.put(DATA)
    assert net.publishers[0].faults.asked == 0, "what cannot be looked up is not paid"


def test_a_node_that_makes_up_registrations_hides_no_payment(net, network, diary, clock):
    counts = {"count_deletable_total": 3, "count_deletable_certified": 0}
    net.nodes[0].faults.status = {"deletable": {"deletableCounts": counts}}
    net.publishers[0].faults.dies_after_paying = True
    with pytest.raises(StoreUnavailableError):
        network.put(DATA, write_down=diary)
    assert diary.last.registered == 0
    for station in net.stations:
        station.faults.clear()
    clock.seconds += 10_000
    placed = network.put(DATA, attempt=diary.last, write_down=diary)
    assert (placed.publisher, placed.cost) == (net.urls.publishers[0], 0)
    assert paid(net) == 1


def test_threads_that_place_the_same_blob_pay_once(net, network):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(network.put(DATA, epochs=3))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(placed.already for placed in found) == [False] + [True] * 5
    assert paid(net) == 1
    assert network._placing == {}


def test_nodes_that_call_it_certified_must_give_its_metadata_too(net, network):
    for station in net.nodes:
        station.faults.forget = True
    with pytest.raises(StoreUnavailableError, match="nobody bears it out"):
        network.put(DATA)
    for station in net.nodes:
        station.faults.clear()
    network.confirm(NAME)
