"""`haulout walrus`."""

from __future__ import annotations

import json

import pytest

from haulout.storage.walrus.config import written
from haulout.testing.walrus.network import LoopbackNetwork


@pytest.fixture
def network():
    with LoopbackNetwork(nodes=4, n_shards=10, signatures=False) as net:
        yield net


@pytest.fixture
def published(mine, network, home):
    (home / "network.json").write_text(json.dumps(written(network.config())))
    mine("remember", "Ana is allergic to walnuts.")
    run = mine("walrus", "set", "--config", "network.json")
    assert run.code == 0
    return mine


def test_a_vault_goes_out_comes_back_and_says_until_when_it_stands(published, network, home):
    assert published("sync").code == 0
    shown = published("walrus", "show", "--json").json
    assert shown["held"]["waiting"] == 0
    assert shown["held"]["ends_in_days"] >= shown["keep_days"] == 7
    assert shown["n_shards"] == 10
    assert "publisher" in published("walrus", "show").out
    assert len(network.ledger.payments) == 1
    assert (home / "vault" / "locator.txt").read_text().startswith("haulout:1:")


def test_settings_change_one_at_a_time_and_removing_sends_nothing(published):
    assert published("walrus", "set", "--keep", "21", "--every", "0.5").code == 0
    shown = published("walrus", "show", "--json").json
    assert (shown["keep_days"], shown["cadence_days"], shown["n_shards"]) == (21, 0.5, 10)
    assert published("walrus", "remove").code == 0
    assert published("walrus", "show").code == 3
    assert published("walrus", "remove").code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("--publisher", "http://127.0.0.1:1"),
        ("--publisher", "ftp://a", "--aggregator", "http://b"),
        ("--publisher", "http://u:p@a", "--aggregator", "http://b"),
        ("--publisher", "http://a", "--aggregator", "http://b", "--keep", "-1"),
        ("--publisher", "http://a", "--aggregator", "http://b", "--pack-mib", "0"),
    ],
    ids=["nobody reads", "no http", "a password", "below nothing", "no pack"],
)
def test_what_cannot_be_meant_is_refused_and_sets_nothing(mine, arguments):
    assert mine("walrus", "set", *arguments).code == 2
    assert mine("walrus", "show").code == 3


def test_a_set_vault_stays_on_its_network_of_so_many_shards(published):
    assert published("walrus", "set", "--shards", "1000").code == 2
