"""Asked again where there was no answer; a swap whose answer was lost is looked up first."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.errors import (
    BlobMissingError,
    ConflictError,
    HauloutError,
    InputError,
    StorageError,
    StoreRefusedError,
    StoreUnavailableError,
)
from haulout.storage.backend import Backend, Object, Versioned
from haulout.storage.memory import MemoryBackend
from haulout.storage.wrappers.around import AroundBackend
from haulout.storage.wrappers.retrying import RetryingBackend
from haulout.testing.faulty import Fault, FaultyBackend, Kind


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def retrying(inner: Backend, time: Time | None = None, **more: Any) -> RetryingBackend:
    time = time or Time()
    return RetryingBackend(inner, clock=time.clock, sleep=time.sleep, **more)


CALLS: dict[str, Callable[[Backend], object]] = {
    "put": lambda store: store.put("a", b"2"),
    "get": lambda store: store.get("a"),
    "size": lambda store: store.size("a"),
    "delete": lambda store: store.delete("a"),
    "list": lambda store: list(store.list()),
    "read_head": lambda store: store.read_head("h"),
    "swap_head": lambda store: store.swap_head("new", b"1", None),
}


def faulty(*faults: Fault) -> FaultyBackend:
    memory = MemoryBackend()
    memory.put("a", b"1")
    memory.swap_head("h", b"1", None)
    return FaultyBackend(memory, faults)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("times", [0, 1, 4, 5])
def test_each_call_is_tried_five_times_in_all(name: str, times: int) -> None:
    inner = faulty(Fault("unavailable", {name}, times=times))
    store = retrying(inner)
    if times < 5:
        CALLS[name](store)
    else:
        with pytest.raises(StoreUnavailableError):
            CALLS[name](store)
    tried = [call for call in inner.calls if call.method == name]
    assert len(tried) == min(times + 1, 5)


@pytest.mark.parametrize("name", CALLS)
def test_other_errors_are_told_at_once(name: str) -> None:
    inner = faulty(Fault("refused"))
    with pytest.raises(StoreRefusedError):
        CALLS[name](retrying(inner))
    assert len(inner.calls) == 1


def test_a_missing_object_and_a_conflict_are_answers() -> None:
    inner = faulty()
    with pytest.raises(BlobMissingError):
        retrying(inner).get("b")
    with pytest.raises(ConflictError):
        retrying(inner).swap_head("h", b"2", None)
    assert len(inner.calls) == 2


def test_pauses_double_up_to_the_longest_and_are_drawn_from_their_upper_half() -> None:
    for draw, share in ((0.0, 0.5), (0.999, 0.9995)):
        time = Time()
        store = retrying(
            faulty(Fault("unavailable")),
            time, tries=6, first_s=1, longest_s=5, random=lambda at=draw: at,
        )  # fmt: skip
        with pytest.raises(StoreUnavailableError):
            store.get("a")
        assert time.pauses == pytest.approx([share * s for s in (1, 2, 4, 5, 5)])


def test_no_try_begins_beyond_its_patience() -> None:
    time = Time()
    inner = faulty(Fault("unavailable"))
    store = retrying(
        inner, time, tries=100, first_s=1, longest_s=4, patience_s=10, random=lambda: 1.0
    )
    with pytest.raises(StoreUnavailableError):
        store.get("a")
    assert time.pauses == [1, 2, 4]  # the next would end 11 seconds after the call
    assert len(inner.calls) == 4


def test_a_call_is_tried_at_least_once() -> None:
    with pytest.raises(InputError):
        RetryingBackend(MemoryBackend(), tries=0)


def test_a_listing_that_breaks_off_begins_again_and_gives_each_name_once() -> None:
    class BreaksOff(AroundBackend):
        left = 2

        def list(self, prefix: str = ""):
            for number, found in enumerate(self.inner.list(prefix)):
                if number == 3 and self.left:
                    self.left -= 1
                    raise StoreUnavailableError("gone")
                yield found

    memory = MemoryBackend()
    for number in range(6):
        memory.put(str(number), b"")
    listed = list(retrying(BreaksOff(memory)).list())
    assert sorted(listed) == [Object(str(number), 0) for number in range(6)]


# --- swaps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, b"0"])
@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("kind", ["lost-answer", "unavailable"])
def test_a_swap_whose_answer_was_lost_is_done_once_and_told_as_done(
    before: bytes | None, times: int, kind: Kind
) -> None:
    memory = MemoryBackend()
    version = None if before is None else memory.swap_head("h", before, None)
    inner = FaultyBackend(memory, [Fault(kind, {"swap_head"}, times=times)])
    told = retrying(inner).swap_head("h", b"1", version)
    assert memory.read_head("h") == Versioned(b"1", told)
    done = int(told) - (0 if before is None else 1)
    assert done == 1  # memory counts its writes


def test_another_writers_head_after_a_lost_answer_is_a_conflict_and_stays() -> None:
    class OtherWriter(AroundBackend):
        """Gets its swap in while ours is not answered."""

        def swap_head(self, name: str, data: bytes, version: str | None) -> str:
            if data == b"ours" and self.inner.read_head(name) is None:
                self.inner.swap_head(name, b"theirs", version)
                raise StoreUnavailableError("no answer")
            return super().swap_head(name, data, version)

    memory = MemoryBackend()
    with pytest.raises(ConflictError):
        retrying(OtherWriter(memory)).swap_head("h", b"ours", None)
    head = memory.read_head("h")
    assert head
    assert head.data == b"theirs"


def test_a_conflict_after_an_unknown_outcome_may_be_with_another_writer() -> None:
    class BetweenLookAndSwap(AroundBackend):
        """Ours is lost unseen; the other's gets in after the head was looked up."""

        swaps = 0

        def swap_head(self, name: str, data: bytes, version: str | None) -> str:
            self.swaps += 1
            if self.swaps == 1:
                raise StoreUnavailableError("no answer")
            if self.swaps == 2:
                self.inner.swap_head(name, b"theirs", version)
            return super().swap_head(name, data, version)

    memory = MemoryBackend()
    with pytest.raises(ConflictError):
        retrying(BetweenLookAndSwap(memory)).swap_head("h", b"ours", None)
    assert memory.read_head("h") == (b"theirs", "1")


