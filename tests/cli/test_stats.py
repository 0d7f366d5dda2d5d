"""`haulout stats`."""

from __future__ import annotations


def test_the_vault_in_figures(mine, walnuts):
    mine("remember", "x", "-n", "work/acme")
    shown = dict(mine("stats").rows)
    assert (shown["vault"], shown["memories"], shown["recall"]) == ("~/vault", "2", "by words")
    assert shown["in work/acme"] == "1"
    stats = mine("stats", "--json").json
    assert stats["namespaces"] == {"default": 1, "work/acme": 1}
