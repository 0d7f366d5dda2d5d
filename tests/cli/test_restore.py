"""`haulout restore`."""

from __future__ import annotations

import shutil

import pytest

from haulout import Vault
from haulout.log import published


@pytest.fixture
def saved(mine, walnuts, home):
    mine("backup", "b")
    return mine


def second(home):
    return ("--vault", home / "second")


def numbered(words: str) -> str:
    return "\n".join(f"{n}. {word.title()}" for n, word in enumerate(words.split(), 1))


def test_the_words_open_it_from_a_file_or_a_pipe_numbered_or_not(saved, kit, home, walnuts):
    (home / "kit.txt").write_text(kit)
    run = saved(*second(home), "restore", "b", "--kit-file", "kit.txt")
    assert (run.code, "Restored 1 memory to ~/second." in run.out) == (0, True)
    assert saved(*second(home), "list").rows[0][0] == walnuts
    third = ("--vault", home / "third")
    assert saved(*third, "restore", "b", "--kit-file", "-", stdin=numbered(kit)).code == 0


def test_a_person_types_them_on_several_lines(saved, kit, home):
    words = kit.split()
    typed = " ".join(words[:10]) + "\n" + " ".join(words[10:]) + "\n"
    assert saved(*second(home), "restore", "b", stdin=typed, terminal=True).code == 0


def test_an_end_before_the_last_word_stops_it(saved, kit, home):
    assert saved(*second(home), "restore", "b", stdin="one two\n", terminal=True).code == 130
    assert not (home / "second").exists()


@pytest.mark.parametrize(
    ("words", "code"), [("abandon " * 23 + "art", 5), ("abandon " * 24, 2), ("few words", 2)]
)
def test_other_words_do_not(saved, home, words, code):
    run = saved(*second(home), "restore", "b", "--kit-file", "-", stdin=words)
    assert (run.code, (home / "second").exists()) == (code, False)


def test_it_is_not_made_over_a_vault(saved, kit):
    assert saved("restore", "b", "--kit-file", "-", stdin=kit).code == 5


def test_without_a_terminal_it_wants_a_kit_file(saved):
    run = saved("restore", "b")
    assert (run.code, "--kit-file" in run.err) == (2, True)


def test_what_is_no_backup_is_said(mine, kit, home):
    (home / "b").write_text("no")
    assert mine(*second(home), "restore", "b", "--kit-file", "-", stdin=kit).code == 2


# --- from stores ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file", "text"])
def test_a_vault_comes_back_from_its_locator_and_the_words(spread, kit, home, walnuts, how):
    text = spread("locator", "--output", "locator.txt") and (home / "locator.txt").read_text()
    before = spread("recall", "walnuts", "--json").json
    (home / "kit.txt").write_text(kit)
    shutil.rmtree(home / "vault")
    shutil.rmtree(home / "v1")
    source = "locator.txt" if how == "file" else text
    run = spread("restore", source, "--kit-file", "kit.txt", "--limit-down", "100000000")
    assert run.code == 0
    assert "Restored 1 memory to ~/vault." in run.out
    assert "+ 0 failed" in run.out
    after = spread("recall", "walnuts", "--json").json
    assert [(one["memory"]["id"], one["score"]) for one in after] == [
        (one["memory"]["id"], one["score"]) for one in before
    ]
    assert spread("check", "--remote").code == 0
    assert spread("repair", "--adopt", "v1").code == 0


def test_what_did_not_come_back_is_named_and_counted_and_exits_with_6(spread, kit, home):
    spread("remember", "a file", "--attach", "-", stdin=b"its bytes" * 1000)
    spread("sync")
    spread("locator", "--output", "locator.txt")
    with Vault.open(home / "vault", embedder="none") as vault:
        row = vault._remote.row("volumes")
        with vault._database.read() as connection:
            (place,) = published.chunk_places(connection, row.number)
        assert vault._remote.store(row).delete(place.ref.blob)
    shutil.rmtree(home / "vault")
    run = spread("restore", "locator.txt", "--kit-file", "-", "--json", stdin=kit)
    assert run.code == 6
    found = run.json["restored"]
    assert (found["failed"], found["chunks"], found["failed_chunks"]) == (0, 0, 1)
    assert place.chunk.hex() in found["failures"][0]
    assert run.json["memories"] == 2


def test_where_the_keys_are_lost_it_says_which_part_and_makes_nothing(spread, kit, home):
    spread("locator", "--output", "locator.txt")
    with Vault.open(home / "vault", embedder="none") as vault:
        row = vault._remote.row("volumes")
        assert vault._remote.store(row).delete(row.state.runs[0].run.segment.blob)
    run = spread(*second(home), "restore", "locator.txt", "--kit-file", "-", stdin=kit)
    assert (run.code, "run 1 of 1" in run.err) == (6, True)
    assert spread(*second(home), "list").code != 0


def test_a_locator_that_was_mistyped_is_said(spread, kit, home):
    text = spread("locator").out.strip()
    at = len(text) // 2
    other = "a" if text[at] != "a" else "b"
    run = spread(*second(home), "restore", text[:at] + other + text[at + 1 :], "--kit-file", "-",
                 stdin=kit)  # fmt: skip
    assert run.code == 2
    assert not (home / "second").exists()


def test_the_words_of_another_vault_find_no_head(spread, home):
    other, kit = Vault.create(home / "other", embedder="none")
    other.close()
    text = spread("locator").out
    run = spread(*second(home), "restore", text, "--kit-file", "-", stdin=kit.words)
    assert run.code != 0
    assert "vault" in run.err
    assert not (home / "second" / "vault.json").exists()


def test_stores_that_are_all_away_exit_with_7(spread, kit, home):
    text = spread("locator").out
    for name in ("v0", "v1", "v2"):
        shutil.rmtree(home / name)
    run = spread(*second(home), "restore", text, "--kit-file", "-", stdin=kit)
    assert run.code == 7
