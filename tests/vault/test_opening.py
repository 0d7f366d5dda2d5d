"""Making, opening, backing up and restoring vaults: each way that can fail says how."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vault.making import NOON, BagEmbedder, Clock, entropy_of, new_vault, world

from haulout import RecoveryKit, Vault
from haulout.errors import (
    DamagedError,
    DiskFullError,
    ErasedError,
    HauloutError,
    InputError,
    ReadOnlyError,
    StorageError,
    VaultClosedError,
    VaultExistsError,
    VaultLockedError,
    VaultMissingError,
    VaultVersionError,
)
from haulout.log.record import canonical
from haulout.vault.opening import (
    DATABASE,
    KEYFILE,
    MARK,
    UNFINISHED,
    CloudFolderWarning,
    World,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vault"


@pytest.fixture
def made(folder: Path) -> RecoveryKit:
    """A vault in the folder, closed, with one memory."""
    vault, kit = new_vault(folder)
    vault.remember("walnut", op_id="first")
    vault.close()
    return kit


def opened(folder: Path, **arguments: Any) -> Vault:
    return Vault.open(folder, **({"embedder": "none"} | arguments))


def texts(vault: Vault) -> list[str]:
    return [memory.text for memory in vault.list(limit=1000).memories]


# --- making and opening --------------------------------------------------------------------


def test_a_vault_is_the_files_that_its_page_names(made: RecoveryKit, folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {MARK, KEYFILE, DATABASE, "memory.lock", "memory.turn"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in (KEYFILE, MARK)} == {0o600}
    mark = json.loads((folder / MARK).read_text())
    assert mark == {"format": 1, "vault": made.vault_id.hex()}


def test_what_was_remembered_is_there_when_it_is_opened(made: RecoveryKit, folder: Path) -> None:
    with opened(folder) as vault:
        assert texts(vault) == ["walnut"]
        assert vault.id == made.vault_id.hex()
        assert vault.path == folder
        assert vault.check().sound
        assert vault.remember("walnut", op_id="first").created is False


def test_a_vault_is_not_made_over_another(made: RecoveryKit, folder: Path) -> None:
    before = (folder / DATABASE).read_bytes()
    with pytest.raises(VaultExistsError, match="already"):
        Vault.create(folder)
    (folder / MARK).unlink()
    with pytest.raises(VaultExistsError):
        Vault.create(folder)
    assert (folder / DATABASE).read_bytes() == before


def test_where_there_is_no_vault_the_error_names_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(VaultMissingError, match="haulout init"):
        Vault.open(tmp_path)
    with pytest.raises(VaultMissingError):
        Vault.open(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_the_default_folder_is_haulout_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAULOUT_HOME", str(folder))
    vault, _ = Vault.create(embedder="none")
    assert vault.path == folder
    vault.close()
    with Vault.open(embedder="none") as vault:
        assert vault.path == folder


def test_a_file_is_no_vault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="restore"):
        Vault.open(tmp_path / "file")
    with pytest.raises(StorageError):
        Vault.create(tmp_path / "file")


@pytest.mark.parametrize("name", [KEYFILE, DATABASE, MARK])
def test_a_missing_file_is_named(made: RecoveryKit, folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DamagedError, match=name.replace(".", r"\.")):
        opened(folder)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (MARK, b"", DamagedError),
        (MARK, b"{}", DamagedError),
        (MARK, b"[1]", DamagedError),
        (MARK, b'{"format": 1, "vault": "zz"}', DamagedError),
        (MARK, b'{"format": 2, "vault": "00"}', VaultVersionError),
        (MARK, b'{"format": 1, "vault": "' + b"00" * 16 + b'"}', DamagedError),
        (KEYFILE, b"", DamagedError),
        (KEYFILE, b"noise", DamagedError),
        (DATABASE, b"noise" * 5000, VaultLockedError),
        (DATABASE, b"", DamagedError),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_changed(
    made: RecoveryKit, folder: Path, name: str, content: bytes, error: type[HauloutError]
) -> None:
    (folder / name).write_bytes(content)
    others = {n: (folder / n).read_bytes() for n in (MARK, KEYFILE, DATABASE) if n != name}
    with pytest.raises(error, match=name.replace(".", r"\.")):
        opened(folder)
    assert {n: (folder / n).read_bytes() for n in others} == others
    if content:
        assert (folder / name).read_bytes() == content


def test_another_vaults_key_file_does_not_open_it(
    made: RecoveryKit, folder: Path, tmp_path: Path
) -> None:
    new_vault(tmp_path / "other")[0].close()
    shutil.copy(tmp_path / "other" / KEYFILE, folder / KEYFILE)
    with pytest.raises(DamagedError, match="another vault"):
        opened(folder)
    shutil.copy(tmp_path / "other" / MARK, folder / MARK)
    with pytest.raises(VaultLockedError):
        opened(folder)


def test_another_vaults_database_does_not_pass_for_this_one(
    made: RecoveryKit, folder: Path, tmp_path: Path
) -> None:
    """Even under this device's own key."""
    entropy = [bytes([7]) * 32, bytes([8]) * 32]

    def fixed(first: bytes) -> Callable[[int], bytes]:
        rest = entropy_of(1)
        given = [first, bytes(32)]  # the kit's secret, then the device's
        return lambda count: given.pop(0) if given else rest(count)

    for name, secret in zip(("one", "two"), entropy, strict=True):
        new_vault(tmp_path / name, world=World(entropy=fixed(secret)))[0].close()
    shutil.copy(tmp_path / "two" / DATABASE, tmp_path / "one" / DATABASE)
    with pytest.raises(DamagedError, match="another vault"):
        opened(tmp_path / "one")


