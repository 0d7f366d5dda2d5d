"""`haulout restore`."""

from __future__ import annotations

import pytest


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
