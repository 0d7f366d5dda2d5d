"""`haulout completion`."""

from __future__ import annotations

import os

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(haulout, shell):
    run = haulout("completion", shell)
    assert run.code == 0
    assert f"_HAULOUT_COMPLETE={shell}_complete" in run.out
    assert haulout("completion", shell, "--json").json["script"] == run.out.removesuffix("\n")


def test_the_script_gets_verbs_and_options(process):
    def completed(words: str, at: int) -> list[str]:
        asked = {"_HAULOUT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        os.environ.update(asked)
        try:
            return process().stdout.splitlines()
        finally:
            for name in asked:
                del os.environ[name]

    assert completed("haulout re", 1) == [
        "plain,remember",
        "plain,recall",
        "plain,restore",
        "plain,repair",
        "plain,replica",
        "plain,rebuild",
    ]
    assert "plain,--dry-run" in completed("haulout forget --d", 2)


def test_another_shell_is_a_mistake(haulout):
    assert haulout("completion", "tcsh").code == 2
