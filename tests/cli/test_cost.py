"""`haulout cost`."""

from __future__ import annotations


def test_it_counts_a_vault_that_is_not_there_yet(mine):
    found = mine("cost", "--memories", "2000", "--bytes", "300", "--daily", "100", "--json").json
    names = [place["name"] for place in found["places"]]
    assert names[:4] == ["local", "volumes", "s3", "walrus"]
    dollars = {place["name"]: place["dollars"] for place in found["places"]}
    assert dollars["walrus"] < dollars["walrus, a blob each"]
    assert found["growing"]["slack_days"] >= found["keep_days"]


def test_it_counts_this_vault_as_it_is(mine):
    mine("remember", "Ana is allergic to walnuts.")
    run = mine("cost")
    assert run.code == 0
    assert "walrus" in run.out
    dear = mine("cost", "--s3-gb-month", "1000", "--json").json["places"]
    cheap = mine("cost", "--json").json["places"]
    assert dear[2]["dollars"] > cheap[2]["dollars"]


def test_nothing_below_zero_is_counted(mine):
    assert mine("cost", "--memories", "-1").code == 2
    assert mine("cost", "--memories", "0").code == 2


def test_the_table_for_traders_needs_no_vault_and_has_its_three_rows_exactly(mine, tmp_path):
    found = mine("--vault", tmp_path / "none", "cost", "--trading", "--json").json
    rows = [(one["account"], one["fee"], one["share"]) for one in found["rows"]]
    assert rows == [(2000, 90, 112.5), (5000, 120, 60), (25000, 175, 17.5)]
    assert not (tmp_path / "none").exists()


def test_state_on_the_own_disk_costs_nothing_at_any_account(mine):
    found = mine("cost", "--trading", "--account", "700", "--json").json
    assert [(one["local"], one["share_local"]) for one in found["rows"]] == [(0, 0)] * 4
    stores = {one["name"]: one["dollars"] for one in found["stores"]}
    assert stores["local"] == stores["volumes"] == 0
    assert 0 < stores["s3"] < 0.05


def test_a_row_for_an_own_account_says_where_its_fee_comes_from(mine):
    found = mine("cost", "--trading", "--account", "10000", "--json").json["rows"]
    assert [(one["account"], one["source"]) for one in found][2] == (10000, "between")
    own = mine("cost", "--trading", "--account", "10000", "--fee", "40", "--json").json["rows"]
    assert (own[2]["fee"], own[2]["share"], own[2]["source"]) == (40, 10, "given")
    assert "drawn between two rows" in mine("cost", "--trading", "--account", "10000").out


def test_what_belongs_to_traders_and_what_to_a_vault_is_not_mixed(mine):
    assert mine("cost", "--trading", "--memories", "10").code == 2
    assert mine("cost", "--account", "2000").code == 2
    for wrong in (("--account", "0"), ("--account", "x"), ("--fee", "9"), ("--target", "-4")):
        assert mine("cost", "--trading", *wrong).code == 2


def test_its_help_promises_no_gain(mine):
    words = mine("cost", "--help").out
    assert "nobody promises" in " ".join(words.split())
    assert "profit" not in words.lower()
