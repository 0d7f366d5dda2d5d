"""Lists of near vectors: the same answers where all are opened, and never anything wrong."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crash import builders
from crash.processes import child
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from vault.making import new_vault, to_first_step

from haulout import Vault
from haulout.index import lists, memories, nearness, probing, vectors
from haulout.index.rank import WEIGHTS
from haulout.log.record import id_bytes
from haulout.vault import dividing

DIMENSIONS = 24
Floats = NDArray[np.float64]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (lists, "DIVIDED_FROM"),
        (nearness, "LEAST_SAMPLED"),
        (probing, "PROBED"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    builders.make_small()
    monkeypatch.setattr(dividing, "_WRITTEN_AT_ONCE", 40)


def drawn(seed: int, count: int) -> Floats:
    """Vectors in clusters."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(8, DIMENSIONS))
    return centres[random.integers(0, 8, count)] + random.normal(size=(count, DIMENSIONS)) / 2


def filled(seed: int = 1, count: int = 600, namespace: str = "own") -> Vault:
    vault = Vault.ephemeral(embedder="none")
    remember(vault, drawn(seed, count), namespace)
    return vault


def remember(vault: Vault, vectors: Floats, namespace: str = "own") -> list[str]:
    items = [{"text": "some words", "vector": v, "namespace": namespace} for v in vectors]
    return [memory.id for memory in vault.remember_many(items)]


def listed(vault: Vault) -> list[int]:
    """The version of every vector in any list, the sample's copies apart."""
    with vault._database.read() as connection:
        rows = connection.execute("SELECT nums FROM vector_list WHERE mean != x''").fetchall()
    return sorted(num for (nums,) in rows for num in np.frombuffer(nums, "<i8").tolist())


def divisions(vault: Vault) -> list[tuple[int, int]]:
    with vault._database.read() as connection:
        rows = connection.execute("SELECT division, ready FROM division ORDER BY division")
        return rows.fetchall()  # type: ignore[return-value]


def asked(vault: Vault, query: Floats, **arguments: Any) -> list[tuple[str, float]]:
    found = vault.recall(vector=query, explain=True, **arguments)
    return [(one.memory.id, one.score) for one in found]


def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearness, "LEAST_SAMPLED", 10**9)


# --- equal answers -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_with_every_list_open_the_order_is_that_of_comparing_all(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(seed) as vault:
        queries = drawn(seed + 100, 6)
        before = [asked(vault, query, limit=30) for query in queries]
        vault.catch_up()
        assert len(listed(vault)) == 600
        probed = [asked(vault, query, limit=30) for query in queries]
        for plain, found in zip(before, probed, strict=True):
            assert [one for one, _ in found] == [one for one, _ in plain]
            scores = np.array([[a, b] for (_, a), (_, b) in zip(plain, found, strict=True)])
            assert np.allclose(scores[:, 0], scores[:, 1], rtol=0.35, atol=0.03)
        exact(monkeypatch)
        for query, plain in zip(queries, before, strict=True):
            compared = asked(vault, query, limit=30)
            assert [one for one, _ in compared] == [one for one, _ in plain]
            assert np.allclose([s for _, s in compared], [s for _, s in plain], atol=1e-5)
        assert vault.check().sound


def test_mean_and_spread_are_those_of_the_visible_rows() -> None:
    with filled(3, 4000) as vault:
        vault.catch_up()
        for query in drawn(9, 5):
            found = vault.recall(vector=query, explain=True, limit=1000)
            with vault._database.read() as connection:
                rows = connection.execute("SELECT codes FROM vector").fetchall()
            codes = np.array([np.frombuffer(row[0], np.int8) for row in rows], np.float64)
            unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
            cosines = unit @ query / np.linalg.norm(query)
            best = np.sort(cosines)[::-1][:50]
            expected = WEIGHTS.meaning * (best - cosines.mean()) / cosines.std()
            told = [one.why["meaning"] for one in found[:50]]
            assert np.allclose(told, expected, rtol=0.1, atol=0.01)


