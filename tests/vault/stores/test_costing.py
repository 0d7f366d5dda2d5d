"""What keeping a vault costs, counted by what publishes."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from vault.onwalrus import Calendar, with_walrus
from vault.publishing import silent

from haulout.log.lifetimes import Terms
from haulout.redstuff import encoded_length
from haulout.storage.walrus.cost import PriceTable, cost, units
from haulout.testing.walrus.network import LoopbackNetwork
from haulout.vault.stores import costing
from haulout.vault.stores.costing import DAYS_PER_MONTH, Rules, dollars, report
from haulout.vault.stores.simulating import Simulation, Workload
from haulout.vault.stores.walrussettings import PACK_BYTES, WalrusSettings

RULES = Rules(n_shards=1000, table=PriceTable(), terms=Terms(), pack_bytes=PACK_BYTES)


def test_a_hundred_thousand_memories_cost_less_than_five_cents_a_month() -> None:
    found = report(100_000, 300, 1000, 0, RULES)
    for bill in (found.growing, found.held, found.idle):
        assert 0 < bill.dollars <= 0.05
        assert bill.slack_days >= RULES.terms.keep_days
        assert sum(bill.parts.values()) == pytest.approx(bill.dollars)
        days = bill.days[1] - bill.days[0]
        paid = sum(found.curve[bill.days[0] : bill.days[1]]) / days * DAYS_PER_MONTH
        if bill is not found.idle:
            assert paid == pytest.approx(bill.dollars)
    places = {place.name: place for place in found.places}
    assert places["walrus, a blob each"].dollars == pytest.approx(152, rel=0.01)
    assert places["walrus, quilts"].dollars == pytest.approx(0.27, rel=0.1)
    assert found.steady == max(found.growing.dollars, found.held.dollars, found.idle.dollars)


def test_a_blob_costs_what_the_price_table_says() -> None:
    epochs, size = 3, 1_000_000
    bill = cost(size, 1000, epochs, PriceTable())
    assert dollars(size, epochs, RULES) == pytest.approx(
        bill.dollars * (bill.units * (1 << 20) / bill.encoded) * (epochs + 0.2) / epochs
    )


@pytest.mark.parametrize("keep", [2.0, 3.0, 7.0, 20.0])
@pytest.mark.parametrize("vectors", [False, True])
def test_whatever_is_kept_for_how_long_nothing_named_ends_sooner(
    keep: float, *, vectors: bool
) -> None:
    terms = Terms()._replace(keep_days=keep, vectors=vectors)
    simulation = Simulation(Workload(5000, 300, 300, 26_000), terms, 1024 * 1024)
    days = list(simulation.days(120))
    assert all(day.slack >= keep for day in days)
    assert all(day.slack > 0 for day in days)
    assert days[-1].memories == 26_000
    assert any(one.why == "renewals" for one in simulation.bought)


def test_a_vault_where_nothing_happens_is_written_again_and_renewed_and_no_more() -> None:
    simulation = Simulation(Workload(1000, 300, 0, 1000), Terms(), PACK_BYTES)
    list(simulation.days(140))
    # At once, and once an epoch but for the first, which is bought for one more: nobody says
    # when it began.
    assert len(simulation.bought) == 10


@pytest.mark.full
def test_the_simulated_bill_is_the_one_that_the_ledger_of_a_network_presents(
    tmp_path: Path,
) -> None:
    chance, days = random.Random(3), 44
    with LoopbackNetwork(nodes=4, n_shards=1000, signatures=False) as network:
        calendar = Calendar(network)
        vault, _ = with_walrus(
            tmp_path / "a", network, calendar, silence=60.0, read=60.0, put=120.0
        )
        with vault:
            for _ in range(days):
                texts = ["".join(chance.choices("abcdefgh ", k=300)) for _ in range(1000)]
                vault.remember_many([{"text": text} for text in texts])
                vault._remote.sync(silent, force=False)
                calendar.pass_days(1)
        presented = [one.amount for one in network.ledger.payments]
        prices = network.ledger.prices
    simulation = Simulation(Workload(0, 300, 1000, 10**6), Terms(), PACK_BYTES)
    list(simulation.days(days))
    counted = [
        units(encoded_length(one.size, 1000)) * (one.epochs * prices.storage + prices.write)
        for one in simulation.bought
    ]
    assert len(presented) == len(counted)
    assert sum(counted) == pytest.approx(sum(presented), rel=0.02)


@pytest.mark.parametrize(("n_shards", "size", "each"), [
    (10, 300, 6), (10, 20_000, 6), (100, 20_000, 66), (1000, 300, 650),
])  # fmt: skip
def test_a_network_of_few_shards_has_a_price_too(n_shards: int, size: int, each: int) -> None:
    settings = WalrusSettings(n_shards=n_shards)
    rules = msgspec.structs.replace(RULES, n_shards=n_shards, pack_bytes=settings.most_packed)
    found = report(700, size, 100, 0, rules)
    quilts = next(place for place in found.places if place.name == "walrus, quilts")
    assert quilts.blobs == -(-700 // each)
    assert f"{each} items each" in quilts.note


def test_large_memories_share_a_quilt_with_fewer_or_have_no_room_in_one() -> None:
    rules = msgspec.structs.replace(RULES, n_shards=10)
    held, quilted = costing._quilt(10, 1_000_000, rules)
    assert held == 1
    assert quilted >= encoded_length(1_000_000, 10)
    assert costing._quilt(10, 1_700_000, rules) == (0, 0)
    assert costing._quilt(0, 300, rules) == (0, 0)
