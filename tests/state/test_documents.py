"""Documents: compared before they are set, from any thread; their age, schema and history."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from state.desk import START, Clock, in_memory

from haulout import Vault
from haulout.errors import (
    ActionRefusedError,
    ConflictError,
    DamagedError,
    InputError,
    LimitError,
    StaleStateError,
    VaultVersionError,
)
from haulout.state.state import State


class Risk(msgspec.Struct):
    most: str
    pairs: list[str] = []


@dataclasses.dataclass
class Plan:
    step: int
    at: float = 0.5


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> State:
    return in_memory(clock)


def test_a_document_has_a_version_that_grows_by_one_also_past_a_deletion(state: State) -> None:
    document = state.document("x")
    assert document.read() is None
    assert [document.set(n) for n in range(3)] == [1, 2, 3]
    assert document.delete() == 4
    assert (document.read(), document.get("none")) == (None, "none")
    assert document.set("back") == 5
    assert [one.value for one in document.history()] == [0, 1, 2, None, "back"]


def test_who_expects_another_version_is_refused_and_changes_nothing(state: State) -> None:
    document = state.document("x")
    document.set(1, expected=0)
    for expected in (0, 2):
        with pytest.raises(ConflictError, match=f"has version 1, not {expected}"):
            document.set(2, expected=expected)
        with pytest.raises(ConflictError):
            document.delete(expected=expected)
    assert document.set(2, expected=1) == 2
    assert document.get() == 2


def test_no_update_of_many_threads_is_lost(vault: Vault) -> None:
    documents = [vault.state("bots/btc").document("counter", int) for _ in range(8)]

    def work(place: int) -> None:
        for _ in range(10):
            documents[place].change(lambda old: (old or 0) + 1, attempts=10_000)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert documents[0].get() == 80
    assert [one.version for one in documents[0].history()] == list(range(1, 81))


def test_a_change_is_made_of_the_version_that_it_replaces(state: State) -> None:
    document = state.document("x", int)
    document.set(1)
    seen: list[int | None] = []

    def how(old: int | None) -> int:
        seen.append(old)
        if len(seen) == 1:
            document.set(10)  # another is faster, between reading and setting
        return (old or 0) + 1

    assert document.change(how) == 3
    assert (seen, document.get()) == ([1, 10], 11)
    with pytest.raises(ConflictError):
        document.change(lambda old: document.set(old) and old, attempts=3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError):
        document.change(lambda _old: 1, attempts=0)


def test_a_document_holds_what_its_type_says(state: State) -> None:
    risk = state.document("risk", Risk)
    risk.set(Risk("100", ["BTC"]))
    assert risk.get() == Risk("100", ["BTC"])
    plan = state.document("plan", Plan)
    plan.set(Plan(3))
    assert plan.get() == Plan(3)
    with pytest.raises(DamagedError, match="form of its type"):
        state.document("plan", Risk).get()


@pytest.mark.parametrize("value", [object(), {1: object()}, float("nan"), "x" * 1_100_000])
def test_what_cannot_be_kept_is_refused_and_changes_nothing(value: Any, state: State) -> None:
    state.document("x").set(1)
    with pytest.raises((InputError, LimitError)):
        state.document("x").set(value)
    assert state.document("x").read().version == 1  # pyright: ignore[reportOptionalMemberAccess]


def test_a_value_that_holds_itself_is_refused(state: State) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InputError):
        state.document("x").set(value)


def test_a_document_that_is_too_old_is_not_given(state: State, clock: Clock) -> None:
    document = state.document("x")
    document.set(1)
    clock.pass_by(60)
    found = document.read(max_age=timedelta(seconds=60))
    assert found is not None
    assert (found.age, found.at) == (timedelta(seconds=60), START)
    clock.pass_by(1)
    with pytest.raises(StaleStateError):
        document.read(max_age=timedelta(seconds=60))
    with pytest.raises(StaleStateError):
        document.get("default", max_age=timedelta(seconds=60))
    clock.step(-100)
    assert document.read().age == timedelta()  # pyright: ignore[reportOptionalMemberAccess]


def test_an_older_schema_is_brought_on_step_by_step(state: State) -> None:
    state.document("risk", dict, schema=1).set({"max": 100})
    migrate = {
        1: lambda old: {"most": str(old["max"])},
        2: lambda old: {**old, "pairs": ["BTC"]},
    }
    newest = state.document("risk", Risk, schema=3, migrate=migrate)
    assert newest.get() == Risk("100", ["BTC"])
    assert newest.history()[0].value == Risk("100", ["BTC"])
    newest.set(Risk("50"))
    with pytest.raises(VaultVersionError, match="newer version"):
        state.document("risk", dict, schema=2, migrate=migrate).get()
    with pytest.raises(VaultVersionError, match="nothing brings it on from 3"):
        state.document("risk", dict, schema=4, migrate=migrate).get()


def test_a_document_is_not_set_under_a_lease_that_was_lost(state: State, clock: Clock) -> None:
    state.lease("a", 10)
    state.document("x").set(1)
    clock.pass_by(11)
    for write in (
        lambda: state.document("x").set(2),
        lambda: state.document("x").delete(),
        lambda: state.limit("usd/day", 1),
        lambda: state.charge("usd", 1),
    ):
        with pytest.raises(ActionRefusedError, match="lease has run out"):
            write()
    state.limit("usd/day", 1, by_owner=True)  # the owner needs none
    state.pause()
    assert state.document("x").get() == 1
