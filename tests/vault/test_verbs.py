"""The verbs: operation IDs, updates, forgetting and undoing, lists, history, export."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vault.making import Clock, moment, new_vault, world

from haulout import Memory, Vault
from haulout.errors import (
    ConflictError,
    ErasedError,
    InputError,
    NotFoundError,
    OperationReusedError,
)


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault.ephemeral(world=world()) as found:
        yield found


def texts(vault: Vault) -> list[str]:
    return [memory.text for memory in vault.list(limit=1000).memories]


# --- operation IDs -------------------------------------------------------------------------


def test_the_same_id_and_body_give_the_first_result_again(vault: Vault) -> None:
    first = vault.remember("x", tags=["a"], op_id="order-42")
    again = vault.remember("x", tags=["a"], op_id="order-42")
    assert (first.created, again.created) == (True, False)
    assert (first.op_id, again.op_id) == ("order-42", "order-42")
    assert again.id == first.id
    assert again.recorded_at == first.recorded_at
    assert texts(vault) == ["x"]


@pytest.mark.parametrize(
    "other",
    [{"text": "y"}, {"tags": ["b"]}, {"namespace": "elsewhere"}, {"kind": "fact"},
     {"occurred_at": "2025-01-01T00:00:00Z"}, {"metadata": {"a": 1}}, {"vector": [1.0]}],
)  # fmt: skip
def test_the_same_id_with_another_body_is_refused(vault: Vault, other: dict[str, Any]) -> None:
    first: dict[str, Any] = {"text": "x", "op_id": "order-42"}
    vault.remember(**first)
    before = vault.stats().records
    with pytest.raises(OperationReusedError, match="order-42"):
        vault.remember(**(first | other))
    assert vault.stats().records == before
    assert vault.namespaces() == ["default"]


def test_an_id_is_for_one_kind_of_operation(vault: Vault) -> None:
    memory = vault.remember("x", op_id="a")
    with pytest.raises(OperationReusedError):
        vault.update(memory.id, "x", op_id="a")
    with pytest.raises(OperationReusedError):
        vault.forget(memory.id, op_id="a")
    vault.update(memory.id, "y", op_id="b")
    with pytest.raises(OperationReusedError):
        vault.remember("y", op_id="b")


def test_an_update_is_repeated_safely_whatever_stands_by_now(vault: Vault) -> None:
    memory = vault.remember("x")
    first = vault.update(memory.id, "y", op_id="a")
    vault.update(memory.id, "z")
    again = vault.update(memory.id, "y", op_id="a")
    assert (again.version, again.text, again.created) == (2, "y", False)
    assert again.updated_at == first.updated_at
    with pytest.raises(OperationReusedError):
        vault.update(memory.id, "other", op_id="a")
    with pytest.raises(OperationReusedError):
        vault.update(memory.id, "y", tags=["more"], op_id="a")
    with pytest.raises(OperationReusedError):
        vault.update(vault.remember("another").id, "y", op_id="a")
    vault.forget(memory.id, level="hidden")
    assert vault.update(memory.id, "y", op_id="a").version == 2
    assert vault.get(vault.list().memories[0].id).text == "another"


def test_a_forget_is_repeated_safely(vault: Vault) -> None:
    memory = vault.remember("x")
    first = vault.forget(memory.id, op_id="a")
    assert vault.forget(memory.id, op_id="a") == first
    with pytest.raises(OperationReusedError):
        vault.forget(memory.id, level="hidden", op_id="a")
    with pytest.raises(ErasedError):
        vault.forget(memory.id)


def test_a_forget_by_filter_is_repeated_safely(vault: Vault) -> None:
    vault.remember("x", tags=["old"])
    vault.remember("y", tags=["old"], namespace="other")
    old = {"tags": {"contains": "old"}}
    first = vault.forget(old, namespace="default", op_id="a")
    assert len(first.memories) == 1
    vault.remember("z", tags=["old"])
    assert vault.forget(old, namespace="default", op_id="a") == first
    assert sorted(texts(vault)) == ["y", "z"]
    for other in (
        lambda: vault.forget(old, op_id="a"),
        lambda: vault.forget(old, namespace="default", level="hidden", op_id="a"),
        lambda: vault.forget({"text": "z"}, namespace="default", op_id="a"),
        lambda: vault.forget(list(first.memories), op_id="a"),
    ):
        with pytest.raises(OperationReusedError):
            other()
    assert vault.check().sound


def test_an_operation_whose_memory_was_erased_does_not_write_it_again(vault: Vault) -> None:
    memory = vault.remember("x", op_id="a")
    vault.forget(memory.id)
    with pytest.raises(ErasedError):
        vault.remember("x", op_id="a")
    with pytest.raises(ErasedError):
        vault.undo("a")
    answers = vault.remember_many([{"text": "x", "op_id": "a"}, {"text": "y", "op_id": "b"}])
    assert [(one.erased, one.text) for one in answers] == [(True, ""), (False, "y")]
    assert texts(vault) == ["y"]


def test_threads_with_one_operation_id_write_once(tmp_path: Path) -> None:
    first, _ = new_vault(tmp_path / "v")
    second = Vault.open(tmp_path / "v", embedder="none")
    answers: list[Memory] = []
    start = threading.Barrier(8)

    def work(vault: Vault) -> None:
        start.wait()
        for number in range(10):
            memory = vault.remember(f"item {number}", op_id=f"op-{number}")
            answers.append(memory)

    threads = [threading.Thread(target=work, args=((first, second)[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 80
    assert len({memory.id for memory in answers}) == 10
    assert sum(memory.created for memory in answers) == 10
    assert len(texts(first)) == 10
    assert first.check().sound
    first.close()
    second.close()


def test_no_operation_id_stands_in_the_log(vault: Vault) -> None:
    vault.remember("x", op_id="a-very-telling-name")
    with vault._database.read() as connection:
        for name in ("record", "operation", "version", "record_key"):
            for row in connection.execute(f"SELECT * FROM {name}").fetchall():
                assert "telling" not in repr(row)


# --- updates -------------------------------------------------------------------------------


def test_an_update_changes_what_it_names_and_nothing_else(vault: Vault) -> None:
    memory = vault.remember(
        "x", kind="fact", speaker="Ana", session="s", tags=["a"], metadata={"n": 1}, source="f",
        occurred_at=moment(0), valid_from=moment(0), valid_until=moment(10**15),
    )  # fmt: skip
    changed = vault.update(memory.id, "y", tags=[])
    same = ("kind", "speaker", "session", "metadata", "source", "occurred_at", "valid_from")
    for name in (*same, "valid_until", "id", "namespace", "recorded_at"):
        assert getattr(changed, name) == getattr(memory, name)
    assert (changed.text, changed.tags, changed.version) == ("y", (), 2)
    assert changed.updated_at > memory.updated_at
    assert vault.update(memory.id, speaker=None).speaker is None
    assert vault.update(memory.id, kind=None).kind == "note"


def test_an_update_may_not_end_before_what_stands_begins(vault: Vault) -> None:
    memory = vault.remember("x", valid_from="2020-01-01T00:00:00Z")
    with pytest.raises(InputError, match="valid_until"):
        vault.update(memory.id, valid_until="2019-01-01T00:00:00Z")
    assert vault.get(memory.id).version == 1


def test_what_is_forgotten_is_not_updated(vault: Vault) -> None:
    hidden, erased = vault.remember("x"), vault.remember("y")
    vault.forget(hidden.id, level="hidden")
    vault.forget(erased.id)
    with pytest.raises(NotFoundError):
        vault.update(hidden.id, "z")
    with pytest.raises(ErasedError):
        vault.update(erased.id, "z")


# --- forgetting and undoing ----------------------------------------------------------------


@pytest.mark.parametrize("level", ["destroyed", "everywhere"])
def test_what_is_erased_does_not_come_back(vault: Vault, level: Any) -> None:
    memory = vault.remember("x")
    vault.update(memory.id, "y")
    receipt = vault.forget(memory.id, level=level)
    assert (receipt.action, receipt.level, receipt.memories) == ("forget", level, (memory.id,))
    assert (receipt.pending, receipt.stores) == ((), ("local",))
    for call in (
        lambda: vault.get(memory.id),
        lambda: vault.undo(receipt.op_id),
        lambda: vault.undo(memory.op_id),
        lambda: vault.forget(memory.id),
    ):
        with pytest.raises(ErasedError):
            call()
    assert texts(vault) == []
    assert vault.recall("x") == []
    actions = [event.action for event in vault.history(memory.id)]
    assert actions == ["remember", "erase"]
    assert [event.memory for event in vault.history(memory.id)] == [None, None]


def test_what_is_hidden_comes_back_by_undo(vault: Vault) -> None:
    memory = vault.remember("x")
    receipt = vault.forget(memory.id, level="hidden")
    with pytest.raises(NotFoundError, match="forgotten"):
        vault.get(memory.id)
    assert vault.recall("x") == []
    assert texts(vault) == []
    shown = vault.undo(receipt.op_id)
    assert (shown.action, shown.level, shown.memories) == ("undo", "shown", (memory.id,))
    assert vault.get(memory.id) == memory
    vault.undo(shown.op_id)
    assert texts(vault) == []
    actions = [event.action for event in vault.history(memory.id)]
    assert actions == ["remember", "forget", "show", "forget"]


def test_a_remember_is_undone_by_hiding(vault: Vault) -> None:
    memory = vault.remember("x", op_id="a")
    undone = vault.undo("a")
    assert (undone.action, undone.level, undone.memories) == ("undo", "hidden", (memory.id,))
    assert texts(vault) == []
    vault.undo(undone.op_id)
    assert texts(vault) == ["x"]


def test_an_update_is_undone_by_writing_the_old_words_again(vault: Vault) -> None:
    memory = vault.remember("x", tags=["a"], vector=[1, 0])
    update = vault.update(memory.id, "y", tags=["b"])
    receipt = vault.undo(update.op_id)
    found = vault.get(memory.id)
    assert (found.text, found.tags, found.version) == ("x", ("a",), 3)
    assert receipt.memories == (memory.id,)
    vault.undo(receipt.op_id)
    assert vault.get(memory.id).text == "y"
    words = [event.memory.text for event in vault.history(memory.id) if event.memory]
    assert words == ["x", "y", "x", "y"]


def test_only_the_newest_is_undone(vault: Vault) -> None:
    memory = vault.remember("x", op_id="first")
    vault.update(memory.id, "y", op_id="second")
    vault.update(memory.id, "z", op_id="third")
    for older in ("first", "second"):
        with pytest.raises(ConflictError):
            vault.undo(older)
    vault.undo("third")
    assert vault.get(memory.id).text == "y"


def test_several_are_forgotten_at_once_or_not_at_all(vault: Vault) -> None:
    one, two = vault.remember("x"), vault.remember("y")
    with pytest.raises(NotFoundError):
        vault.forget([one.id, "0" * 26])
    assert len(texts(vault)) == 2
    receipt = vault.forget([two.id, one.id, two.id])
    assert sorted(receipt.memories) == sorted([one.id, two.id])
    assert texts(vault) == []


def test_a_filter_that_finds_nothing_is_no_error(vault: Vault) -> None:
    vault.remember("x")
    assert vault.forget({"text": "nothing like it"}).memories == ()
    assert vault.forget({"text": "x"}, namespace="elsewhere").memories == ()
    assert vault.forget({"text": "x"}, namespace="default").memories != ()


def test_a_filter_finds_no_hidden_memory_and_no_older_version(vault: Vault) -> None:
    hidden, changed = vault.remember("x"), vault.remember("x")
    vault.forget(hidden.id, level="hidden")
    vault.update(changed.id, "y")
    assert vault.forget({"text": "x"}).memories == ()
    assert vault.forget({"text": "y"}).memories == (changed.id,)


# --- lists ---------------------------------------------------------------------------------


def test_pages_hold_every_memory_once_newest_first(vault: Vault) -> None:
    kept = vault.remember_many({"text": f"{n}", "tags": [str(n % 3)]} for n in range(25))
    vault.update(kept[3].id, "changed")
    vault.forget(kept[7].id)
    for arguments, expected in (
        ({}, [m.id for m in kept if m is not kept[7]]),
        ({"tags": ["1"]}, [m.id for n, m in enumerate(kept) if n % 3 == 1 and n != 7]),
        ({"filter": {"text": "changed"}}, [kept[3].id]),
    ):
        found: list[str] = []
        after = None
        while True:
            page = vault.list(limit=4, after=after, **arguments)  # type: ignore[arg-type]
            assert len(page.memories) <= 4
            found += [memory.id for memory in page.memories]
            if (after := page.next) is None:
                break
        assert found == expected[::-1]


def test_a_page_goes_on_where_its_last_memory_was_erased(vault: Vault) -> None:
    kept = vault.remember_many({"text": str(n)} for n in range(6))
    page = vault.list(limit=3)
    assert page.next == kept[3].id
    vault.forget(page.next)
    assert [memory.text for memory in vault.list(after=page.next).memories] == ["2", "1", "0"]


# --- counting and history ------------------------------------------------------------------


def test_stats_count_what_stands(vault: Vault) -> None:
    assert vault.stats().newest is None
    kept = vault.remember_many(
        [{"text": "x"}, {"text": "y", "namespace": "work"}, {"text": "z", "namespace": "work"}]
    )
    vault.update(kept[0].id, "x2")
    vault.forget(kept[1].id, level="hidden")
    stats = vault.stats()
    assert (stats.memories, stats.versions, stats.namespaces) == (2, 4, {"default": 1, "work": 1})
    assert stats.newest == kept[2].recorded_at
    assert (stats.path, stats.model, stats.vectors, stats.waiting) == (None, None, 0, 4)
    assert vault.namespaces() == ["default", "work"]


def test_history_is_in_the_order_things_happened(vault: Vault) -> None:
    memory = vault.remember("x")
    update = vault.update(memory.id, "y")
    hidden = vault.forget(memory.id, level="hidden")
    events = vault.history(memory.id)
    assert [event.action for event in events] == ["remember", "update", "forget"]
    assert [event.op_id for event in events] == [memory.op_id, update.op_id, hidden.op_id]
    assert [event.memory for event in events] == [memory, update, None]
    assert [e.recorded_at for e in events] == sorted(e.recorded_at for e in events)


# --- export --------------------------------------------------------------------------------


def test_an_export_has_one_order_one_form_and_one_digest(vault: Vault, tmp_path: Path) -> None:
    memory = vault.remember("é \u2028 x", tags=["a"], metadata={"b": 1.5, "a": None})
    vault.update(memory.id, "y")
    gone = vault.remember("gone")
    vault.forget(gone.id)
    vault.forget(vault.remember("hidden").id, level="hidden")
    vault.remember("z", namespace="work", op_id="secret-op")
    done = vault.export(tmp_path / "out.jsonl")
    data = (tmp_path / "out.jsonl").read_bytes()
    *lines, last = data.splitlines(keepends=True)
    assert json.loads(last) == {"haulout_export": 1, "memories": 2, "sha256": done.digest}
    assert hashlib.sha256(b"".join(lines)).hexdigest() == done.digest
    assert (done.memories, done.bytes) == (2, len(data))
    first, second = map(json.loads, lines)
    assert (first["text"], first["version"], first["history"][0]["text"]) == ("y", 2, "é \u2028 x")
    assert list(first) == sorted(first)
    assert second == {
        "id": second["id"], "kind": "note", "namespace": "work", "text": "z", "version": 1,
        "recorded_at": second["recorded_at"], "updated_at": second["updated_at"],
    }  # fmt: skip
    assert "é".encode() in data
    for never in (b"gone", b"hidden", b"secret-op", b": ", b'"tags":[]'):
        assert never not in data


def test_exporting_twice_gives_the_same_bytes(vault: Vault, tmp_path: Path) -> None:
    vault.remember_many({"text": f"{n}", "metadata": {"z": n, "a": n}} for n in range(20))
    vault.export(tmp_path / "one")
    vault.rebuild()
    vault.export(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_empty_vault_exports_its_one_line(vault: Vault, tmp_path: Path) -> None:
    done = vault.export(tmp_path / "out")
    assert done.memories == 0
    assert done.digest == hashlib.sha256(b"").hexdigest()


# --- progress ------------------------------------------------------------------------------


def test_long_work_tells_how_far_it_is() -> None:
    with Vault.ephemeral(world=world(clock=Clock())) as vault:
        told: list[tuple[int, int | None]] = []
        vault.remember_many([{"text": "x"}] * 1001, progress=lambda *a: told.append(a))
        assert told == [(500, 1001), (1000, 1001), (1001, 1001)]
        told.clear()
        vault.remember_many(({"text": "x"} for _ in range(2)), progress=lambda *a: told.append(a))
        assert told == [(2, None)]
        records = vault.stats().records
        for work in (vault.check, vault.rebuild):
            told.clear()
            work(progress=lambda *a: told.append(a))
            assert told[-1] == (records, records)
