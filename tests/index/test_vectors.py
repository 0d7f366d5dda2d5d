"""Vectors: a caller's are ranked by cosine; a model's come from a queue and never mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault.making import BagEmbedder, new_vault

from haulout import Vault
from haulout.errors import InputError, LimitError
from haulout.index.rank import WEIGHTS


def rows_of(vault: Vault) -> list[tuple[str, int]]:
    """(model name, version) of every vector that is kept."""
    with vault._database.read() as connection:
        return connection.execute(  # type: ignore[return-value]
            "SELECT m.name, w.num FROM vector w JOIN model m ON m.model = w.model ORDER BY 2, 1"
        ).fetchall()


# --- vectors given by callers --------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 30), dimensions=st.integers(2, 40))
def test_a_callers_vectors_are_ranked_by_their_cosine(
    seed: int, count: int, dimensions: int
) -> None:
    random = np.random.default_rng(seed)
    given_ = random.normal(size=(count, dimensions))
    query = random.normal(size=dimensions)
    cosines = given_ @ query / np.linalg.norm(given_, axis=1) / np.linalg.norm(query)
    with Vault.ephemeral() as vault:
        # one length, one text: only the vectors tell them apart
        kept = vault.remember_many(
            {"text": "the same words", "vector": row, "tags": [str(place)]}
            for place, row in enumerate(given_)
        )
        found = vault.recall(vector=query, limit=count, explain=True)
    assert len(found) == len(kept)
    order = [int(one.memory.tags[0]) for one in found]
    placed = cosines[order]
    assert (placed[:-1] >= placed[1:] - 0.02).all()  # kept as one byte a number
    spread = float(cosines.std())
    for one, place in zip(found, order, strict=True):
        expected = WEIGHTS.meaning * (cosines[place] - cosines.mean()) / spread
        assert one.why.get("meaning", 0.0) == pytest.approx(expected, abs=0.01 / spread)


def test_a_vector_of_other_dimensions_is_never_compared() -> None:
    with Vault.ephemeral() as vault:
        vault.remember("two numbers", vector=[1.0, 0.0])
        vault.remember("three numbers", vector=[1.0, 0.0, 0.0])
        vault.remember("none")
        found = vault.recall("numbers", vector=[1.0, 0.1], explain=True)
        assert rows_of(vault) == [("caller/2", 3 + 1), ("caller/3", 3 + 2)]
    assert {one.memory.text for one in found if "meaning" in one.why} <= {"two numbers"}


def test_words_and_a_vector_are_asked_together() -> None:
    with Vault.ephemeral() as vault:
        vault.remember("walnuts", vector=[0, 1])
        vault.remember("cashews", vector=[1, 0])
        vault.remember("pecans", vector=[1, 1])
        assert vault.recall("walnuts", vector=[1, 0])[0].memory.text == "walnuts"
        assert vault.recall(vector=[1, 0])[0].memory.text == "cashews"


@pytest.mark.parametrize("vector", [[], [0, 0], [float("nan")], [[1, 2]], ["x"], 5])
def test_what_is_no_vector_is_refused(vector: Any) -> None:
    with Vault.ephemeral() as vault, pytest.raises((InputError, LimitError)):
        vault.recall(vector=vector)


def test_an_update_of_the_text_drops_its_vector_and_one_of_the_tags_keeps_it() -> None:
    with Vault.ephemeral() as vault:
        memory = vault.remember("old words", vector=[1, 0])
        vault.update(memory.id, tags=["kept"])
        assert [name for name, _ in rows_of(vault)] == ["caller/2", "caller/2"]
        vault.update(memory.id, "new words")
        assert len(rows_of(vault)) == 2
        assert vault.stats().waiting == 1
        vault.update(memory.id, "newer words", vector=[0, 1])
        assert len(rows_of(vault)) == 3
        assert vault.check().sound


# --- vectors of a model --------------------------------------------------------------------


def test_a_recall_embeds_the_newest_that_wait_and_catch_up_the_rest() -> None:
    embedder = BagEmbedder()
    with Vault.ephemeral(embedder=embedder) as vault:
        vault.remember_many({"text": f"memory number {n}"} for n in range(40))
        assert (vault.stats().waiting, vault.stats().vectors) == (40, 0)
        vault.recall("memory")
        embedded = [text for text in embedder.seen if text != "memory"]
        assert embedded == [f"memory number {n}" for n in range(39, 39 - len(embedded), -1)]
        assert vault.stats().vectors == len(embedded) > 0
        told: list[tuple[int, int | None]] = []
        left = 40 - len(embedded)
        assert vault.catch_up(progress=lambda *given: told.append(given)) == left
        assert told[-1] == (left, left)
        assert (vault.stats().waiting, vault.stats().vectors) == (0, 40)
        assert vault.catch_up() == 0
        assert vault.check().sound


def test_what_was_just_remembered_is_found_by_meaning() -> None:
    with Vault.ephemeral(embedder=BagEmbedder()) as vault:
        vault.remember("entirely different things")
        memory = vault.remember("Ana eats no walnuts")
        found = vault.recall("walnuts", explain=True)
        assert found[0].memory.id == memory.id
        assert found[0].why["meaning"] > 0


def test_the_question_is_embedded_once() -> None:
    embedder = BagEmbedder()
    with Vault.ephemeral(embedder=embedder) as vault:
        vault.remember("walnuts")
        for _ in range(3):
            vault.recall("which nuts?")
    assert embedder.seen.count("which nuts?") == 1


def test_another_model_embeds_everything_anew_and_they_never_mix(tmp_path: Path) -> None:
    first, second = BagEmbedder("one"), BagEmbedder("two")
    vault, _ = new_vault(tmp_path / "v", embedder=first)
    vault.remember_many({"text": f"memory {n}"} for n in range(5))
    given_ = vault.remember("with a vector of its own", vector=[1, 0])
    vault.catch_up()
    vault.close()
    with Vault.open(tmp_path / "v", embedder=second) as vault:
        assert vault.stats().waiting == 5
        assert vault.stats().vectors == 0
        vault.catch_up()
        names = [name for name, _ in rows_of(vault)]
        assert sorted(set(names)) == ["caller/2", "one", "two"]
        assert (names.count("one"), names.count("two"), names.count("caller/2")) == (5, 5, 1)
        assert vault.stats().vectors == 5
        scores = {one.memory.text: one.why for one in vault.recall("memory 3", explain=True)}
        assert "meaning" not in scores.get(given_.text, {})
        best = vault.recall("memory 3")[0].memory.text
        assert best == "memory 3"
        assert vault.check().sound
    with Vault.open(tmp_path / "v", embedder=second) as vault:
        assert vault.stats().waiting == 0  # the same model again: nothing to do


def test_a_process_with_the_former_model_does_not_eat_the_queue(tmp_path: Path) -> None:
    vault, _ = new_vault(tmp_path / "v", embedder=BagEmbedder("old"))
    vault.remember("one")
    vault.catch_up()
    with Vault.open(tmp_path / "v", embedder=BagEmbedder("new")) as changed:
        assert changed.stats().waiting == 1
        vault.remember("two")
        vault.recall("two")
        vault.catch_up()
        assert changed.stats().waiting == 2
        assert changed.catch_up() == 2
        assert changed.stats().vectors == 2
    vault.close()


def test_an_erased_memory_leaves_queue_and_vectors() -> None:
    with Vault.ephemeral(embedder=BagEmbedder()) as vault:
        one, two = vault.remember("embedded"), vault.remember("also embedded")
        vault.catch_up()
        waiting = vault.remember("waits")
        vault.recall("nothing waits for this", vector=[1, 0])
        vault.forget([one.id, waiting.id])
        assert len(rows_of(vault)) == 1
        assert vault.stats().waiting == 0
        assert [found.memory.id for found in vault.recall("embedded")] == [two.id]


def test_what_is_erased_while_it_is_embedded_gets_no_vector() -> None:
    class Slow(BagEmbedder):
        def embed(self, texts: Any) -> Any:
            if texts == ["gone"]:
                vault.forget(memory.id)
            return super().embed(texts)

    with Vault.ephemeral(embedder=Slow()) as vault:
        memory = vault.remember("gone")
        assert vault.catch_up() == 1
        assert rows_of(vault) == []
        assert vault.check().sound


def test_a_long_text_is_found_by_its_best_passage() -> None:
    filler = ". ".join(f"Sentence {n} is about nothing at all" for n in range(80)) + ". "
    with Vault.ephemeral(embedder=BagEmbedder(dimensions=64)) as vault:
        long = vault.remember(filler + "Ana eats no walnuts whatsoever.")
        vault.remember("Something else entirely is told here.")
        vault.catch_up()
        parts = len(rows_of(vault)) - 1
        assert parts > 1
        found = vault.recall("Ana eats no walnuts whatsoever", explain=True)
        assert found[0].memory.id == long.id


def test_rebuild_keeps_vectors_unless_told_to_make_them_again() -> None:
    embedder = BagEmbedder()
    with Vault.ephemeral(embedder=embedder) as vault:
        vault.remember_many({"text": f"memory {n}"} for n in range(5))
        vault.remember("given", vector=[1, 0])
        vault.catch_up()
        before, seen = rows_of(vault), len(embedder.seen)
        answers = vault.recall("memory 3", explain=True)
        vault.rebuild()
        assert rows_of(vault) == before
        assert vault.recall("memory 3", explain=True) == answers
        vault.rebuild(vectors=True)
        assert [name for name, _ in rows_of(vault)] == ["caller/2"]
        vault.catch_up()
        assert sorted(rows_of(vault)) == sorted(before)
        assert len(embedder.seen) == seen + 1 + 5  # the question, and every memory again
        assert vault.recall("memory 3", explain=True) == answers
        assert vault.check().sound
