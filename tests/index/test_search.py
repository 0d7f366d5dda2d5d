"""Recall through a real vault: what may be seen, when it is seen, and what it never depends on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault.making import NOON, BagEmbedder, Clock, moment, new_vault, world

from haulout import Recalled, Vault
from haulout.index import lexical

WORDS = ["walnut", "Oslo", "Lisbon", "Ana", "Bob", "eats", "never", "where", "moved", "猫犬", "I"]
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
speakers = st.none() | st.sampled_from(["Ana", "Bob", "assistant", "Ana Bob", "Lisbon"])
items = st.builds(
    lambda text, speaker, session, day: {
        "text": text,
        "speaker": speaker,
        "session": session,
        "occurred_at": None if day is None else moment(NOON + day * 86_400_000_000),
    },
    words,
    speakers,
    st.none() | st.sampled_from(["s1", "s2"]),
    st.none() | st.integers(-400, 400),
)
Item = dict[str, Any]


def shown(found: list[Recalled]) -> list[tuple[str, float, dict[str, float]]]:
    """What a recall says, without IDs and times of recording."""
    return [(one.memory.text, one.score, one.why) for one in found]


def seal_all(vault: Vault) -> None:
    """Seal every namespace's fresh rows, however few they are."""

    def job(connection: Any) -> None:
        for (namespace,) in connection.execute("SELECT namespace FROM namespace").fetchall():
            lexical.seal_if_due(connection, 1, namespace)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "SEAL_AT", 1)
        vault._database.write(job)


# --- isolation -----------------------------------------------------------------------------


def recalls(
    mine: list[Item], theirs: list[tuple[int, Item]], query: str, *, vectors: bool
) -> list[tuple[str, float, dict[str, float]]]:
    """A recall in one namespace, with memories of another written in between."""
    embedder = BagEmbedder() if vectors else "none"
    # Times of recording are given, so that they do not depend on how much was written.
    with Vault.ephemeral(embedder=embedder, world=world(clock=Clock())) as vault:
        for place, item in enumerate(mine):
            for at, other in theirs:
                if at % (len(mine) + 1) == place:
                    vault.remember(**other, namespace="theirs")
            dated = {"occurred_at": moment(NOON + place)} | {k: v for k, v in item.items() if v}
            vault.remember(**dated, namespace="mine")
        for at, other in theirs:
            if at % (len(mine) + 1) == len(mine):
                vault.remember(**other, namespace="theirs")
        vault.catch_up()
        later = moment(NOON + 10**15)
        asked: list[dict[str, Any]] = [
            {}, {"as_of": later}, {"as_of": later, "valid_at": later}, {"since": moment(NOON)},
        ]  # fmt: skip
        return [
            one
            for more in asked
            for one in shown(vault.recall(query, namespace="mine", limit=50, explain=True, **more))
        ]


@settings(deadline=None, max_examples=60)
@given(
    mine=st.lists(items, min_size=1, max_size=8),
    theirs=st.lists(st.tuples(st.integers(0, 50), items), max_size=10),
    query=words,
)
def test_scores_do_not_depend_on_another_namespace(
    mine: list[Item], theirs: list[tuple[int, Item]], query: str
) -> None:
    alone = recalls(mine, [], query, vectors=False)
    assert recalls(mine, theirs, query, vectors=False) == alone


@settings(deadline=None, max_examples=50)
@given(
    mine=st.lists(items, min_size=1, max_size=6),
    theirs=st.lists(st.tuples(st.integers(0, 50), items), max_size=6),
    query=words,
)
def test_scores_of_vectors_do_not_depend_on_another_namespace(
    mine: list[Item], theirs: list[tuple[int, Item]], query: str
) -> None:
    alone = recalls(mine, [], query, vectors=True)
    assert recalls(mine, theirs, query, vectors=True) == alone


