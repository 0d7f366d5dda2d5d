"""What an owner meets sooner or later: each gives one clear error, and nothing is lost by it."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash import crowd
from crash.processes import child, scratch
from crash.story import every_text

from haulout import RecoveryKit, Vault
from haulout.crypto.keyfile import encode_keyfile
from haulout.errors import (
    DamagedError,
    DiskFullError,
    HauloutError,
    InputError,
    VaultExistsError,
    VaultLockedError,
    VaultMissingError,
    VaultVersionError,
)
from haulout.testing.disks import FailingDisk, mounted
from haulout.testing.pages import database_key
from haulout.vault.opening import CloudFolderWarning, World

TEXTS = [f"note {number} of the walrus" for number in range(12)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A vault with half of its memories in the file and half in the write-ahead log."""
    made = tmp_path / "made"
    vault, kit = Vault.create(made, embedder="none")
    for text in TEXTS[:6]:
        vault.remember(text)
    vault.close()
    vault = Vault.open(made, embedder="none")
    for text in TEXTS[6:]:
        vault.remember(text)
    (tmp_path / "kit").write_text(kit.words)
    vault.backup(tmp_path / "a.backup")
    shutil.copytree(made, tmp_path / "vault", ignore=shutil.ignore_patterns("*-shm"))
    vault.close()
    return tmp_path / "vault"


@pytest.fixture
def kit(folder: Path) -> RecoveryKit:
    return RecoveryKit.from_words((folder.parent / "kit").read_text())


def stands(folder: Path) -> None:
    """Everything is there."""
    with Vault.open(folder, embedder="none") as vault:
        assert vault.check().sound
        assert sorted(every_text(vault).elements()) == sorted(TEXTS)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and "-shm" not in p.name
    }


def refused(folder: Path, kind: type[HauloutError], *words: str, **how: str) -> None:
    """Opening is refused with all of these words, and leaves every file as it was."""
    before = contents(folder)
    with pytest.raises(kind) as caught:
        Vault.open(folder, embedder="none", **how)
    assert type(caught.value) is kind
    for word in words:
        assert word in str(caught.value)
    after = {name: data for name, data in contents(folder).items() if name in before}
    assert after == before


def test_another_vaults_key_file_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    Vault.create(tmp_path / "other", embedder="none")[0].close()
    right = (folder / "device.key").read_bytes()
    shutil.copy(tmp_path / "other" / "device.key", folder)
    refused(folder, DamagedError, "device.key", "another vault")
    (folder / "device.key").write_bytes(right)
    stands(folder)


def test_a_key_that_does_not_open_the_database_is_refused_by_name(folder: Path) -> None:
    right = (folder / "device.key").read_bytes()
    vault_id = bytes.fromhex(json.loads((folder / "vault.json").read_text())["vault"])
    wrong = encode_keyfile(bytes(32), vault_id, passphrase=None, entropy=os.urandom)
    (folder / "device.key").write_bytes(wrong)
    refused(folder, VaultLockedError, "memory.db", "key")
    (folder / "device.key").write_bytes(right)
    stands(folder)


def test_a_wrong_or_missing_passphrase_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "vault"
    Vault.create(folder, passphrase="tusk", embedder="none")[0].close()
    refused(folder, VaultLockedError, "passphrase is wrong", passphrase="task")
    refused(folder, VaultLockedError, "device.key", "protected by a passphrase")
    Vault.open(folder, passphrase="tusk", embedder="none").close()


def test_a_later_format_is_refused_and_nothing_is_changed(folder: Path) -> None:
    right = (folder / "vault.json").read_text()
    (folder / "vault.json").write_text(right.replace('"format": 1', '"format": 2'))
    refused(folder, VaultVersionError, "vault.json", "format 2")
    (folder / "vault.json").write_text(right)
    stands(folder)


def test_a_later_schema_is_refused_and_nothing_is_changed(folder: Path) -> None:
    from haulout.database.connection import connect

    connection = connect(folder / "memory.db", database_key(folder))
    (version,) = connection.execute("PRAGMA user_version").fetchall()[0]
    connection.execute(f"PRAGMA user_version={version + 1}").fetchall()
    connection.close()
    refused(folder, VaultVersionError, "memory.db", f"schema {version + 1}")
    connection = connect(folder / "memory.db", database_key(folder))
    connection.execute(f"PRAGMA user_version={version}").fetchall()
    connection.close()
    stands(folder)


