"""The state lane on disk: made once, found again or missed aloud, and no other lane's business."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import cbor2
import pytest
from crash.processes import child
from vault.acting import act, book, folded, fork, lane, records
from vault.making import new_vault

from haulout import RecoveryKit, Vault
from haulout.crypto.keys import derive
from haulout.database.connection import connect
from haulout.database.lock import WriterLock
from haulout.errors import (
    ActionRefusedError,
    DamagedError,
    HauloutError,
    StorageError,
    VaultClosedError,
    VaultError,
    VaultLockedError,
)
from haulout.log.journal import Journal
from haulout.log.record import Lane, RecordType, canonical
from haulout.state.acting import Actor
from haulout.testing.disks import FailingDisk, mounted
from haulout.testing.pages import database_key
from haulout.testing.venue.simulated import SimulatedVenue
from haulout.vault.keeping import StatesLeftOutWarning
from haulout.vault.opening import World, noted_states


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A vault with a memory and a state, closed."""
    vault, kit = new_vault(tmp_path / "vault")
    with vault:
        vault.remember("A memory.")
        act(vault)
    (tmp_path / "kit").write_text(kit.words)
    return tmp_path / "vault"


@pytest.fixture
def kit(folder: Path) -> RecoveryKit:
    return RecoveryKit.from_words((folder.parent / "kit").read_text())


def opened(folder: Path, **arguments: Any) -> Vault:
    return Vault.open(folder, **({"embedder": "none"} | arguments))


def memories_stand(vault: Vault) -> None:
    """Memories are read, written and recalled as ever."""
    assert "A memory." in [one.text for one in vault.list().memories]
    vault.remember("another")
    assert vault.recall("another")


# --- made with the first state --------------------------------------------------------------


def test_a_vault_that_was_made_before_gets_a_lane_with_its_first_state(tmp_path: Path) -> None:
    vault, _ = new_vault(tmp_path / "vault")
    with vault:
        vault.remember("A memory.")
        assert vault.states() == []
        assert vault.stats().states == 0
        assert vault.check().sound
        assert vault.sync().stores == ()
        assert not (tmp_path / "vault" / "state.db").exists()
    with opened(tmp_path / "vault") as vault:
        act(vault)
        memories_stand(vault)
    with opened(tmp_path / "vault") as vault:
        assert vault.states() == ["bots/btc"]
        report = vault.check()
        assert report.sound
        assert (report.states, report.state_records) == (1, records(vault))
        told = vault.stats()
        assert (told.states, told.state_records) == (1, records(vault))


MAKER = """
import sys
from haulout import Vault
with Vault.open(sys.argv[1], embedder="none") as vault:
    print("ready", flush=True)
    sys.stdin.readline()
    state = vault.state("bots/btc")
    for n in range(10):
        state.document("counter").change(lambda old: (old or 0) + 1, attempts=1000)
"""


def test_processes_that_make_the_lane_at_the_same_moment_make_one(tmp_path: Path) -> None:
    new_vault(tmp_path / "vault")[0].close()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, str(tmp_path / "vault")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in running:
        one.stdin.write("\n")  # pyright: ignore[reportOptionalMemberAccess]
        one.stdin.flush()  # pyright: ignore[reportOptionalMemberAccess]
    for one in running:
        one.communicate()
        assert one.returncode == 0
    with opened(tmp_path / "vault") as vault:
        assert vault.state("bots/btc").get("counter") == 40
        assert vault.check().sound
        with lane(vault).database.read() as connection:
            first = connection.execute("SELECT type FROM record ORDER BY num LIMIT 2").fetchall()
            founders = connection.execute("SELECT count(*) FROM record WHERE type = 5").fetchone()
        with vault._database.read() as connection:
            marks = connection.execute("SELECT count(*) FROM record WHERE type = 9").fetchone()
        assert marks == (1,)
        assert first == [(5,), (8,)]
        assert founders == (1,)


def test_a_making_that_was_cut_short_is_begun_again(tmp_path: Path) -> None:
    new_vault(tmp_path / "vault")[0].close()
    for name in ("state.db", "state.db-wal", "state.lock", "state.turn"):
        (tmp_path / "vault" / name).write_bytes(b"")
    with opened(tmp_path / "vault") as vault:
        act(vault)
        assert vault.check().sound


