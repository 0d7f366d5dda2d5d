"""The state lane: one book for every thread and process, never ahead of the disk for long."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from database.test_database import Stub
from hypothesis import HealthCheck, given, settings
from state.desk import Clock, Desk, actor, drawn
from state.programs import PROGRAMS, Run, Step, book_of, renumbered

from haulout import Vault
from haulout.errors import (
    DiskFullError,
    InputError,
    StoreUnavailableError,
    VaultClosedError,
)
from haulout.state import lane
from haulout.state.book import Book
from haulout.state.events import Event, Kind
from haulout.state.lane import LaneTape
from haulout.state.state import State
from haulout.state.tape import MemoryTape

NAMES = (f"bots/n{number}" for number in itertools.count())


def tape_of(state: State) -> LaneTape:
    assert isinstance(state.tape, LaneTape)
    return state.tape


def book(state: State) -> Book:
    return state.tape.read(lambda found, _past: msgspec.structs.replace(found))


# --- the twin ------------------------------------------------------------------------------


@given(PROGRAMS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_state_in_memory_answers_as_one_in_a_vault(ephemeral: Vault, steps: list[Step]) -> None:
    name = next(NAMES)
    kept, twin = Run(ephemeral.state(name).tape), Run(MemoryTape(name))
    for step in steps:
        found = kept.one(step)
        kept.state.tape.transact(lambda _book, _past: ([], None))  # behind what nobody waited for
        assert found == twin.one(step), step
    assert kept.shown() == twin.shown()
    events = list(kept.state.events())
    assert renumbered(events) == list(twin.state.events())
    assert book_of(events) == book(kept.state)


@given(PROGRAMS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_two_holders_of_a_lane_go_on_from_each_other(vault: Vault, steps: list[Step]) -> None:
    name, clock = next(NAMES), Clock()
    with Vault.open(vault.path, embedder="none") as other:
        one = Run(vault.state(name).tape, clock=clock)
        two = Run(other.state(name).tape, "other", clock=clock)
        two.ids = one.ids
        for place, step in enumerate(steps):
            acts = (one, two)[place % 2]
            acts.one(step)
            acts.state.tape.transact(lambda _book, _past: ([], None))
        assert one.shown() == two.shown()
        assert book(one.state) == book(two.state) == book_of(list(one.state.events()))


def test_a_backtest_gives_the_same_results_with_memory_on_as_a_twin_and_off(vault: Vault) -> None:
    def backtest(state: State | None) -> list[Any]:
        clock = Clock()
        desk = Desk("C", clock)
        if state is None:
            results = [desk.submit(_intent(n, clock)) for n in range(40) if n % 3 == 0]
            return [(one.ref, one.target, one.filled, one.at) for one in results]
        on = State(state.tape, now=clock.now, entropy=drawn("x"), monotonic=clock.monotonic)
        acting = actor(on, desk, needs_recovery=False)
        on.limit("usd/held", 10**9)
        for n in range(40):
            on.journal("bars", lambda total, _note: total + 1, 0).note(n, wait=False)
            if n % 3 == 0:
                acting.act("order", {"n": n}, target="desk/BTC", cost={"usd": n}, holds=["usd"])
        return [(one.ref, one.target, one.filled, one.at) for one in desk.orders]

    def _intent(n: int, clock: Clock) -> Any:
        alone = State.in_memory(now=clock.now, entropy=drawn(str(n)))
        return alone.intended("order", {"n": n}, target="desk/BTC")

    clock = Clock()
    off = backtest(None)
    twins = [backtest(State.in_memory(now=clock.now)) for _ in range(2)]
    assert off == twins[0] == twins[1] == backtest(vault.state("bots/btc"))


# --- after a failure -----------------------------------------------------------------------


def fail_commits(state: State, error: Exception) -> Callable[[], None]:
    """Every COMMIT of the state's lane fails, until the answer is called."""
    database = tape_of(state)._database
    real = database._connection
    database._connection = Stub(real, "COMMIT", error)  # pyright: ignore[reportAttributeAccessIssue]

    def heal() -> None:
        database._connection = real

    return heal