def test_a_namespace_is_a_name_a_subtree_or_everything() -> None:
    with Vault.ephemeral() as vault:
        for name in ("work", "work/acme", "work/acme/x", "workshop", "home"):
            vault.remember("walnut", namespace=name)

        def seen(pattern: str | None) -> set[str]:
            return {one.memory.namespace for one in vault.recall("walnut", namespace=pattern)}

        assert seen("work") == {"work"}
        assert seen("work/**") == {"work", "work/acme", "work/acme/x"}
        assert seen("work/acme/**") == {"work/acme", "work/acme/x"}
        assert seen(None) == seen("**") == {"work", "work/acme", "work/acme/x", "workshop", "home"}
        assert seen("nowhere") == seen("nowhere/**") == set()


# --- sealing, rebuilding, reopening --------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["remember", "remember", "update", "forget"]), items),
        min_size=1,
        max_size=10,
    ),
    seals=st.sets(st.integers(0, 9)),
    queries=st.lists(words, min_size=1, max_size=3),
)
def test_sealing_at_any_moment_changes_no_answer(
    steps: list[tuple[str, Item]], seals: set[int], queries: list[str]
) -> None:
    answers = []
    for moments in (set(), seals):
        with Vault.ephemeral(world=world()) as vault:
            ids: list[str] = []
            for place, (step, item) in enumerate(steps):
                if step == "remember" or not ids:
                    ids.append(vault.remember(**item).id)
                elif step == "update":
                    vault.update(ids[-1], item["text"])
                else:
                    vault.forget(ids.pop(0))
                if place in moments:
                    seal_all(vault)
                vault.recall(queries[0])  # what the caches hold must not matter, either
            answers.append([vault.recall(query, explain=True, limit=50) for query in queries])
            assert vault.check().sound
            vault.rebuild()
            assert vault.check().sound
            answers.append([vault.recall(query, explain=True, limit=50) for query in queries])
    assert answers[1:] == [answers[0]] * 3


def test_reopening_changes_no_answer(tmp_path: Path) -> None:
    vault, _ = new_vault(tmp_path / "v", embedder=BagEmbedder())
    vault.remember_many({"text": f"walnut {n}", "session": "s"} for n in range(20))
    vault.catch_up()
    before = vault.recall("walnut 3", explain=True)
    vault.close()
    with Vault.open(tmp_path / "v", embedder=BagEmbedder()) as again:
        assert again.recall("walnut 3", explain=True) == before


# --- filters and times ---------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    found=st.lists(items, min_size=1, max_size=12),
    since=st.none() | st.integers(-400, 400),
    until=st.none() | st.integers(-400, 400),
    speaker=st.none() | st.sampled_from(["Ana", "Bob"]),
    query=st.none() | words,
)
def test_filters_and_times_leave_exactly_what_meets_them(
    found: list[Item], since: int | None, until: int | None, speaker: str | None, query: str | None
) -> None:
    def at(days: int | None) -> Any:
        return None if days is None else moment(NOON + days * 86_400_000_000)

    with Vault.ephemeral(world=world()) as vault:
        kept = vault.remember_many(found)
        narrowed = vault.recall(
            query,
            since=at(since),
            until=at(until),
            filter=None if speaker is None else {"speaker": speaker},
            limit=100,
            explain=True,
        )
        whole = vault.recall(query, limit=100)
    expected = {
        memory.id
        for memory in kept
        if (speaker is None or memory.speaker == speaker)
        and (since is None or (memory.occurred_at or memory.recorded_at) >= at(since))
        and (until is None or (memory.occurred_at or memory.recorded_at) < at(until))
    }
    if query is None:
        assert {one.memory.id for one in narrowed} == expected
    else:
        assert {one.memory.id for one in narrowed} <= expected
        own = {m.id for m in kept if set(query.lower().split()) & {"walnut", "oslo", "猫犬"}
               and set(query.lower().split()) & set(m.text.lower().split())
               & {"walnut", "oslo", "猫犬"}}  # fmt: skip
        assert own & expected <= {one.memory.id for one in narrowed}
    assert {one.memory.id for one in narrowed} <= {m.id for m in kept}
    assert len(whole) <= len(kept)
    for one in narrowed:
        assert one.score == pytest.approx(sum(one.why.values()), abs=1e-9)


