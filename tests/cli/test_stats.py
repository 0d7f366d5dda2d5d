"""`haulout stats`."""

from __future__ import annotations


def test_the_vault_in_figures(mine, walnuts):
    mine("remember", "x", "-n", "work/acme")
    shown = dict(mine("stats").rows)
    assert (shown["vault"], shown["memories"], shown["recall"]) == ("~/vault", "2", "by words")
    assert shown["in work/acme"] == "1"
    stats = mine("stats", "--json").json
    assert stats["namespaces"] == {"default": 1, "work/acme": 1}


def test_what_each_store_holds_and_what_waits(spread):
    shown = dict(spread("stats").rows)
    assert shown["durability"] == "this disk and every store"
    spread("remember", "new")
    shown = dict(spread("stats").rows)
    assert "not everything" in shown["durability"]
    assert "1 waiting" in shown["volumes"]
    (store,) = spread("stats", "--json").json["stores"]
    assert (store["kind"], store["waiting"]) == ("volumes", 1)