def test_few_open_lists_find_most_of_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    with filled(5, 3000) as vault:
        queries = drawn(5, 3000)[::100] + drawn(8, 30) / 4
        before = [asked(vault, query) for query in queries]
        vault.catch_up()
        monkeypatch.setattr(probing, "PROBED", 12)
        shared = [
            len({one for one, _ in plain} & {one for one, _ in asked(vault, query)})
            for query, plain in zip(queries, before, strict=True)
        ]
    assert sum(shared) >= 0.97 * 10 * len(queries)


def test_no_returned_score_holds_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    with filled(3, 900) as vault:
        vectors = drawn(21, 60)
        vault.remember_many({"text": f"walnut {n}", "vector": v} for n, v in enumerate(vectors))
        vault.catch_up()
        vault.remember_many({"text": "own", "vector": v} for v in drawn(5, 300))
        vault.rebuild()
        monkeypatch.setattr(probing, "PROBED", 1)
        query = drawn(22, 1)[0]
        found = vault.recall("walnut", vector=query, explain=True, limit=60)
        places = [int(one.memory.text.split()[1]) for one in found if "walnut" in one.memory.text]
        assert len(places) > 50
        cosine = vectors[places] @ query / np.linalg.norm(vectors[places], axis=1)
        told = [one.why["meaning"] for one in found if "walnut" in one.memory.text]
        slope, start = np.polyfit(cosine, told, 1)
        assert np.allclose(told, slope * cosine + start, atol=0.005)


def test_a_small_scope_or_a_filter_is_compared_one_by_one() -> None:
    with filled(2) as vault:
        few = vault.remember_many(
            {"text": "tagged", "vector": row, "namespace": "own", "tags": ["few"]}
            for row in drawn(7, 40)
        )
        small = remember(vault, drawn(6, 50), "small")
        vault.catch_up()
        query = drawn(11, 1)[0]
        cosine = drawn(7, 40) @ query / np.linalg.norm(drawn(7, 40), axis=1)
        found = [one for one, _ in asked(vault, query, tags=["few"], limit=40)]
        assert found[:5] == [few[place].id for place in np.argsort(-cosine)[:5]]
        cosine = drawn(6, 50) @ query / np.linalg.norm(drawn(6, 50), axis=1)
        order = [small[place] for place in np.argsort(-cosine)]
        assert [one for one, _ in asked(vault, query, namespace="small", limit=5)] == order[:5]
        own = drawn(6, 50)[10] * 9
        assert asked(vault, own)[0][0] == small[10]


