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
