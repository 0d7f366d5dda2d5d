"""What is called remote is in every store, and what is not is said so."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vault.publishing import restored, store_of, with_volumes

from haulout import NotRemoteWarning, Vault
from haulout.errors import InputError, StoreUnavailableError
from haulout.redstuff import blob_id_bytes


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """A vault with volumes in memory."""
    made, words = with_volumes(tmp_path / "a")
    with made:
        made.words = words  # type: ignore[attr-defined]
        yield made


def break_stores(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no store answers."""

    def sync(*_: object, **__: object) -> None:
        message = "Nobody answers."
        raise StoreUnavailableError(message)

    monkeypatch.setattr(vault._remote, "sync", sync)


@pytest.mark.parametrize("how", ["remember", "remember_many", "attach", "update"])
def test_a_write_that_waited_for_the_stores_comes_back_from_them(
    vault: Vault, tmp_path: Path, how: str
) -> None:
    old = vault.remember("Ana lives in Porto.")
    if how == "remember":
        kept = vault.remember("It is remote.", wait="remote")
    elif how == "attach":
        kept = vault.remember("A file.", attach=b"its bytes", wait="remote")
    elif how == "update":
        kept = vault.update(old.id, "Ana lives in Lisbon.", wait="remote")
    else:
        items = [{"text": f"Item {number}."} for number in range(3)]
        answers = vault.remember_many(items, wait="remote")
        assert [one.durability for one in answers] == ["remote"] * 3
        kept = answers[-1]
    assert kept.durability == "remote"
    twin, report = restored(vault, vault.words, tmp_path / "b")  # type: ignore[attr-defined]
    with twin:
        assert report.complete
        assert twin.get(kept.id).text == kept.text
        if how == "attach":
            with twin.attachment(kept.id) as stream:
                assert stream.read() == b"its bytes"


def test_where_there_is_no_store_a_write_that_waits_for_one_writes_nothing(tmp_path: Path) -> None:
    vault, _ = Vault.create(tmp_path / "a", embedder="none")
    with vault:
        one = vault.remember("here")
        for call in (
            lambda: vault.remember("x", wait="remote"),
            lambda: vault.remember("x", attach=b"y", wait="remote"),
            lambda: vault.remember_many([{"text": "x"}], wait="remote"),
            lambda: vault.update(one.id, "x", wait="remote"),
        ):
            with pytest.raises(InputError, match="no stores"):
                call()
        with pytest.raises(InputError, match="somewhere"):
            vault.remember("x", wait="somewhere")  # type: ignore[arg-type]
        assert [memory.text for memory in vault.list().memories] == ["here"]
        assert vault.stats().durability == "local"