def test_a_book_is_not_ahead_of_a_disk_that_refused_its_events(vault: Vault) -> None:
    state = vault.state("bots/btc")
    state.limit("usd/held", 100)
    heal = fail_commits(state, apsw.FullError("no space"))
    with pytest.raises(DiskFullError):
        state.reserve("order", cost={"usd": 100}, holds=["usd"])
    heal()
    assert state.open_intents() == []
    assert state.reserve("order", cost={"usd": 100}, holds=["usd"]).fresh
    assert book(state) == book_of(list(state.events()))


def test_numbers_that_another_process_uses_again_are_read_as_its_events(vault: Vault) -> None:
    state = vault.state("bots/btc")
    state.document("x").set(1)
    heal = fail_commits(state, apsw.FullError("no space"))
    with Vault.open(vault.path, embedder="none") as other:
        with pytest.raises(DiskFullError):
            state.document("x").set(2)
        other.state("bots/btc").document("y").set(3)  # under the number that was undone
        assert (state.document("x").get(), state.document("y").get()) == (1, 3)
    heal()


def test_the_book_is_forgotten_before_another_process_may_write(vault: Vault) -> None:
    state = vault.state("bots/btc")
    tape, held = tape_of(state), []
    state.document("x").set(1)
    writer = tape._database._lock
    assert writer is not None
    leave = writer.held

    def noted() -> Any:
        manager = leave()

        class Noted:
            def __enter__(self) -> None:
                manager.__enter__()

            def __exit__(self, *error: object) -> Any:
                held.append(tape._book)
                return manager.__exit__(*error)  # pyright: ignore[reportArgumentType]

        return Noted()

    writer.held = noted  # pyright: ignore[reportAttributeAccessIssue]
    heal = fail_commits(state, apsw.FullError("no space"))
    with pytest.raises(DiskFullError):
        state.document("x").set(2)
    heal()
    assert held == [None]


