"""A disk that hangs in fsync: entries are refused in time, exits are sent, nothing deadlocks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from state.desk import Clock, Desk, actor, drawn
from state.programs import book_of
from state.test_lane import book, tape_of

from haulout import Vault
from haulout.errors import ActionRefusedError, StorageError, StoreUnavailableError
from haulout.state.state import State
from haulout.vault.opening import World

PATIENCE = 0.05
LONG = 60.0
NAMES = (f"hanging-{number}" for number in itertools.count())


class Hang:
    """Where a disk hangs: nothing gets past it while it is closed."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self.reached = threading.Event()

    def begin(self) -> None:
        self.reached.clear()
        self._open.clear()

    def end(self) -> None:
        self._open.set()

    def here(self) -> None:
        if not self._open.is_set():
            self.reached.set()
            assert self._open.wait(LONG)


class HangingFile(apsw.VFSFile):
    """A file of the system's whose fsync hangs."""

    def __init__(self, base: str, filename: object, flags: list[int], hang: Hang) -> None:
        self._hang = hang
        super().__init__(base, filename, flags)  # pyright: ignore[reportArgumentType]

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._hang.here()
        super().xSync(flags)


class HangingDisk(apsw.VFS):
    """The system's own files, below the cipher, with an fsync that hangs when it is told to."""

    def __init__(self, hang: Hang) -> None:
        self._hang, self.shim = hang, next(NAMES)
        super().__init__(self.shim, "unix")
        self.name = f"multipleciphers-{self.shim}"

    def xOpen(self, name: object, flags: list[int]) -> HangingFile:  # noqa: N802
        return HangingFile("unix", name, flags, self._hang)


class AtCommit:
    """The writer's connection, whose COMMIT hangs: readers have connections of their own."""

    def __init__(self, real: apsw.Connection, hang: Hang) -> None:
        self._real, self._hang = real, hang

    def execute(self, sql: str, *bindings: object) -> object:
        if sql == "COMMIT":
            self._hang.here()
        return self._real.execute(sql, *bindings)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


@pytest.fixture
def hang() -> Iterator[Hang]:
    found = Hang()
    yield found
    found.end()


@pytest.fixture(params=["a connection for each reader", "one connection, a VFS below the cipher"])
def state(
    request: pytest.FixtureRequest, tmp_path: Path, hang: Hang, clock: Clock
) -> Iterator[State]:
    disk = HangingDisk(hang) if "VFS" in request.param else None
    vault, _ = Vault.create(
        tmp_path / "vault", embedder="none", world=World(vfs=disk.name if disk else None)
    )
    found = vault.state("bots/btc")
    if disk is None:
        database = tape_of(found)._database
        database._connection = AtCommit(database._connection, hang)  # pyright: ignore[reportAttributeAccessIssue]
    made = State(
        found.tape, now=clock.now, entropy=drawn("x"), monotonic=clock.monotonic, patience=PATIENCE
    )
    made.patience = None
    made.tag()
    made.patience = PATIENCE
    yield made
    hang.end()
    vault.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def behind(state: State) -> None:
    """Wait until all that was queued is written."""
    state.tape.transact(lambda _book, _past: ([], None))


def patiently(state: State, most: float = LONG) -> State:
    state.patience = most
    return state


def test_s12_an_entry_is_refused_in_time_and_dropped_once_the_disk_answers(
    state: State, hang: Hang, clock: Clock
) -> None:
    desk = Desk("B", clock)
    acting = actor(state, desk, needs_recovery=False)
    patiently(state).limit("usd/held", 100)
    state.patience = PATIENCE
    hang.begin()
    with pytest.raises(ActionRefusedError, match="cannot be written down"):
        acting.act("order", target="desk/BTC", cost={"usd": 100}, holds=["usd"])
    assert hang.reached.wait(LONG)
    hang.end()
    behind(state)
    assert desk.sent == []
    assert state.open_intents() == []  # written late, and dropped behind it
    assert book(state).used(book(state).in_force()[0], clock.at) == 0
    late = [one for one in book(state).recent if one.status == "dropped"]
    assert len(late) == 1
    patiently(state)
    assert acting.act("order", target="desk/BTC", cost={"usd": 100}).intent.status == "done"
    assert book(state) == book_of(list(state.events()))


def test_an_exit_is_sent_flagged_and_written_down_once_the_disk_answers(
    state: State, hang: Hang, clock: Clock
) -> None:
    desk = Desk("B", clock)
    acting = actor(state, desk, needs_recovery=False)
    hang.begin()
    acted = acting.act("order", {"n": 1}, role="exit", target="desk/BTC")
    assert (acted.journaled, len(desk.orders)) == (False, 1)
    again = acting.act("order", {"n": 1}, role="exit", target="desk/BTC")
    assert (again.repeated, len(desk.orders)) == (True, 1)
    assert [one.id for one in acting.unjournaled] == [acted.intent.id]
    hang.end()
    behind(state)
    patiently(state)
    acting.act("order", {"n": 2}, role="exit", target="desk/BTC")
    assert acting.unjournaled == []
    assert state.intent(acted.intent.id).status == "done"
    assert len(desk.orders) == 2
    assert book(state) == book_of(list(state.events()))


def test_what_waits_behind_a_hung_commit_and_was_given_up_on_is_never_begun(
    state: State, hang: Hang
) -> None:
    hang.begin()
    state.journal("x", lambda total, note: total + note, 0).note(1, wait=False)
    assert hang.reached.wait(LONG)
    with pytest.raises(StoreUnavailableError, match=r"within 0\.05 seconds"):
        state.reserve("order", key="late")
    with pytest.raises(StoreUnavailableError):
        state.document("x").set(1)
    hang.end()
    behind(state)
    assert [event.kind for _, event in state.events()] == [8, 2]  # the tag and the note
    assert patiently(state).reserve("order", key="late").fresh


def test_what_nobody_waits_for_is_bounded(
    state: State, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulout.database.database._MOST_WAITING", 20)
    kept = state.journal("x", lambda total, note: total + note, 0)
    hang.begin()
    kept.note(1, wait=False)
    assert hang.reached.wait(LONG)
    for _ in range(20):
        kept.note(1, wait=False)
    with pytest.raises(StorageError, match="20 writes waiting"):
        kept.note(1, wait=False)
    hang.end()
    behind(state)
    assert len(kept.notes()) == 21


def test_a_prepared_entry_that_was_refused_and_written_late_is_not_sent_when_it_is_tried_again(
    state: State, hang: Hang, clock: Clock
) -> None:
    desk = Desk("B", clock)
    acting = actor(state, desk, needs_recovery=False)
    wanted = state.intended("order", target="desk/BTC")
    hang.begin()
    with pytest.raises(ActionRefusedError):
        acting.act_on(wanted)
    assert hang.reached.wait(LONG)
    hang.end()
    behind(state)
    patiently(state)
    with pytest.raises(ActionRefusedError, match="the disk did not answer in time"):
        acting.act_on(wanted)
    assert desk.sent == []