def test_a_filtered_recall_scores_as_if_the_rest_were_not_there() -> None:
    with Vault.ephemeral(world=world()) as vault, Vault.ephemeral(world=world()) as small:
        for number in range(6):
            item = {"text": f"walnut {'Oslo ' * number}", "occurred_at": moment(NOON + number)}
            vault.remember(**item, tags=["kept"])
            small.remember(**item)
            vault.remember("walnut walnut other", tags=["other"])
        found = vault.recall("walnut Oslo", tags=["kept"], explain=True)
        assert shown(found) == shown(small.recall("walnut Oslo", explain=True))


def test_without_a_question_the_newest_come_first() -> None:
    with Vault.ephemeral(world=world()) as vault:
        late = vault.remember("late", occurred_at=moment(NOON + 10**12))
        early = vault.remember("early", occurred_at=moment(NOON - 10**12))
        undated = vault.remember("undated")
        found = [one.memory.id for one in vault.recall()]
        assert found == [late.id, undated.id, early.id]
        assert [one.memory.id for one in vault.recall(limit=1)] == [late.id]


def test_why_is_empty_unless_asked_for() -> None:
    with Vault.ephemeral() as vault:
        vault.remember("walnut")
        assert vault.recall("walnut")[0].why == {}
        assert vault.recall("walnut", explain=True)[0].why != {}


# --- other processes -----------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> Any:
    """Two vaults on one folder: what two processes are to each other."""
    first, _ = new_vault(tmp_path / "v")
    second = Vault.open(tmp_path / "v", embedder="none")
    yield first, second
    first.close()
    second.close()


def found_by(vault: Vault, query: str | None = "walnut") -> list[str]:
    return sorted(one.memory.text for one in vault.recall(query, limit=100))


def test_every_write_is_recalled_at_once_by_the_other(two: tuple[Vault, Vault]) -> None:
    first, second = two
    memory = first.remember("walnut one")
    assert found_by(second) == ["walnut one"]
    second.update(memory.id, "walnut two")
    assert found_by(first) == ["walnut two"]
    first.remember("walnut in a new place", namespace="new")
    assert found_by(second) == ["walnut in a new place", "walnut two"]
    hidden = second.forget(memory.id, level="hidden")
    assert found_by(first) == ["walnut in a new place"]
    first.undo(hidden.op_id)
    assert found_by(second) == ["walnut in a new place", "walnut two"]
    second.forget(memory.id)
    assert found_by(first) == ["walnut in a new place"]
    seal_all(first)
    first.remember("walnut three")
    assert found_by(second) == ["walnut in a new place", "walnut three"]


@pytest.mark.parametrize("query", ["walnut", None])
def test_an_erasure_and_a_rebuild_elsewhere_leave_nothing_to_trip_over(
    two: tuple[Vault, Vault], query: str | None
) -> None:
    first, second = two
    memory = first.remember("walnut one")
    first.remember("walnut two")
    assert found_by(second, query) == ["walnut one", "walnut two"]
    first.forget(memory.id)
    first.rebuild()
    assert found_by(second, query) == ["walnut two"]
    assert second.check().sound


def test_a_recall_among_writes_sees_one_moment(two: tuple[Vault, Vault]) -> None:
    first, second = two
    first.remember("walnut to begin with")
    done = threading.Event()
    errors: list[BaseException] = []

    def look(vault: Vault) -> None:
        try:
            while not done.is_set():
                assert all("walnut" in text for text in found_by(vault))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=look, args=(vault,)) for vault in (first, first, second)]
    for thread in threads:
        thread.start()
    for number in range(40):
        memory = (first, second)[number % 2].remember(f"walnut {number}")
        if number % 10 == 3:
            first.forget(memory.id)
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(found_by(first)) == len(found_by(second)) == 1 + 40 - 4