def test_a_folder_that_nobody_may_write_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ReadOnlyError, match="vault"):
        Vault.create(tmp_path / "vault")


def test_making_a_vault_that_failed_half_way_can_be_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("haulout.vault.opening.write_mark", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            new_vault(folder)
    assert (folder / UNFINISHED).exists()
    assert (folder / DATABASE).exists()
    with pytest.raises(VaultMissingError):
        opened(folder)
    vault, _ = new_vault(folder)
    vault.remember("x")
    vault.close()
    assert not (folder / UNFINISHED).exists()
    with opened(folder) as vault:
        assert texts(vault) == ["x"]


def test_a_note_left_beside_a_whole_vault_does_not_endanger_it(
    made: RecoveryKit, folder: Path
) -> None:
    (folder / UNFINISHED).touch()
    with pytest.raises(VaultExistsError):
        Vault.create(folder)
    with opened(folder) as vault:
        assert texts(vault) == ["walnut"]
    assert not (folder / UNFINISHED).exists()


@pytest.mark.parametrize("name", ["Dropbox", "OneDrive - Work", "My Google Drive"])
def test_a_folder_that_a_cloud_drive_syncs_is_warned_about(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "vault"
    with pytest.warns(CloudFolderWarning, match="haulout backup"):
        vault, _ = new_vault(folder)
    vault.close()
    with pytest.warns(CloudFolderWarning):
        opened(folder).close()


def test_a_closed_vault_says_so(folder: Path) -> None:
    vault, _ = new_vault(folder)
    vault.close()
    vault.close()
    for call in (lambda: vault.remember("x"), vault.list, lambda: vault.recall("x"), vault.check):
        with pytest.raises(VaultClosedError):
            call()


# --- passphrases ---------------------------------------------------------------------------


def test_a_passphrase_is_asked_for_and_checked(folder: Path) -> None:
    vault, _ = new_vault(folder, passphrase="walruses haul out")
    vault.remember("x")
    vault.close()
    with pytest.raises(VaultLockedError, match="protected by a passphrase"):
        opened(folder)
    with pytest.raises(VaultLockedError, match="wrong"):
        opened(folder, passphrase="walruses haul in")
    with opened(folder, passphrase="walruses haul out") as vault:
        assert texts(vault) == ["x"]


# --- backup and restore --------------------------------------------------------------------


@pytest.fixture
def backup(made: RecoveryKit, folder: Path, tmp_path: Path) -> Path:
    with opened(folder) as vault:
        memory = vault.remember("cashew", tags=["a"], namespace="work/acme")
        vault.update(memory.id, "cashews")
        vault.forget(vault.remember("gone").id)
        vault.forget(vault.remember("hidden").id, level="hidden")
        done = vault.backup(tmp_path / "file.backup")
    assert done.bytes == (tmp_path / "file.backup").stat().st_size
    return tmp_path / "file.backup"


def restored(backup: Path, folder: Path, kit: RecoveryKit | str, **arguments: Any) -> Vault:
    return Vault.restore(backup, folder, kit=kit, **({"embedder": "none"} | arguments))


def test_a_restored_vault_holds_the_same_and_is_another_device(
    made: RecoveryKit, folder: Path, backup: Path, tmp_path: Path
) -> None:
    with opened(folder) as old, restored(backup, tmp_path / "new", str(made)) as new:
        assert new.id == old.id
        assert new.export(tmp_path / "b").digest == old.export(tmp_path / "a").digest
        assert new.recall("cashew", explain=True) == old.recall("cashew", explain=True)
        assert sorted(new.stats().namespaces) == sorted(old.stats().namespaces)
        assert new._parts.device.id != old._parts.device.id
        assert new.remember("walnut", op_id="first").created is False
        assert new.check().sound
        new.remember("only here")
        assert "only here" not in texts(old)
    with opened(tmp_path / "new") as new:
        assert "only here" in texts(new)
        assert new.check().sound


def test_a_restored_vault_is_backed_up_and_restored_again(
    made: RecoveryKit, backup: Path, tmp_path: Path
) -> None:
    with restored(backup, tmp_path / "second", made) as second:
        second.remember("second", namespace="new place")
        second.backup(tmp_path / "again")
        digest = second.export(tmp_path / "x").digest
    with restored(tmp_path / "again", tmp_path / "third", made) as third:
        third.remember("third", namespace="new place")
        assert third.check().sound
        third.forget({"text": "third"})
        assert third.export(tmp_path / "y").digest == digest


def test_a_clock_that_is_behind_on_the_new_machine_keeps_the_order(
    made: RecoveryKit, backup: Path, tmp_path: Path
) -> None:
    behind = World(now=Clock(start=NOON - 10**15))
    with restored(backup, tmp_path / "new", made, world=behind) as vault:
        memory = next(one for one in vault.list().memories if one.text == "walnut")
        changed = vault.update(memory.id, "pecan")
        assert changed.updated_at > memory.updated_at
        past = vault.recall(as_of=memory.recorded_at)
        assert "walnut" in [one.memory.text for one in past]
        assert "pecan" not in [one.memory.text for one in past]
        assert vault.check().sound


def test_another_kit_does_not_open_a_backup(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(VaultLockedError, match="another vault"):
        restored(backup, tmp_path / "new", RecoveryKit(bytes(32)))
    with pytest.raises(InputError):
        restored(backup, tmp_path / "new", "not a kit")
    assert not (tmp_path / "new").exists()


def test_a_backup_is_not_restored_over_a_vault(
    made: RecoveryKit, folder: Path, backup: Path
) -> None:
    with pytest.raises(VaultExistsError):
        restored(backup, folder, made)
    with opened(folder) as vault:
        assert "walnut" in texts(vault)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda _: b"", InputError),
        (lambda data: b"PK" + data, InputError),
        (lambda data: data.replace(b"backup 3\n", b"backup 4\n", 1), VaultVersionError),
        (lambda data: data[:10], (InputError, VaultVersionError, DamagedError)),
        (lambda data: data[:60], DamagedError),
        (lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:], DamagedError),
        (lambda data: data[: len(data) // 2], DamagedError),
        (lambda data: data[:2000] + bytes([data[2000] ^ 1]) + data[2001:], DamagedError),
        (lambda data: data[:9000] + bytes([data[9000] ^ 1]) + data[9001:], DamagedError),
        (lambda data: data[:-5000], DamagedError),
    ],
)
def test_a_changed_backup_is_refused_and_the_folder_can_be_used_again(
    made: RecoveryKit,
    backup: Path,
    tmp_path: Path,
    change: Callable[[bytes], bytes],
    error: Any,
) -> None:
    data = backup.read_bytes()
    (tmp_path / "changed").write_bytes(change(data))
    with pytest.raises(error):
        restored(tmp_path / "changed", tmp_path / "new", made)
    with restored(backup, tmp_path / "new", made) as vault:
        assert vault.check().sound


def test_a_backup_header_of_another_form_is_damage(
    made: RecoveryKit, backup: Path, tmp_path: Path
) -> None:
    for fields in ({}, {"vault": made.vault_id}, {"vault": "x", "key": b""}, [1], 5):
        body = canonical(fields)
        head = b"haulout backup 1\n" + len(body).to_bytes(4, "big") + body
        (tmp_path / "crafted").write_bytes(head + hashlib.sha256(head).digest())
        with pytest.raises((DamagedError, VaultLockedError)):
            restored(tmp_path / "crafted", tmp_path / "new", made)


def test_a_backup_shows_no_word_and_no_device_secret(
    made: RecoveryKit, folder: Path, backup: Path
) -> None:
    data = backup.read_bytes()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with opened(folder) as vault:
        secret = vault._parts.device.secret
    assert secret not in data
    assert not any(word in data for word in (b"cashew", b"walnut", b"work/acme", b"SQLite"))
    assert not [path for path in backup.parent.iterdir() if path.name.startswith(".")]


def test_a_backup_that_cannot_be_written_leaves_the_old_one(
    folder: Path, made: RecoveryKit, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = backup.read_bytes()
    with opened(folder) as vault:
        with pytest.raises(StorageError):
            vault.backup(tmp_path / "missing" / "file")

        def refuse(*_arguments: Any, **_options: Any) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(shutil, "copyfileobj", refuse)
            with pytest.raises(StorageError, match="space"):
                vault.backup(backup)
    assert backup.read_bytes() == before
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_backup_is_of_one_moment_among_writes(
    folder: Path, made: RecoveryKit, tmp_path: Path
) -> None:
    with opened(folder) as vault:
        done = threading.Event()

        def write() -> None:
            while not done.is_set():
                vault.remember_many([{"text": "pair"}, {"text": "pair"}])

        writer = threading.Thread(target=write)
        writer.start()
        for number in range(3):
            vault.backup(tmp_path / f"{number}")
        done.set()
        writer.join()
    for number in range(3):
        with restored(tmp_path / f"{number}", tmp_path / f"v{number}", made) as found:
            assert texts(found).count("pair") % 2 == 0
            assert found.check().sound


# --- a vault in memory ---------------------------------------------------------------------


@pytest.fixture
def ephemeral() -> Iterator[Vault]:
    with Vault.ephemeral(embedder=BagEmbedder(), world=world()) as vault:
        yield vault


def test_a_vault_in_memory_has_everything(ephemeral: Vault, tmp_path: Path) -> None:
    memory = ephemeral.remember("walnut", op_id="a")
    ephemeral.remember_many([{"text": "cashew"}])
    ephemeral.update(memory.id, "walnuts")
    ephemeral.undo(ephemeral.forget({"text": "cashew"}, level="hidden").op_id)
    ephemeral.forget({"text": "cashew"})
    assert ephemeral.recall("walnuts")[0].memory.id == memory.id
    assert ephemeral.context("walnuts").citations
    assert ephemeral.catch_up() == 0
    assert len(ephemeral.history(memory.id)) == 2
    assert ephemeral.stats().path is None
    assert ephemeral.path is None
    assert repr(ephemeral) == "<Vault in memory>"
    assert ephemeral.rebuild() == 2
    assert ephemeral.check().sound
    assert ephemeral.export(tmp_path / "e").memories == 1
    assert ephemeral.backup(tmp_path / "b").bytes > 0
    assert not [path for path in tmp_path.iterdir() if path.name not in {"e", "b"}]
    assert b"walnut" not in (tmp_path / "b").read_bytes()


def test_many_threads_share_a_vault_in_memory(ephemeral: Vault) -> None:
    errors: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for number in range(10):
                memory = ephemeral.remember(f"walnut {worker} {number}")
                assert ephemeral.get(memory.id) == memory
                assert ephemeral.recall("walnut")
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert ephemeral.stats().memories == 60
    assert ephemeral.check().sound


# --- check and rebuild ---------------------------------------------------------------------


def damage(vault: Vault, sql: str, *bindings: Any) -> None:
    def job(connection: Any) -> None:
        connection.execute(sql, bindings).fetchall()
        assert connection.changes()

    vault._database.write(job)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE record SET payload = x'00' WHERE num = 5",
        "UPDATE record SET payload = NULL WHERE num = 5",
        "UPDATE record SET signature = zeroblob(64) WHERE num = 5",
        "UPDATE record SET header = (SELECT header FROM record WHERE num = 4) WHERE num = 5",
        "DELETE FROM record WHERE num = 5",
        "DELETE FROM record_key WHERE num = 5",
        "UPDATE record_key SET wrap = zeroblob(60) WHERE num = 5",
        "UPDATE version SET text = 'other' WHERE num = 5",
        "UPDATE version SET hidden = 1 WHERE num = 5",
        "UPDATE version SET recorded_until = recorded_until - 1 WHERE num = 5",
        "DELETE FROM version WHERE num = 5",
        "UPDATE version SET num = 999 WHERE num = 5",
        "DELETE FROM fresh WHERE num = 5",
        "UPDATE fresh SET terms = x'80' WHERE num = 5",
        "INSERT INTO posting VALUES (1, 1, 'ghost', 5, x'000000000100')",
        "DELETE FROM embed_queue WHERE num = 5",
        "INSERT INTO vector (vault, model, num, part, codes) VALUES (1, 1, 999, 0, x'01')",
        "DELETE FROM operation",
        "UPDATE operation SET num = 4",
        "INSERT INTO operation VALUES (1, zeroblob(16), 5)",
    ],
    ids=lambda sql: sql[:60],
)
def test_check_finds_whatever_was_changed_behind_its_back(ephemeral: Vault, sql: str) -> None:
    for number in range(4):
        ephemeral.remember(f"walnut {number}", op_id=f"op {number}" if number == 2 else None)
    assert ephemeral.check().sound
    damage(ephemeral, sql)
    report = ephemeral.check()
    assert not report.sound
    assert all("memory.db" in problem for problem in report.problems)