@pytest.mark.parametrize("name", ["memory.db", "device.key", "vault.json"])
def test_a_missing_file_is_named(folder: Path, name: str, kit: RecoveryKit) -> None:
    (folder / name).rename(folder.parent / name)
    refused(folder, DamagedError, name)
    with pytest.raises((VaultExistsError, HauloutError)):
        Vault.create(folder, embedder="none")[0].close()
    (folder.parent / name).rename(folder / name)
    stands(folder)


@pytest.mark.parametrize("name", ["memory.db", "memory.db-wal", "device.key", "vault.json"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.97])
def test_a_truncated_file_is_named(folder: Path, name: str, share: float) -> None:
    right = contents(folder)
    os.truncate(folder / name, int(len(right[name]) * share))
    try:
        # The write-ahead log may hold the very pages that the file lost; and behind its last frame
        # it keeps those of an earlier round, which nobody needs.
        stands(folder)
        assert share == 0.97
        assert name in {"memory.db", "memory.db-wal"}
    except HauloutError as error:
        assert name.removesuffix("-wal") in str(error)  # noqa: PT017
    shutil.rmtree(folder)
    folder.mkdir()
    for file, data in right.items():
        (folder / file).write_bytes(data)
    stands(folder)


def test_a_lost_write_ahead_log_is_noticed(folder: Path) -> None:
    (folder / "memory.db-wal").rename(folder.parent / "log")
    refused(folder, DamagedError, "memory.db", "write-ahead log")
    (folder.parent / "log").rename(folder / "memory.db-wal")
    stands(folder)


def test_a_damaged_header_of_the_write_ahead_log_is_noticed_and_the_log_is_kept(
    folder: Path,
) -> None:
    log = bytearray((folder / "memory.db-wal").read_bytes())
    log[17] ^= 1
    (folder / "memory.db-wal").write_bytes(log)
    refused(folder, DamagedError, "memory.db", "write-ahead log")
    log[17] ^= 1
    (folder / "memory.db-wal").write_bytes(log)
    stands(folder)


def test_a_vault_that_lies_in_its_write_ahead_log_alone_is_not_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "vault"
    with Vault.create(tmp_path / "made", embedder="none")[0] as vault:
        for text in TEXTS:
            vault.remember(text)
        shutil.copytree(tmp_path / "made", folder, ignore=shutil.ignore_patterns("*-shm"))
    log = bytearray((folder / "memory.db-wal").read_bytes())
    log[17] ^= 1
    (folder / "memory.db-wal").write_bytes(log)
    for lock in ("none", "memory.lock"):  # noticed even where nobody remembers what was told
        (folder / lock).unlink(missing_ok=True)
        refused(folder, DamagedError, "memory.db", "write-ahead log")
    log[17] ^= 1
    (folder / "memory.db-wal").write_bytes(log)
    stands(folder)


def test_an_older_copy_of_the_database_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "vault"
    Vault.create(folder, embedder="none")[0].close()
    old = (folder / "memory.db").read_bytes()
    with Vault.open(folder, embedder="none") as vault:
        vault.remember("The walrus was here.")
    (folder / "memory.db").write_bytes(old)
    refused(folder, DamagedError, "memory.db", "older")