@pytest.mark.parametrize("opened", [6, 1000])
def test_a_strangers_vectors_move_nothing(opened: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PROBED", opened)

    def answers(*, strangers: int) -> list[list[float]]:
        with filled(1) as vault:
            remember(vault, drawn(77, strangers), "stranger") if strangers else None
            vault.catch_up()
            assert len(divisions(vault)) == 1 + (strangers >= 200)
            remember(vault, drawn(78, 30), "stranger") if strangers else None
            remember(vault, drawn(4, 20))
            return [
                [score for _, score in asked(vault, query, namespace="own", limit=50)]
                for query in drawn(12, 4)
            ]

    alone = answers(strangers=0)
    assert answers(strangers=50) == alone
    assert answers(strangers=700) == alone


def test_lists_of_another_namespace_are_never_opened() -> None:
    with filled(1) as vault:
        remember(vault, drawn(1, 700), "stranger")
        vault.catch_up()
        query = drawn(1, 600)[0]
        asked(vault, query, namespace="own")
        held = vault._searcher._nearness[f"caller/{DIMENSIONS}"]._lists
        own = set(np.flatnonzero(held._namespace == 1).tolist())
        assert set(np.flatnonzero(held._open).tolist()) == own
        assert len(own) < len(held._namespace)


def test_a_text_of_several_passages_is_known_by_its_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(1)

    class Passages:
        model, dimensions = "passages", DIMENSIONS

        def embed(self, texts: Any) -> Any:
            rows = random.normal(size=(len(texts), DIMENSIONS))
            for row, text in zip(rows, texts, strict=True):
                if "walnuts" in text:
                    row[:] = 1
            return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    filler = ". ".join(f"Sentence {n} is about nothing at all" for n in range(80)) + ". "
    with Vault.ephemeral(embedder=Passages()) as vault:
        vault.remember_many({"text": f"note {n}"} for n in range(300))
        long = vault.remember(filler + "Ana eats no walnuts whatsoever.")
        vault.catch_up()
        assert len(listed(vault)) > 301
        found = vault.recall("walnuts", explain=True, limit=300)
        assert found[0].memory.id == long.id
        assert vault.check().sound
        looked_up: list[int] = []

        def noted(connection: Any, model: int, nums: list[int]) -> Any:
            looked_up.extend(nums)
            return vectors.vectors_of(connection, model, nums)

        monkeypatch.setattr(nearness, "vectors_of", noted)
        vault.recall("walnuts")
        with vault._database.read() as connection:
            place = memories.place_of(connection, 1, id_bytes(long.id))
        assert place is not None
        assert looked_up == [place.memory]  # every list is open, and of all others that is enough


# --- what is new, changed and gone ---------------------------------------------------------


def test_a_new_vector_is_found_at_once_and_an_updated_one_no_longer() -> None:
    with filled() as vault:
        vault.catch_up()
        query = drawn(50, 1)[0] * 3
        asked(vault, query)
        new = vault.remember("newest", vector=query, namespace="own")
        assert asked(vault, query)[0][0] == new.id
        vault.update(new.id, "turned away", vector=-query)
        assert new.id not in [one for one, _ in asked(vault, query)]
        assert asked(vault, -query)[0][0] == new.id


def test_a_new_memory_without_a_vector_counts_as_average() -> None:
    with filled() as vault:
        vault.catch_up()
        query = drawn(50, 1)[0]
        asked(vault, query)
        new = vault.remember("walnut", namespace="own")
        found = vault.recall("walnut", vector=query, explain=True, limit=700)
        assert len(found) == 601
        assert all(np.isfinite(one.score) for one in found)
        assert "meaning" not in next(one.why for one in found if one.memory.id == new.id)


def test_the_erased_leave_lists_sample_and_means() -> None:
    with filled(count=800) as vault:
        vault.catch_up()
        query = drawn(60, 1)[0]
        near = [one for one, _ in asked(vault, query, limit=400)]
        vault.forget(near)
        with vault._database.read() as connection:
            gone = {row[0] for row in connection.execute("SELECT num FROM erased")}
            rows = connection.execute("SELECT mean, nums, codes FROM vector_list").fetchall()
        assert len(gone) == 400
        for mean, nums, codes in rows:
            members = np.frombuffer(nums, "<i8")
            assert len(members)
            assert not gone & set(members.tolist())
            if mean:
                unit = np.frombuffer(codes, np.int8).reshape(len(members), -1).astype(np.float64)
                unit /= np.linalg.norm(unit, axis=1, keepdims=True)
                assert np.allclose(np.frombuffer(mean, "<f4"), unit.mean(axis=0), atol=1e-5)
        assert not set(near) & {one for one, _ in asked(vault, query, limit=400)}
        held = vault._searcher._nearness[f"caller/{DIMENSIONS}"]._lists
        assert not gone & set(held._nums.tolist())
        assert vault.check().sound
        vault.forget([memory.id for memory in vault.list(limit=1000).memories])
        assert listed(vault) == []
        assert vault.check().sound


def test_another_process_forgets_what_was_erased_before_its_lists_were_opened(
    tmp_path: Path,
) -> None:
    first, _ = new_vault(tmp_path / "v")
    remember(first, drawn(1, 600))
    first.catch_up()
    query = drawn(2, 1)[0]
    with Vault.open(tmp_path / "v", embedder="none") as second:
        near = [one for one, _ in asked(second, query, limit=100)]
        second._searcher._nearness[f"caller/{DIMENSIONS}"]._lists._release(DIMENSIONS)
        first.forget(near[:50])
        assert [one for one, _ in asked(second, query, limit=50)] == near[50:100]
    first.close()


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_whatever_is_done_the_nearest_of_what_stands_come_back(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 1000))
    random = np.random.default_rng(seed)
    with Vault.ephemeral(embedder="none") as vault:
        vectors = dict(zip(remember(vault, some := drawn(seed, 260)), some, strict=True))
        for _ in range(data.draw(st.integers(1, 10))):
            step = data.draw(
                st.sampled_from(["write", "many", "forget", "hide", "update", "build", "rebuild"])
            )
            ids = list(vectors)
            picked = [ids[place] for place in random.permutation(len(ids))[:9]]
            if step in {"write", "many"}:
                some = drawn(int(random.integers(1 << 30)), 60 if step == "many" else 1)
                vectors |= dict(zip(remember(vault, some), some, strict=True))
            elif step in {"forget", "hide"}:
                vault.forget(picked, level="destroyed" if step == "forget" else "hidden")
                vectors = {one: v for one, v in vectors.items() if one not in picked}
            elif step == "update":
                for one in picked[:2]:
                    vectors[one] = random.normal(size=DIMENSIONS)
                    vault.update(one, "other words", vector=vectors[one])
            elif step == "build":
                vault.catch_up()
            else:
                vault.rebuild()
            ids, rows = list(vectors), np.array(list(vectors.values()))
            query = random.normal(size=DIMENSIONS)
            cosine = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
            found = [one for one, _ in asked(vault, query, limit=5)]
            place = {one: number for number, one in enumerate(ids)}
            told = cosine[[place[one] for one in found]]
            assert np.allclose(told, np.sort(cosine)[::-1][:5], atol=0.02)
        assert vault.check().problems == ()