def test_check_finds_a_memory_that_outlived_its_erasure(ephemeral: Vault) -> None:
    memory = ephemeral.remember("walnut")
    with ephemeral._database.read() as connection:
        (num,) = connection.execute("SELECT num FROM version").fetchone()
        payload, wrap = connection.execute(
            "SELECT payload, wrap FROM record r JOIN record_key k ON k.num = r.num WHERE r.num = ?",
            (num,),
        ).fetchone()
    ephemeral.forget(memory.id)
    assert ephemeral.check().sound
    damage(ephemeral, "UPDATE record SET payload = ? WHERE num = ?", payload, num)
    damage(ephemeral, "INSERT INTO record_key VALUES (?, 1, ?)", num, wrap)
    report = ephemeral.check()
    assert any(memory.id in problem and "erased" in problem for problem in report.problems)


def test_rebuild_makes_the_same_index_again_from_the_log(ephemeral: Vault) -> None:
    for number in range(30):
        ephemeral.remember(f"walnut {number}", session="s", tags=[str(number)])
    ephemeral.catch_up()
    expected = ephemeral.recall("walnut 7", explain=True)
    for table in ("version", "fresh", "posting", "erased", "operation"):
        ephemeral._database.write(lambda c, table=table: c.execute(f"DELETE FROM {table}"))  # type: ignore[misc]
    assert not ephemeral.check().sound
    assert ephemeral.rebuild() == 30
    assert ephemeral.check().sound
    assert ephemeral.recall("walnut 7", explain=True) == expected