def test_what_is_durable_is_answered_also_where_its_snapshot_is_not_taken(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_SNAPSHOT_EVENTS", 1)
    state = vault.state("bots/btc")

    def full(_job: Any) -> None:
        message = "Too many wait."
        raise StoreUnavailableError(message)

    monkeypatch.setattr(tape_of(state)._database, "post", full)
    for number in range(3):
        assert state.reserve("order", target=str(number)).fresh


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_open_again_keeps_its_key(ephemeral: Vault, *, kept: bool) -> None:
    state = ephemeral.state(next(NAMES)) if kept else State.in_memory(now=Clock().now)
    intent = state.reserve("order", key="signal-1", cost={"usd": 1}).intent
    state.settle(intent, "dropped")
    again = msgspec.structs.replace(intent, adopted=True)
    assert state.adopt(again, {"status": "done"}).status == "done"
    found = state.reserve("order", key="signal-1", cost={"usd": 1})
    assert (found.fresh, found.intent.id, found.intent.status) == (False, intent.id, "done")


def test_a_disk_that_failed_while_writing_takes_no_more_orders(vault: Vault) -> None:
    state = vault.state("bots/btc")
    heal = fail_commits(state, apsw.IOError("fsync"))
    with pytest.raises(Exception, match="fsync"):
        state.reserve("order")
    heal()
    with pytest.raises(VaultClosedError):
        state.reserve("order")
    with pytest.raises(VaultClosedError):
        state.journal("x", lambda total, _note: total, 0).note(1, wait=False)


def test_an_event_that_nobody_could_read_is_refused_and_its_batch_undone(vault: Vault) -> None:
    state = vault.state("bots/btc")
    good = Event(Kind.NOTE, 1, 0, {"journal": "x", "value": "1"})
    bad = Event(Kind.NOTE, 1, 0, {"journal": "x", "value": "NaN"})
    for tape in (state.tape, MemoryTape("twin")):
        with pytest.raises(InputError):
            tape.transact(lambda _book, _past: ([good, bad], None))
        assert list(tape.history()) == []
        assert tape.read(lambda found, _past: found.events) == 0


# --- reading -------------------------------------------------------------------------------


def test_whoever_reads_the_events_may_write_meanwhile(ephemeral: Vault, vault: Vault) -> None:
    for found in (ephemeral, vault):
        state = found.state("bots/reading")
        for n in range(3):
            state.document("x").set(n)
        for number, _event in state.events():
            if number and state.document("seen").get(0) < 3:
                state.document("seen").change(lambda old: (old or 0) + 1)
        assert state.document("seen").get() == 3


def test_the_events_come_whole_and_in_order_however_many_they_are(
    ephemeral: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_READ_AT_ONCE", 3)
    state = ephemeral.state(next(NAMES))
    for n in range(9):
        state.document("x").set(n)
    numbers = [number for number, _ in state.events()]
    assert len(numbers) == 9
    assert numbers == sorted(set(numbers))
    assert [number for number, _ in state.events(numbers[3])] == numbers[4:]


def test_a_reader_of_an_older_moment_reads_it_apart_and_leaves_the_writers_book(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = vault.state("bots/btc")
    state.document("x").set(1)
    tape = tape_of(state)
    with tape._database.read() as moment:
        moment.execute("SELECT count(*) FROM record").fetchone()  # a moment begins with a look
        state.document("x").set(2)
        ahead = tape._book
        with monkeypatch.context() as patched:
            patched.setattr(tape._database, "read", lambda: nullcontext(moment))
            assert state.document("x").get() == 1
            assert tape._book is ahead
    assert state.document("x").get() == 2
    assert tape._book is ahead


def test_a_state_that_was_never_written_is_empty(ephemeral: Vault) -> None:
    state = ephemeral.state(next(NAMES))
    assert (state.open_intents(), list(state.events()), state.halted) == ([], [], "")
    assert state.name not in ephemeral.states()


def test_snapshots_spare_reading_and_change_nothing(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_SNAPSHOT_EVENTS", 10)
    state = vault.state("bots/btc")
    for n in range(35):
        state.settle(state.reserve("order", cost={"usd": n}, holds=["usd"]).intent, "done")
    whole = book_of(list(state.events()))
    with Vault.open(vault.path, embedder="none") as other:
        tape = tape_of(other.state("bots/btc"))
        with tape._database.read() as connection:
            kept = connection.execute("SELECT through FROM state_book").fetchone()
        assert kept is not None
        assert kept[0] > whole.through // 2
        assert tape.read(lambda found, _past: found.snapshot()) == whole.snapshot()


def test_s4_a_state_of_100_000_events_is_read_from_its_snapshot_and_a_short_tail(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = vault.state("bots/btc")
    tape = tape_of(state)
    notes = [Event(Kind.NOTE, n, 0, {"journal": "x", "value": "1"}) for n in range(1_200)]
    for start in range(0, 1_200, 100):  # what counts is what is read, not how much there is
        tape.transact(lambda _book, _past, at=start: (notes[at : at + 100], None))
    tape._database.write(lambda _connection: None)  # behind the newest snapshot
    opened: list[int] = []
    event = lane._Events.event
    monkeypatch.setattr(
        lane._Events, "event", lambda self, number: opened.append(number) or event(self, number)
    )
    with Vault.open(vault.path, embedder="none") as other:
        assert other.state("bots/btc").tape.read(lambda found, _past: found.events) == 1_200
    assert len(opened) < lane._SNAPSHOT_EVENTS + 100


# --- many at once --------------------------------------------------------------------------


def test_a_limit_is_not_passed_by_any_number_of_threads(vault: Vault) -> None:
    states = [vault.state("bots/btc") for _ in range(8)]
    states[0].limit("usd/held", 10)
    taken: list[int] = []

    def work(state: State, worker: int) -> None:
        for n in range(10):
            try:
                state.reserve("order", target=f"{worker}/{n}", cost={"usd": 1}, holds=["usd"])
                taken.append(n)
            except Exception:  # noqa: BLE001
                continue

    threads = [
        threading.Thread(target=work, args=(state, worker)) for worker, state in enumerate(states)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 10
    assert book(states[0]) == book_of(list(states[0].events()))


PROCESS = """
import json, sys
from haulout import Vault
from haulout.errors import ConflictError, HauloutError
with Vault.open(sys.argv[1], embedder="none") as vault:
    state = vault.state("bots/btc")
    sys.stdin.readline()
    taken = 0
    for n in range(25):
        state.document("counter").change(lambda old: (old or 0) + 1, attempts=10_000)
        try:
            state.reserve("order", target=f"{sys.argv[2]}/{n}", cost={"usd": 1}, holds=["usd"])
            taken += 1
        except HauloutError:
            pass
        fresh = state.reserve("tick", role="exit", key=f"signal-{n}").fresh
        taken += 1000 * fresh
    print(json.dumps(taken))
"""


def test_processes_lose_no_update_pass_no_limit_and_share_every_key(
    vault: Vault, tmp_path: Path
) -> None:
    state = vault.state("bots/btc")
    state.limit("usd/held", 30)
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(vault.path), str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(3)
    ]  # fmt: skip
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    total = sum(json.loads(one) for one in said)
    assert total == 30 + 25 * 1000  # each key was fresh once, in one of them
    assert state.document("counter").get() == 75
    assert len(state.document("counter").history()) == 75
    assert book(state) == book_of(list(state.events()))
    assert vault.check().problems == ()


def test_s19_states_work_where_no_bots_library_can_be_imported(tmp_path: Path) -> None:
    script = tmp_path / "alone.py"
    script.write_text(
        """
import sys
class Refused:
    names = {"ccxt", "freqtrade", "nautilus_trader", "alpaca", "MetaTrader5", "jesse", "redis",
             "pandas", "sqlalchemy", "aiohttp"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ImportError(f"{name} must not be needed")
sys.meta_path.insert(0, Refused())
from haulout import Vault
with Vault.ephemeral() as vault:
    state = vault.state("bots/btc")
    state.limit("usd/day", 100)
    state.document("x").set(1)
    intent = state.reserve("order", cost={"usd": 1}).intent
    state.settle(intent, "done")
    from haulout.state.acting import Actor
    print("well", not Refused.names & set(sys.modules))
"""
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("well True\n", "")


def test_s14_a_halt_that_another_process_set_while_the_bot_was_dead_comes_before_any_order(
    vault: Vault, tmp_path: Path
) -> None:
    clock = Clock()
    desk = Desk("B", clock)
    state = vault.state("bots/btc", now=clock.now)
    actor(state, desk).act("order", target="desk/BTC")  # and the bot dies here
    script = tmp_path / "owner.py"
    script.write_text(
        "import sys\nfrom haulout import Vault\n"
        "with Vault.open(sys.argv[1], embedder='none') as vault:\n"
        "    vault.state('bots/btc').flatten('out of the market')\n"
    )
    subprocess.run([sys.executable, str(script), str(vault.path)], check=True)
    acting = actor(vault.state("bots/btc", now=clock.now), desk)
    report = acting.recover()
    assert (report.halted, report.ready) == ("flatten", False)
    for confirmed in (False, True):
        acting.recover(confirmed=confirmed)
        with pytest.raises(Exception, match=r"allows no entries|said flatten"):
            acting.act("order", target="desk/BTC")
    assert len(desk.sent) == 1
    acting.act("order", role="exit", target="desk/BTC")
    assert len(desk.sent) == 2