def test_a_lane_is_made_while_memories_do_not_answer_and_noted_later(tmp_path: Path) -> None:
    vault, _ = new_vault(tmp_path / "vault")

    def note(found: Vault) -> str:
        with found._database.read() as connection:
            return noted_states(connection, 1)

    with vault, pytest.MonkeyPatch.context() as patch:
        patch.setattr("haulout.vault.statelane._MARKED_WITHIN", 0.05)
        lock = WriterLock(tmp_path / "vault" / "memory.lock")
        try:
            with lock.held():
                act(vault)
        finally:
            lock.close()
        assert note(vault) == ""
    with opened(tmp_path / "vault") as vault:
        assert vault.states() == ["bots/btc"]
        assert note(vault) == "made"
        before = vault.stats().records
    with opened(tmp_path / "vault") as vault:
        act(vault, "another")
        assert vault.stats().records == before  # said once
        assert vault.check().sound


def test_a_vault_in_memory_keeps_states_until_it_is_closed(tmp_path: Path) -> None:
    vault = Vault.ephemeral()
    with vault:
        act(vault)
        vault.state("bots/btc").pause()
        assert vault.states() == ["bots/btc"]
        assert vault.check().states == 1
        assert vault.rebuild() == 0
        assert vault.state("bots/btc").halted == "pause"
        assert not list(tmp_path.iterdir())
    with pytest.raises(VaultClosedError):
        vault.state("bots/btc").document("plan").set(1)


# --- one lane down, the other up ------------------------------------------------------------


def remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


