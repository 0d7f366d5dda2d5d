"""`haulout init`."""

from __future__ import annotations

import re

from haulout import RecoveryKit, Vault


def words_shown(text: str) -> list[str]:
    """The numbered words, by number."""
    found = {int(n): word for n, word in re.findall(r"\b(\d{1,2}) ([a-z]+)\b", text)}
    return [found[n] for n in range(1, 25)]


def test_it_makes_a_vault_and_shows_words_that_are_its_kit(haulout, home):
    run = haulout("init", "--yes")
    assert run.code == 0
    kit = RecoveryKit.from_words(" ".join(words_shown(run.out)))
    with Vault.open(home / "vault", embedder="none") as vault:
        assert vault.id == kit.vault_id.hex()
    assert "~/vault" in run.out
    assert "haulout remember" in run.out


def test_the_words_stand_in_the_json_answer_and_nothing_is_asked(haulout, home):
    answer = haulout("init", "--json").json
    assert str(home / "vault") == answer["path"]
    assert (
        RecoveryKit.from_words(" ".join(answer["recovery_kit"])).vault_id.hex() == answer["vault"]
    )


def test_without_a_terminal_it_makes_nothing_unless_told_to(haulout, home):
    run = haulout("init")
    assert (run.code, (home / "vault").exists()) == (2, False)
    assert "--yes" in run.err


def test_it_asks_for_two_words_and_shows_them_again_after_a_wrong_one(haulout, monkeypatch):
    pages, asked = [], []

    def prompt(question: str, **_: object) -> str:
        if question.startswith("Press Enter"):
            pages.append(question)
            return ""
        asked.append(int(re.findall(r"\d+", question)[0]))
        return "wrong" if len(asked) == 1 else shown()[asked[-1] - 1]

    def shown() -> list[str]:
        import sys

        return words_shown(sys.stdout.text())

    monkeypatch.setattr("click.prompt", prompt)
    run = haulout("init", terminal=True)
    assert (run.code, len(pages), len(asked)) == (0, 2, 3)
    assert asked[1] < asked[2]
    assert "another word" in run.out


def test_a_second_vault_is_not_made_in_the_same_place(mine):
    run = mine("init", "--yes")
    assert run.code == 5
    assert "already" in run.err


def test_a_passphrase_protects_the_key_file(haulout, monkeypatch):
    monkeypatch.setenv("HAULOUT_PASSPHRASE", "low tide")
    assert haulout("init", "--yes", "--passphrase").code == 0
    assert haulout("stats").code == 0
    monkeypatch.setenv("HAULOUT_PASSPHRASE", "high tide")
    assert haulout("stats").code == 5
    monkeypatch.delenv("HAULOUT_PASSPHRASE")
    run = haulout("stats")
    assert (run.code, "HAULOUT_PASSPHRASE" in run.err) == (5, True)


def test_on_a_terminal_the_passphrase_is_asked_for_until_it_is_right(haulout, monkeypatch):
    monkeypatch.setenv("HAULOUT_PASSPHRASE", "low tide")
    haulout("init", "--yes", "--passphrase")
    monkeypatch.delenv("HAULOUT_PASSPHRASE")
    typed = iter(["no", "low tide"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    run = haulout("stats", terminal=True)
    assert run.code == 0
    assert "wrong" in run.err