def test_a_store_that_fails_leaves_the_memory_here_and_a_warning_with_the_reason(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        break_stores(vault, patch)
        with pytest.warns(NotRemoteWarning, match="Nobody answers") as caught:
            kept = vault.remember("It stays here.", wait="remote")
    assert caught[0].filename == __file__
    assert kept.durability == "local"
    assert vault.get(kept.id).durability == "local"
    vault.sync()
    assert vault.get(kept.id).durability == "remote"


def test_a_sync_that_failed_calls_nothing_remote_though_a_head_covers_it(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have published the record, and not all of its attachment yet."""
    sync = vault._remote.sync

    def failing(*given: Any, **named: Any) -> None:
        sync(*given, **named)
        message = "Nobody answers."
        raise StoreUnavailableError(message)

    monkeypatch.setattr(vault._remote, "sync", failing)
    with pytest.warns(NotRemoteWarning, match="Nobody answers"):
        assert vault.remember("x", wait="remote").durability == "local"


def test_a_new_version_is_not_remote_because_the_old_one_is(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = vault.remember("Ana lives in Porto.", wait="remote")
    monkeypatch.setattr(vault._remote, "sync", lambda *_, **__: vault._remote.status())
    with pytest.warns(NotRemoteWarning):
        assert vault.update(old.id, "Ana lives in Lisbon.", wait="remote").durability == "local"


def test_one_of_two_stores_is_not_every_store(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.remember("first", wait="remote")
    # A second store of a kind that cannot be opened: it holds nothing.
    vault._remote.add("walrus", '{"aggregators": ["http://127.0.0.1:9"], "connect": 0.1}')
    with pytest.warns(NotRemoteWarning, match="walrus"):
        kept = vault.remember("second", wait="remote")
    assert kept.durability == "local"
    assert {memory.durability for memory in vault.list().memories} == {"local"}
    vault._remote.remove("walrus")
    assert {memory.durability for memory in vault.list().memories} == {"remote"}


def test_get_list_and_stats_tell_what_the_head_covers_and_no_more(vault: Vault) -> None:
    first = vault.remember("first")
    second = vault.remember("second")
    assert vault.stats().durability == "local"
    vault.sync()
    assert vault.stats().durability == "remote"
    vault.update(second.id, "second, corrected")
    third = vault.remember("third")
    told = {memory.id: memory.durability for memory in vault.list().memories}
    assert told == {first.id: "remote", second.id: "local", third.id: "local"}
    assert [vault.get(one.id).durability for one in (first, second)] == ["remote", "local"]
    assert vault.stats().durability == "local"
    vault.detach_volumes()
    assert vault.get(first.id).durability == "local"


def test_what_was_erased_is_not_called_remote_in_a_batch_that_is_repeated(vault: Vault) -> None:
    item = {"text": "once", "op_id": "import-1"}
    (kept,) = vault.remember_many([item], wait="remote")
    vault.forget(kept.id)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (again,) = vault.remember_many([item], wait="remote")
    assert (again.erased, again.durability) == (True, "local")


# --- receipts ------------------------------------------------------------------------------


def blobs(vault: Vault) -> set[bytes]:
    store = store_of(vault)
    try:
        return {blob_id_bytes(one.blob_id) for one in store.volumes.blobs()}
    finally:
        store.close()


def blobs_with_keys(vault: Vault) -> set[bytes]:
    row = vault._remote.row("volumes")
    assert row is not None
    return {run.run.keys.blob for run in row.state.runs if run.run.keys is not None}


def test_a_receipt_says_that_the_volumes_follow_with_the_next_sync(vault: Vault) -> None:
    gone = vault.remember("A secret.")
    vault.sync()
    receipt = vault.forget(gone.id)
    assert receipt.stores == ("local",)
    assert len(receipt.pending) == 1
    assert "volumes" in receipt.pending[0]
    assert "sync" in receipt.pending[0]
    before = blobs_with_keys(vault)
    assert before <= blobs(vault)
    vault.sync()
    assert not before & blobs(vault)


def test_a_forget_that_is_repeated_after_a_sync_has_nothing_pending(vault: Vault) -> None:
    gone = vault.remember("A secret.", wait="remote")
    assert vault.forget(gone.id, op_id="forget-1").pending
    assert vault.forget(gone.id, op_id="forget-1").pending
    vault.sync()
    assert vault.forget(gone.id, op_id="forget-1").pending == ()


def test_what_was_never_sent_is_pending_nowhere(vault: Vault) -> None:
    vault.remember("sent")
    vault.sync()
    receipt = vault.forget(vault.remember("not sent").id)
    assert (receipt.stores, receipt.pending) == (("local",), ())


def test_a_hidden_memory_is_gone_from_nowhere_and_pending_nowhere(vault: Vault) -> None:
    one = vault.remember("hide me", wait="remote")
    receipt = vault.forget(one.id, level="hidden")
    assert receipt.pending == ()


def test_forgetting_everywhere_clears_the_volumes_at_once(vault: Vault) -> None:
    vault.remember("stays")
    gone = vault.remember("A secret.", attach=b"its bytes")
    vault.sync()
    before = blobs_with_keys(vault)
    assert before <= blobs(vault)
    receipt = vault.forget(gone.id, level="everywhere")
    assert (receipt.stores, receipt.pending) == (("local", "volumes"), ())
    assert not before & blobs(vault)


def test_forgetting_everywhere_claims_nothing_of_volumes_that_do_not_answer(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = vault.remember("A secret.", wait="remote")
    with monkeypatch.context() as patch:
        break_stores(vault, patch)
        receipt = vault.forget(gone.id, level="everywhere")
    assert receipt.stores == ("local",)
    assert len(receipt.pending) == 1


def test_forgetting_everywhere_claims_nothing_while_one_volume_may_hold_a_copy(
    tmp_path: Path,
) -> None:
    vault, _ = Vault.create(tmp_path / "a", embedder="none")
    with vault:
        places = [tmp_path / f"v{number}" for number in range(4)]
        vault.add_volumes([str(place) for place in places])
        gone = vault.remember("A secret.", wait="remote")
        shutil.move(places[0], tmp_path / "unplugged")
        receipt = vault.forget(gone.id, level="everywhere")
        assert receipt.stores == ("local",)
        assert len(receipt.pending) == 1
        shutil.move(tmp_path / "unplugged", places[0])
        vault.sync()
        row = vault._remote.row("volumes")
        assert row is not None
        assert len(blobs(vault)) == len(row.state.named())
