"""What a vault does where a part is missing: no question, no match, no model, an old index."""

from __future__ import annotations

from pathlib import Path

import pytest

from haulout import Vault
from haulout.errors import ModelError
from haulout.vault.meaning import WordsOnlyWarning


class Unreachable:
    """An embedder whose server is down."""

    model = "unreachable"
    dimensions = 4

    def embed(self, _texts):
        message = "The server does not answer."
        raise ModelError(message)


def test_without_a_question_the_newest_come_first():
    with Vault.ephemeral() as vault:
        for text in ("one apple", "two pears are here, and a longer text", "three"):
            vault.remember(text)
        found = [one.memory.text for one in vault.recall(limit=2)]
        assert found == ["three", "two pears are here, and a longer text"]


def test_by_words_alone_what_shares_no_word_is_not_an_answer():
    with Vault.ephemeral() as vault:
        vault.remember("one apple")
        vault.remember("two pears")
        assert [one.memory.text for one in vault.recall("which pear?")] == ["two pears"]
        assert vault.recall("zebra") == []


def test_a_model_that_fails_leaves_recall_by_words_and_says_so():
    with Vault.ephemeral(embedder=Unreachable()) as vault:
        vault.remember("two pears")
        with pytest.warns(WordsOnlyWarning, match="does not answer"):
            found = vault.recall("pears")
        assert [one.memory.text for one in found] == ["two pears"]


def test_an_index_of_another_analyzer_is_made_again_as_the_vault_opens(tmp_path: Path):
    vault, _ = Vault.create(tmp_path / "v", embedder="none")
    vault.remember("two pears")
    vault._database.write(
        lambda connection: [
            connection.execute("UPDATE setting SET value = 'old' WHERE name = 'analyzer'"),
            connection.execute("DELETE FROM fresh"),
        ]
    )
    vault.close()
    with Vault.open(tmp_path / "v", embedder="none") as vault:
        assert [one.memory.text for one in vault.recall("pears")] == ["two pears"]
        assert vault.check().sound