def test_a_folder_without_a_vault_and_a_file_in_its_place_say_so(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(VaultMissingError, match="haulout init"):
        Vault.open(tmp_path / "nothing")
    with pytest.raises(InputError, match="a vault is a folder"):
        Vault.open(tmp_path / "a.backup")
    with pytest.raises(VaultExistsError, match="vault"):
        Vault.create(folder)
    stands(folder)


def fill(vault: Vault) -> list[str]:
    """Remember until the disk is full; return what was acknowledged."""
    told = []
    try:
        while True:
            told.append(vault.remember(f"note {len(told)} {'walrus ' * 50}").text)
    except DiskFullError as error:
        assert "memory.db" in str(error)  # noqa: PT017
    return told


def test_a_full_disk_stops_writes_and_loses_nothing(tmp_path: Path) -> None:
    with mounted(FailingDisk({"write"}, 410, errno.ENOSPC, forever=True), tmp_path) as vfs:
        vault, _ = Vault.create(tmp_path / "vault", embedder="none", world=World(vfs=vfs))
        with vault:
            told = fill(vault)
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        assert vault.check().sound
        assert set(told) <= set(every_text(vault))
        assert len(told) > 3


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "tiny"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(command, check=False).returncode:
        pytest.skip("only root of a Linux machine may mount a small disk")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_disk_that_is_really_full_stops_writes_and_loses_nothing(
    tiny_disk: Path, tmp_path: Path
) -> None:
    vault, kit = Vault.create(tiny_disk / "vault", embedder="none")
    with vault:
        told = fill(vault)
    with Vault.open(tiny_disk / "vault", embedder="none") as vault:
        assert vault.check().sound
        assert set(told) <= set(every_text(vault))
        with pytest.raises(DiskFullError, match="out"):
            vault.backup(tiny_disk / "out.backup")
        assert not [p.name for p in tiny_disk.iterdir() if "out" in p.name]
        vault.backup(tmp_path / "elsewhere")
    words = str(kit)
    with Vault.restore(tmp_path / "elsewhere", tmp_path / "b", kit=words, embedder="none") as twin:
        assert set(told) <= set(every_text(twin))


def test_an_export_that_fails_halfway_keeps_no_later_forget_from_finishing(
    tmp_path: Path,
) -> None:
    with Vault.create(tmp_path / "vault", embedder="none")[0] as vault:
        kept = [vault.remember(text) for text in TEXTS]
        (tmp_path / "out").mkdir()
        full = FailingDisk({"write"}, 5, errno.ENOSPC)
        with mounted(full, tmp_path / "out"), pytest.raises(DiskFullError, match="export"):
            vault.export(tmp_path / "out" / "export")
        assert not vault.forget(kept[3].id).pending
        assert vault.check().sound


_READ_ONLY = """
    import os
    from haulout import HauloutError, Vault
    Vault.ephemeral().close()  # everything is imported before this Python may become unreadable
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    for attempt in (Vault.open, Vault.create):
        try:
            attempt({place!r} + "/" + attempt.__name__, embedder="none")
        except HauloutError as error:
            print(type(error).__name__, error)
"""


def test_a_read_only_folder_is_named(folder: Path) -> None:
    with scratch() as place:
        shutil.copytree(folder, place / "open")
        for path in (place / "open").iterdir():
            path.chmod(0o444)
        for path in (place / "open", place):
            path.chmod(0o555)
        program = textwrap.dedent(_READ_ONLY).format(place=str(place))
        command = [sys.executable, "-c", program]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        opened, created = ran.stdout.splitlines()
        assert re.match(r"ReadOnlyError .*memory\.\w+ .*Make the folder writable", opened)
        assert re.match("ReadOnlyError .*create", created)
        for path in (place, place / "open"):
            path.chmod(0o755)
        for path in (place / "open").iterdir():
            path.chmod(0o644)
        stands(place / "open")


def test_a_folder_that_a_cloud_drive_syncs_is_warned_of_and_works(tmp_path: Path) -> None:
    folder = tmp_path / "Dropbox" / "vault"
    with pytest.warns(CloudFolderWarning, match="Dropbox"):
        Vault.create(folder, embedder="none")[0].close()
    with pytest.warns(CloudFolderWarning, match="keep the vault outside"):
        Vault.open(folder, embedder="none").close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Vault.create(tmp_path / "drops" / "vault", embedder="none")[0].close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
def test_after_a_fork_the_child_is_told_to_open_the_vault_anew(tmp_path: Path) -> None:
    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    with child(crowd.fork, tmp_path / "vault") as (_, connection):
        for _ in range(2):
            assert re.match("VaultClosedError: .* forked", connection.recv())
        assert connection.recv() == "after the fork"
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        assert vault.check().sound
        assert list(every_text(vault).elements()) == ["after the fork"]


def test_a_changed_backup_and_another_vaults_words_are_refused_by_name(
    folder: Path, kit: RecoveryKit, tmp_path: Path
) -> None:
    file, place = tmp_path / "a.backup", tmp_path / "restored"
    data = file.read_bytes()
    _, other = Vault.create(tmp_path / "other", embedder="none")
    _.close()
    for name, content, words, kind in (
        ("none.backup", b"something else", kit, InputError),
        ("later.backup", data.replace(b"backup 3\n", b"backup 4\n", 1), kit, VaultVersionError),
        ("head.backup", data[:100] + b"?" + data[101:], kit, DamagedError),
        ("short.backup", data[: len(data) // 2], kit, DamagedError),
        ("body.backup", data[:-3000] + b"?" + data[-2999:], kit, DamagedError),
        ("a.backup", data, other, VaultLockedError),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(kind, match=name):
            Vault.restore(tmp_path / name, place, kit=words, embedder="none")
        assert not (place / "vault.json").exists()
    Vault.restore(file, place, kit=kit, embedder="none").close()
    stands(place)