def test_a_forget_that_another_reader_holds_up_is_pending_until_a_check(
    made: RecoveryKit, folder: Path
) -> None:
    with opened(folder) as vault, opened(folder) as other:
        memory = vault.remember("secret")
        with other._database.read() as connection:
            connection.execute("SELECT count(*) FROM record").fetchone()
            receipt = vault.forget(memory.id)
            assert len(receipt.pending) == 1
            assert vault.check().pending == receipt.pending
        report = vault.check()
        assert report.sound
        assert report.pending == ()
        assert report.cleared == ("free pages of erased memories",)
        assert vault.check().cleared == ()


def test_a_full_disk_leaves_a_forget_pending_and_not_failed(
    ephemeral: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = ephemeral.remember("secret")

    def refuse() -> bool:
        message = "There is no space left for memory.db."
        raise DiskFullError(message)

    with monkeypatch.context() as patch:
        patch.setattr(ephemeral._database, "scrub", refuse)
        receipt = ephemeral.forget(memory.id)
        assert "no space left" in receipt.pending[0]
        assert ephemeral.check().pending
    with pytest.raises(ErasedError):
        ephemeral.get(memory.id)
    assert ephemeral.check().cleared
    assert ephemeral.check().cleared == ()


def test_a_scrub_does_not_take_the_note_of_a_forget_that_came_meanwhile(
    made: RecoveryKit, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder) as vault, opened(folder) as other:
        first, second = vault.remember("secret"), other.remember("secret too")
        real = vault._database.scrub

        def meanwhile() -> bool:
            with monkeypatch.context() as patch:
                patch.setattr(other._database, "scrub", lambda: False)
                assert other.forget(second.id).pending
            return real()

        monkeypatch.setattr(vault._database, "scrub", meanwhile)
        assert vault.forget(first.id).pending == ()
        monkeypatch.undo()
        assert other.check().cleared == ("free pages of erased memories",)