class ComesLate(AroundBackend):
    """The first swap is not answered and gets through when the head has been read once more."""

    waiting: tuple[str, bytes, str | None] | None = None
    reads_before = 1

    def read_head(self, name: str) -> Versioned | None:
        head = super().read_head(name)
        if self.waiting and not (late := self.reads_before - 1):
            self.reads_before = late
            waiting, self.waiting = self.waiting, None
            self.inner.swap_head(*waiting)
        return head

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        if self.reads_before == 1 and not self.waiting:
            self.waiting = (name, data, version)
            raise StoreUnavailableError("no answer")
        return super().swap_head(name, data, version)


def test_a_swap_that_comes_through_late_does_not_conflict_with_itself() -> None:
    memory = MemoryBackend()
    told = retrying(ComesLate(memory)).swap_head("h", b"1", None)
    assert memory.read_head("h") == Versioned(b"1", told)
    assert told == "1"


def test_an_outcome_that_cannot_be_looked_up_is_not_known() -> None:
    memory = MemoryBackend()
    inner = FaultyBackend(
        memory,
        [Fault("lost-answer", {"swap_head"}, times=1), Fault("unavailable", {"read_head"})],
    )
    with pytest.raises(StoreUnavailableError):
        retrying(inner).swap_head("h", b"1", None)
    assert [call.method for call in inner.calls].count("swap_head") == 1


def test_a_lookup_that_finds_the_version_to_be_replaced_swaps_again() -> None:
    """The same bytes may stand already, under the version that is to be replaced."""
    memory = MemoryBackend()
    version = memory.swap_head("h", b"same", None)
    inner = FaultyBackend(memory, [Fault("unavailable", {"swap_head"}, times=1)])
    told = retrying(inner).swap_head("h", b"next", version)
    assert memory.read_head("h") == Versioned(b"next", told)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9), writers=st.integers(2, 4))
def test_of_writers_over_a_line_that_loses_answers_each_swap_is_done_once_or_told_as_not(
    seed: int, writers: int
) -> None:
    """Every head names its predecessor, so the chain tells which swaps were done."""
    memory = MemoryBackend()
    draw = random.Random(seed)
    faults = [Fault("lost-answer", chance=0.3), Fault("unavailable", chance=0.3)]
    stores = [
        retrying(FaultyBackend(memory, faults, seed=seed + number), tries=4)
        for number in range(writers)
    ]
    done: list[bytes] = []  # as seen in the place itself, after each call
    told: list[bytes] = []
    heads: list[Versioned | None] = [None] * writers
    for number in range(25):
        writer = draw.randrange(writers)
        data = f"{writer} {number}".encode()
        known = heads[writer]
        before = memory.read_head("h")
        result: type[HauloutError] | None = None
        try:
            heads[writer] = Versioned(
                data, stores[writer].swap_head("h", data, known.version if known else None)
            )
            told.append(data)
        except ConflictError:
            result = ConflictError
            heads[writer] = memory.read_head("h")
        except StorageError:
            result = StoreUnavailableError
            heads[writer] = memory.read_head("h")
        after = memory.read_head("h")
        changed = after != before
        if changed:
            assert after
            assert after.data == data
            done.append(data)
        if result is None:
            assert changed
            assert heads[writer] == after
        if result is ConflictError:
            assert not changed
    assert len(set(done)) == len(done)
    assert set(told) <= set(done)