WAYS: dict[str, Callable[[Path], Any]] = {
    "missing": lambda folder: remove(folder, "state.db", "state.db-wal"),
    "missing with its lock": lambda folder: remove(
        folder, "state.db", "state.db-wal", "state.lock", "state.turn"
    ),
    "missing before it was noted": lambda folder: (
        changed(folder, "DELETE FROM setting WHERE name = 'states'", name="memory.db"),
        remove(folder, "state.db", "state.db-wal"),
    ),
    "empty": lambda folder: (folder / "state.db").write_bytes(b""),
    "no database": lambda folder: (folder / "state.db").write_bytes(b"x" * 8192),
    "cut short": lambda folder: os.truncate(folder / "state.db", 20_000),
    "the other lane's": lambda folder: shutil.copy(folder / "memory.db", folder / "state.db"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_lane_that_is_gone_or_damaged_is_missed_aloud_and_takes_no_memory_with_it(
    folder: Path, tmp_path: Path, way: str
) -> None:
    with opened(folder) as vault:
        expected = book(vault)
    shutil.copytree(folder, tmp_path / "kept")
    WAYS[way](folder)
    with opened(folder) as vault:
        for ask in (vault.states, lambda: vault.state("bots/btc"), lambda: vault.state("new")):
            with pytest.raises(VaultError, match=r"state\.db"):
                cast("Any", ask())
        assert "state.db" in vault.stats().states_failure
        problems = vault.check().problems
        assert len(problems) == 1
        assert "state.db" in problems[0]
        memories_stand(vault)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)
    with opened(folder) as vault:  # with the right file all is as it was
        assert book(vault) == expected
        assert vault.check().sound


def test_an_older_copy_of_the_lane_is_noticed(folder: Path) -> None:
    old = (folder / "state.db").read_bytes()
    with opened(folder) as vault:
        vault.state("bots/btc").reserve("order", {"n": 99}, target="other")
    (folder / "state.db").write_bytes(old)
    with opened(folder) as vault:
        with pytest.raises(DamagedError, match="older"):
            vault.state("bots/btc")
        memories_stand(vault)


def test_a_lost_write_ahead_log_of_the_lane_is_noticed(tmp_path: Path) -> None:
    vault, _ = new_vault(tmp_path / "made")
    with vault:
        vault.remember("A memory.")
        act(vault)
        shutil.copytree(
            tmp_path / "made", tmp_path / "vault", ignore=shutil.ignore_patterns("*-shm")
        )
    remove(tmp_path / "vault", "state.db-wal")
    with opened(tmp_path / "vault") as vault:
        with pytest.raises(DamagedError, match="write-ahead log"):
            vault.state("bots/btc")
        memories_stand(vault)


def failed_sync(tmp_path: Path, file: str, write: Callable[[Vault], Any]) -> Iterator[Vault]:
    """A vault, after one of its lanes met a sync that failed."""
    disk = FailingDisk({"sync"}, 1, errno.EIO, forever=True)
    before, armed = disk.before, list[bool]()
    disk.before = lambda call: before(call) if armed and file in call.path else None  # pyright: ignore[reportAttributeAccessIssue]
    with mounted(disk, tmp_path) as vfs:
        vault = opened(tmp_path / "vault", world=World(vfs=vfs))
        with vault:
            vault.state("bots/btc").document("plan").set("told")
            armed.append(True)
            with pytest.raises(StorageError):
                write(vault)
            yield vault


def test_a_lane_whose_sync_failed_takes_no_order_while_memories_go_on(
    folder: Path, tmp_path: Path
) -> None:
    for vault in failed_sync(
        tmp_path, "state.db", lambda one: one.state("bots/btc").reserve("order", target="x")
    ):
        state = vault.state("bots/btc")
        with pytest.raises(VaultClosedError):
            state.reserve("order", target="y")
        with pytest.raises(VaultClosedError):
            state.document("plan").set(1)
        memories_stand(vault)
    with opened(folder) as vault:
        assert vault.state("bots/btc").get("plan") == "told"
        vault.state("bots/btc").reserve("order", target="z")
        assert vault.check().sound


def test_orders_go_on_while_the_sync_of_memories_failed(folder: Path, tmp_path: Path) -> None:
    for vault in failed_sync(tmp_path, "memory.db", lambda one: one.remember("not kept")):
        with pytest.raises(VaultClosedError):
            vault.remember("nor this")
        assert vault.state("bots/btc").reserve("order", key="while", target="w").fresh
    with opened(folder) as vault:
        assert not vault.state("bots/btc").reserve("order", key="while", target="w").fresh


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
def test_after_a_fork_the_child_is_told_to_open_the_vault_anew(folder: Path) -> None:
    with child(fork, folder) as (_, connection):
        for _ in range(3):
            told = connection.recv()
            assert told.startswith("VaultClosedError")
            assert "forked" in told
        assert connection.recv() == "done"
    with opened(folder) as vault:
        assert vault.state("bots/btc").get("plan") == "after the fork"
        assert vault.check().sound


# --- check and rebuild ----------------------------------------------------------------------


def changed(folder: Path, sql: str, *, name: str = "state.db") -> None:
    """Change a lane's database behind its back."""
    connection = connect(folder / name, database_key(folder))
    try:
        connection.execute(sql).fetchall()
    finally:
        connection.close()


VIEWS = {
    "an event's row": ("DELETE FROM state_event WHERE num = 9", "view"),
    "an event's subject": ("UPDATE state_event SET subject = x'00' WHERE num = 12", "view"),
    "a stray event": ("INSERT INTO state_event VALUES (99999, 1, 1, NULL)", "no record"),
    "a key": ("DELETE FROM operation WHERE num = (SELECT min(num) FROM operation)", "key"),
    "a stray key": ("INSERT INTO operation VALUES (1, x'00', 5)", "no record"),
    "a snapshot of too much": (
        "UPDATE state_book SET book = (SELECT book FROM other) WHERE 1", "snapshot",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", VIEWS)
def test_check_finds_a_view_that_differs_and_rebuild_mends_it(folder: Path, what: str) -> None:
    with opened(folder) as vault:
        expected = book(vault)
        vault.rebuild()  # there is a snapshot from now on
        assert book(vault) == expected
        assert vault.check().sound
    sql, word = VIEWS[what]
    if "other" in sql:
        changed(folder, "CREATE TABLE other AS SELECT book FROM state_book")
        with opened(folder) as vault:
            vault.state("bots/btc").document("plan").set("newer")
            vault.rebuild()
            expected = book(vault)
        changed(folder, "UPDATE state_book SET book = (SELECT book FROM other)")
        changed(folder, "DROP TABLE other")
    else:
        changed(folder, sql)
    with opened(folder) as vault:
        problems = vault.check().problems
        assert problems
        assert any(word in one and "state.db" in one for one in problems)
        vault.rebuild()
        assert vault.check().sound
    with opened(folder) as vault:
        assert book(vault) == expected
        assert not vault.state("bots/btc").reserve(
            "order", {"side": "buy", "n": 0}, key="signal-0", target="desk/0", cost={"usd": 100},
            holds=["usd"],
        ).fresh  # fmt: skip


DAMAGE = {
    "a payload": "UPDATE record SET payload = zeroblob(length(payload)) WHERE num = 12",
    "a signature": "UPDATE record SET signature = zeroblob(64) WHERE num = 12",
    "a missing record": "DELETE FROM record WHERE num = 12",
    "a missing key": "DELETE FROM record_key WHERE num = 12",
    "another lane": "UPDATE record SET header = (SELECT header FROM record WHERE num = 5)"
    " WHERE num = 12",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_check_finds_a_record_of_the_lane_that_is_not_what_was_signed(
    folder: Path, what: str
) -> None:
    changed(folder, DAMAGE[what])
    with opened(folder) as vault:
        problems = vault.check().problems
        assert problems
        assert all("state.db" in one for one in problems)
        memories_stand(vault)


def test_check_finds_a_record_that_this_device_signed_for_the_other_lane(folder: Path) -> None:
    with opened(folder) as vault:
        parts = lane(vault)
        foreign = Journal(
            1, parts.vault_id, Lane.MEMORY, parts.device, parts.journal.keychain,
            now=parts.journal.now, entropy=parts.journal.entropy,
        )  # fmt: skip
        parts.database.write(lambda tx: foreign.append(tx, RecordType.STATE, b"\x80"))
        problems = vault.check().problems
        assert any("belongs to another lane" in one for one in problems)


def test_a_lane_that_cannot_be_rebuilt_keeps_its_views_and_memories_are_rebuilt(
    folder: Path,
) -> None:
    changed(folder, "UPDATE record SET payload = zeroblob(length(payload)) WHERE num = 12")
    with opened(folder) as vault:
        with lane(vault).database.read() as connection:
            before = connection.execute("SELECT count(*) FROM state_event").fetchone()
        with pytest.raises(HauloutError):
            vault.rebuild()
        with lane(vault).database.read() as connection:
            assert connection.execute("SELECT count(*) FROM state_event").fetchone() == before
        memories_stand(vault)


# --- backups --------------------------------------------------------------------------------


def test_a_backup_brings_every_state_back_under_a_device_of_its_own(
    folder: Path, kit: RecoveryKit, tmp_path: Path
) -> None:
    with opened(folder) as vault:
        vault.state("bots/btc").flatten("enough")
        told = vault.backup(tmp_path / "file")
        assert told.state_records == records(vault)
        expected, tag = book(vault), vault.state("bots/btc").tag()
        events = list(vault.state("bots/btc").events())
    with Vault.restore(tmp_path / "file", tmp_path / "new", kit=kit, embedder="none") as twin:
        assert book(twin) == expected
        assert folded(twin)
        state = twin.state("bots/btc")
        assert list(state.events()) == events
        assert (state.halted, state.tag()) == ("flatten", tag)
        assert not state.reserve(
            "order", {"side": "buy", "n": 0}, key="signal-0", target="desk/0", cost={"usd": 100},
            holds=["usd"],
        ).fresh  # fmt: skip
        state.document("plan").set("here")
        assert twin.check().sound
        with lane(twin).database.read() as connection:
            newest = connection.execute("SELECT device FROM record ORDER BY num DESC").fetchone()
        assert newest == (twin._parts.device.id,)


def test_a_backup_is_one_file_and_shows_nothing_of_states(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as vault:
        vault.backup(tmp_path / "file")
    data = (tmp_path / "file").read_bytes()
    for word in (b"bots/btc", b"signal-0", b"desk/", b"a loss", b"SQLite", b"levels"):
        assert word not in data
    assert not [one.name for one in tmp_path.iterdir() if one.name.startswith(".")]


def test_each_lane_in_a_backup_has_pages_under_a_key_of_its_own(
    folder: Path, kit: RecoveryKit, tmp_path: Path
) -> None:
    with opened(folder) as vault:
        vault.backup(tmp_path / "file")
    data = (tmp_path / "file").read_bytes()
    size = int.from_bytes(data[17:21], "big")
    header = cbor2.loads(data[21 : 21 + size])
    key = kit.recovery.unwrap(header["key"], b"haulout/1/backup\0" + kit.vault_id)
    start = 21 + size + 32
    places = {"database": start, "states": start + header["database"]}
    keys = {"database": key, "states": derive(key, "backup/states")}
    for lane_of, place in places.items():
        for key_of, one in keys.items():
            path = tmp_path / f"{lane_of}-{key_of}.db"
            path.write_bytes(data[place : place + header[lane_of]])
            if lane_of == key_of:
                connect(path, one).close()
            else:
                with pytest.raises(VaultLockedError):
                    connect(path, one)


def test_a_backup_of_the_version_before_restores_and_has_no_states(
    folder: Path, kit: RecoveryKit, tmp_path: Path
) -> None:
    remove(folder, "state.db", "state.lock", "state.turn")
    changed(folder, "DELETE FROM setting WHERE name = 'states'", name="memory.db")
    with opened(folder) as vault:
        vault.backup(tmp_path / "file")
    data = (tmp_path / "file").read_bytes()
    size = int.from_bytes(data[17:21], "big")
    header = dict(cbor2.loads(data[21 : 21 + size]))
    assert header.pop("states") == 0
    body = canonical(header)
    head = b"haulout backup 2\n" + len(body).to_bytes(4, "big") + body
    old = head + hashlib.sha256(head).digest() + data[21 + size + 32 :]
    (tmp_path / "old").write_bytes(old)
    with Vault.restore(tmp_path / "old", tmp_path / "new", kit=kit, embedder="none") as twin:
        assert [one.text for one in twin.list().memories] == ["A memory."]
        assert twin.states() == []
        act(twin)
        assert twin.check().sound


def test_a_backup_of_a_vault_whose_states_do_not_open_is_made_and_says_so(
    folder: Path, kit: RecoveryKit, tmp_path: Path
) -> None:
    (folder / "state.db").write_bytes(b"x" * 8192)
    with opened(folder) as vault, pytest.warns(StatesLeftOutWarning, match=r"state\.db"):
        told = vault.backup(tmp_path / "file")
    assert "state.db" in told.states_failure
    with Vault.restore(tmp_path / "file", tmp_path / "new", kit=kit, embedder="none") as twin:
        memories_stand(twin)
        with pytest.raises(DamagedError, match=r"state\.db is missing"):
            twin.state("bots/btc")


def test_f16_a_backup_of_yesterday_is_told_by_the_venues_ids_and_gives_no_entries(
    tmp_path: Path,
) -> None:
    venue = SimulatedVenue("C", prices={"BTC/USDT": "100"})
    order = {"symbol": "BTC/USDT", "side": "buy", "amount": "1"}
    vault, kit = new_vault(tmp_path / "vault")
    with vault:
        state = vault.state("bots/btc", now=venue.now)
        actor = Actor(state, venue, sleep=venue.advance)
        actor.act("order", order, key="s1", cost={"BTC": 1})
        vault.backup(tmp_path / "yesterday")
        actor.act("order", order, key="s2", cost={"BTC": 1})
    venue.advance(86_400)
    with Vault.restore(tmp_path / "yesterday", tmp_path / "new", kit=kit, embedder="none") as twin:
        again = Actor(twin.state("bots/btc", now=venue.now), venue, sleep=venue.advance)
        report = again.recover()
        assert report.older_than_venue
        assert len(report.adopted) == 1
        assert not report.ready
        with pytest.raises(ActionRefusedError):
            again.act("order", order, key="s3", cost={"BTC": 1})
        assert len([one for one in venue.ledger() if one.what == "accepted"]) == 2


def test_what_an_unfinished_restore_left_of_a_lane_is_not_taken_for_the_vaults(
    folder: Path, kit: RecoveryKit, tmp_path: Path
) -> None:
    with opened(folder) as vault:
        vault.backup(tmp_path / "file")
        expected = book(vault)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".unfinished").write_bytes(b"")
    for name in ("state.db", "state.db-wal", "state.lock"):
        shutil.copy(folder / "device.key", tmp_path / "new" / name)
    with Vault.restore(tmp_path / "file", tmp_path / "new", kit=kit, embedder="none") as twin:
        assert book(twin) == expected
        assert twin.check().sound
