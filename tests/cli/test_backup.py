"""`haulout backup`."""

from __future__ import annotations


def test_it_seals_the_vault_in_one_file(mine, walnuts, home):
    run = mine("backup", "vault.haulout")
    data = (home / "vault.haulout").read_bytes()
    assert (run.code, data.startswith(b"haulout backup")) == (0, True)
    assert b"walnuts" not in data
    assert "haulout restore" in run.err


def test_a_file_that_is_there_is_kept_unless_told(mine, home):
    (home / "b").write_text("mine")
    assert mine("backup", "b").code == 4
    answer = mine("backup", "b", "--replace", "--json").json
    assert (home / "b").stat().st_size == answer["bytes"]


def test_a_folder_that_is_not_there_is_a_failure_of_storage(mine):
    assert mine("backup", "nowhere/b").code == 7


def test_it_says_that_states_are_in_it_and_when_they_could_not_be(mine, home):
    assert "of states" not in mine("backup", "before").out
    mine("state", "limit", "bots/btc", "usd/day", "100", "--new")
    assert "and 4 of states" in mine("backup", "with").out
    (home / "vault" / "state.db").write_bytes(b"x" * 8192)
    run = mine("backup", "without")
    assert run.code == 0
    assert "state.db" in run.err
    assert "holds no states" in run.err
