"""The inverted index against a dict: adding, sealing, removing, in any order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.index import lexical
from haulout.index.lexical import PostingCache, counts_of
from haulout.index.schema import INDEX_TABLES

Expected = dict[tuple[int, str], dict[int, int]]
TERMS = st.lists(st.sampled_from(["walnut", "oslo", "猫犬", "x" * 60, "3"]), max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 3), TERMS),
        st.tuples(st.just("remove"), st.integers(0, 40), st.none()),
        st.tuples(st.just("seal"), st.integers(1, 3), st.none()),
        st.tuples(st.just("look"), st.none(), st.none()),
    ),
    max_size=30,
)


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    found = apsw.Connection(":memory:")
    found.execute(INDEX_TABLES).fetchall()
    yield found
    found.close()


def looked_up(cache: PostingCache, connection: Any, namespace: int, term: str) -> dict[int, int]:
    nums, counts = cache.postings(connection, 1, [namespace], term)
    found = dict(zip(nums.tolist(), counts.tolist(), strict=True))
    assert len(found) == len(nums), "no version twice"
    return found


def expected_of(kept: dict[int, tuple[int, list[str]]]) -> Expected:
    found: Expected = {}
    for num, (namespace, terms) in kept.items():
        for term, count in counts_of(terms).items():
            found.setdefault((namespace, term), {})[num] = count
    return found


@settings(deadline=None)
@given(steps=STEPS)
def test_the_index_holds_what_a_dict_would(steps: list[Any]) -> None:
    connection: Any = apsw.Connection(":memory:")
    connection.execute(INDEX_TABLES).fetchall()
    kept: dict[int, tuple[int, list[str]]] = {}
    old_cache, num = PostingCache(), 0
    for step, value, terms in [*steps, ("look", None, None)]:
        match step:
            case "add":
                num += 1
                kept[num] = value, terms
                lexical.add(connection, 1, value, num, counts_of(terms))
            case "remove" if value in kept:
                namespace, held = kept.pop(value)
                lexical.remove(connection, 1, namespace, value, held)
            case "seal":
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(lexical, "SEAL_AT", 1)
                    lexical.seal_if_due(connection, 1, value)
            case "look":
                expected = expected_of(kept)
                for cache in (old_cache, PostingCache()):
                    cache.refresh(connection, 1)
                    for namespace in (1, 2, 3):
                        for term in ("walnut", "oslo", "猫犬", "x" * 60, "3", "unknown"):
                            assert looked_up(cache, connection, namespace, term) == expected.get(
                                (namespace, term), {}
                            )
            case _:
                pass
    every = sorted(lexical.every_posting(connection))
    assert every == sorted(
        (namespace, term, num, count)
        for (namespace, term), found in expected_of(kept).items()
        for num, count in found.items()
    )
    words = {row[0] for row in connection.execute("SELECT DISTINCT term FROM posting")}
    assert words <= {term for _, terms in kept.values() for term in terms}
    connection.close()


def test_several_namespaces_are_looked_up_together(connection: Any) -> None:
    for num, namespace in ((1, 1), (2, 2), (3, 1), (4, 3)):
        lexical.add(connection, 1, namespace, num, {"walnut": num})
    cache = PostingCache()
    cache.refresh(connection, 1)
    nums, counts = cache.postings(connection, 1, [1, 2], "walnut")
    assert sorted(zip(nums.tolist(), counts.tolist(), strict=True)) == [(1, 1), (2, 2), (3, 3)]


def test_a_term_is_counted_up_to_65535_times() -> None:
    assert counts_of(["a"] * 70_000 + ["b"]) == {"a": 65_535, "b": 1}


def test_sealing_waits_for_enough_rows(connection: Any) -> None:
    for num in range(1, lexical.SEAL_AT):
        lexical.add(connection, 1, 1, num, {"walnut": 1})
    lexical.seal_if_due(connection, 1, 1)
    assert connection.execute("SELECT count(*) FROM posting").fetchone() == (0,)
    lexical.add(connection, 1, 1, lexical.SEAL_AT, {"walnut": 1})
    lexical.seal_if_due(connection, 1, 1)
    assert connection.execute("SELECT count(*) FROM posting").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM fresh").fetchone() == (0,)


def test_a_full_cache_is_emptied_and_answers_the_same(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexical, "SEAL_AT", 1)
    monkeypatch.setattr(lexical, "_CACHED_ENTRIES", 2)
    for num in range(1, 5):
        lexical.add(connection, 1, 1, num, {"walnut": 1, "oslo": num})
    lexical.seal_if_due(connection, 1, 1)
    cache = PostingCache()
    cache.refresh(connection, 1)
    for _ in range(3):
        assert looked_up(cache, connection, 1, "walnut") == {1: 1, 2: 1, 3: 1, 4: 1}
        assert looked_up(cache, connection, 1, "oslo") == {1: 1, 2: 2, 3: 3, 4: 4}