# --- building ------------------------------------------------------------------------------


def test_few_vectors_are_not_divided_and_grown_ones_are_divided_anew() -> None:
    with filled(count=150) as vault:
        vault.catch_up()
        assert divisions(vault) == []
        remember(vault, drawn(2, 100))
        vault.catch_up()
        assert divisions(vault) == [(1, 1)]
        remember(vault, drawn(3, 20))
        vault.catch_up()
        assert divisions(vault) == [(1, 1)]
        remember(vault, drawn(4, 60))
        vault.catch_up()
        assert divisions(vault) == [(2, 1)]
        assert len(listed(vault)) == 330


@pytest.mark.parametrize("step", [0, 1, 5, 10])
def test_a_build_that_stops_leaves_right_answers_and_the_next_sweeps_it(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled() as vault:
        query, stops, put = drawn(3, 1)[0], builders.at_step(step), lists.put
        before = asked(vault, query, limit=20)

        def stopping(*given_: Any) -> bool:
            if next(stops):
                raise KeyboardInterrupt
            return put(*given_)

        monkeypatch.setattr(lists, "put", stopping)
        with pytest.raises(KeyboardInterrupt):
            vault.catch_up()
        assert divisions(vault) == [(1, 0)]
        assert asked(vault, query, limit=20) == before
        near = before[0][0]
        vault.forget(near)
        assert vault.check().sound
        with vault._database.read() as connection:
            gone = {row[0] for row in connection.execute("SELECT num FROM erased")}
        assert not gone & set(listed(vault))
        monkeypatch.setattr(lists, "put", put)
        vault.catch_up()
        assert divisions(vault) == [(2, 1)]
        assert len(listed(vault)) == 599
        assert near not in [one for one, _ in asked(vault, query, limit=100)]
        assert vault.check().sound


def test_what_is_erased_while_a_division_is_written_is_not_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with filled() as vault:
        ids = [memory.id for memory in vault.list(limit=1000).memories]
        put, left = lists.put, [ids[:7], ids[7:20], ids[20:90]]

        def forgetting(*given_: Any) -> bool:
            done = put(*given_)
            if left:
                threading.Thread(target=vault.forget, args=(left.pop(),)).start()
            return done

        monkeypatch.setattr(lists, "put", forgetting)
        vault.catch_up()
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        assert len(listed(vault)) == 510
        assert vault.check().problems == ()


def test_of_two_builders_the_later_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    with filled() as vault:
        put, met = lists.put, [0]

        def meeting(*given_: Any) -> bool:
            met[0] += 1
            if met[0] == 2:
                lists.begin(given_[0], given_[1], lists.Place(1, 1))
            return put(*given_)

        monkeypatch.setattr(lists, "put", meeting)
        vault.catch_up()
        assert met[0] == 2
        assert divisions(vault) == [(2, 0)]
        assert listed(vault) == []  # swept
        remember(vault, drawn(3, 100))
        vault.catch_up()
        assert divisions(vault) == [(3, 1)]


def test_a_builder_that_is_killed_leaves_right_answers(tmp_path: Path) -> None:
    vault, _ = new_vault(tmp_path / "v")
    remember(vault, drawn(1, 600))
    query = drawn(2, 1)[0]
    before = asked(vault, query, limit=30)
    for after in (0, 4):
        with child(builders.build_and_die, tmp_path / "v", after) as (process, connection):
            assert connection.recv() == "dying"
            process.join()
        assert asked(vault, query, limit=30) == before
    assert vault.check().sound
    vault.catch_up()
    assert [one for one, _ in asked(vault, query, limit=30)] == [one for one, _ in before]
    assert len(listed(vault)) == 600
    assert vault.check().sound
    vault.close()


def test_one_process_builds_while_another_writes_recalls_and_forgets(tmp_path: Path) -> None:
    vault, _ = new_vault(tmp_path / "v")
    ids = remember(vault, drawn(1, 400))
    random, gone = np.random.default_rng(5), set[str]()
    with child(builders.build_again_and_again, tmp_path / "v") as (_, connection):
        assert connection.recv() == "ready"
        for turn in range(25):
            query = random.normal(size=DIMENSIONS) * 4
            (new,) = remember(vault, query[np.newaxis])
            assert asked(vault, query)[0][0] == new
            victim = ids[turn * 3]
            vault.forget(victim)
            gone.add(victim)
            assert not gone & {one for one, _ in asked(vault, query, limit=400)}
        connection.send("stop")
        while connection.recv() != "done":
            pass
    vault.catch_up()
    assert vault.check().problems == ()
    vault.close()


def test_a_vault_from_before_lists_gets_them(tmp_path: Path) -> None:
    vault, _ = new_vault(tmp_path / "v")
    remember(vault, drawn(1, 600))
    vault._database.write(to_first_step)
    vault.close()
    with Vault.open(tmp_path / "v", embedder="none") as vault:
        before = [one for one, _ in asked(vault, drawn(2, 1)[0])]
        vault.catch_up()
        assert len(listed(vault)) == 600
        assert [one for one, _ in asked(vault, drawn(2, 1)[0])] == before
        assert vault.check().sound


# --- checking ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("UPDATE vector_list SET mean = zeroblob(length(mean)) WHERE list = 9", "mean of others"),
        ("UPDATE vector_list SET codes = x'00' WHERE list = 9", "damaged"),
        ("DELETE FROM vector_list WHERE list = 9", "differ from the vectors"),
        (
            (
                "INSERT INTO vector_list SELECT 99, vault, 77, mean, x'ffffff0000000000',"
                " substr(codes, 1, length(codes) / (length(nums) / 8)) FROM vector_list"
                " WHERE list = 1"
            ),
            "a vector that is gone",
        ),
        ("UPDATE vector_list SET codes = randomblob(length(codes)) WHERE list = 1", "differ"),
        ("UPDATE vector SET codes = randomblob(length(codes)) WHERE vector = 5", "differ"),
    ],
)
def test_check_tells_of_lists_that_differ_and_rebuild_makes_them_again(
    damage: str, told: str
) -> None:
    with filled() as vault:
        vault.catch_up()
        vault._database.write(lambda connection: connection.execute(damage).fetchall())
        problems = " ".join(vault.check().problems)
        assert told in problems
        vault.rebuild()
        assert vault.check().problems == ()
        assert len(listed(vault)) == 600
