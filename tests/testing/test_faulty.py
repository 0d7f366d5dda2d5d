"""Faults come when they were asked for, do what they say, and follow from their seed."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest

from haulout.errors import (
    BlobMissingError,
    ConflictError,
    InputError,
    StoreRefusedError,
    StoreUnavailableError,
)
from haulout.storage.backend import Backend, Object
from haulout.storage.memory import MemoryBackend
from haulout.testing.faulty import (
    GIANT_BYTES,
    KINDS,
    METHODS,
    Call,
    Fault,
    FaultyBackend,
    Kind,
    Method,
    SimulatedCrash,
    drawn_faults,
)

CONTENT = bytes(range(200))

ACTS: dict[Method, Callable[[Backend], object]] = {
    "put": lambda store: store.put("new", b"1"),
    "get": lambda store: store.get("a/b"),
    "size": lambda store: store.size("a/b"),
    "delete": lambda store: store.delete("a/b"),
    "list": lambda store: sorted(store.list()),
    "read_head": lambda store: store.read_head("h"),
    "swap_head": lambda store: store.swap_head("h2", b"1", None),
}


def faulty(*faults: Fault, seed: int = 0) -> FaultyBackend:
    memory = MemoryBackend()
    memory.put("a/b", CONTENT)
    memory.put("c", CONTENT)
    memory.swap_head("h", CONTENT, None)
    return FaultyBackend(memory, faults, seed=seed)


def state(store: FaultyBackend) -> dict[str, bytes]:
    return {name: store.inner.get(name) for name, _ in store.inner.list()}


@pytest.mark.parametrize("method", METHODS)
def test_errors_that_do_nothing_do_nothing_in_every_method(method: Method) -> None:
    for kind, expected in (("unavailable", StoreUnavailableError), ("refused", StoreRefusedError)):
        store = faulty(Fault(kind))
        before = state(store)
        with pytest.raises(expected):
            ACTS[method](store)
        assert state(store) == before
        assert store.calls == [
            Call(method, store.calls[0].name, 0, expected.__name__),
        ]
        store.heal()
        ACTS[method](store)


@pytest.mark.parametrize("method", ["put", "delete", "swap_head"])
def test_a_lost_answer_is_one_to_a_call_that_was_done(method: Method) -> None:
    store, other = faulty(Fault("lost-answer")), faulty()
    with pytest.raises(StoreUnavailableError):
        ACTS[method](store)
    ACTS[method](other)
    assert state(store) == state(other) != state(faulty())
    ACTS["get"](faulty(Fault("lost-answer")))


def test_a_lost_answer_may_have_been_a_conflict() -> None:
    store = faulty(Fault("lost-answer"))
    with pytest.raises(StoreUnavailableError):
        store.swap_head("h", b"2", None)
    store.heal()
    with pytest.raises(ConflictError):
        store.swap_head("h", b"2", None)


@pytest.mark.parametrize("method", ["put", "delete", "swap_head"])
def test_a_forgotten_write_is_answered_and_not_done(method: Method) -> None:
    store = faulty(Fault("forget"))
    before = state(store)
    ACTS[method](store)
    assert state(store) == before


def test_what_is_lost_is_neither_found_nor_listed_and_comes_back_healed() -> None:
    store = faulty(Fault("lose", prefix="a/"))
    for call in (lambda: store.get("a/b"), lambda: store.get("a/b", 1), lambda: store.size("a/b")):
        with pytest.raises(BlobMissingError):
            call()
    assert store.get("c") == CONTENT
    assert sorted(store.list()) == [Object("c", 200), Object("h", 200)]
    store.inject(Fault("lose", {"read_head"}))
    assert store.read_head("h") is None
    store.heal()
    assert store.get("a/b") == CONTENT
    assert len(list(store.list())) == 3


def flipped_bits(data: bytes) -> int:
    assert len(data) == len(CONTENT)
    return sum((a ^ b).bit_count() for a, b in zip(data, CONTENT, strict=True))


def test_rot_is_one_bit_the_same_each_time_in_every_range() -> None:
    store = faulty(Fault("flip"))
    rotten = store.get("a/b")
    assert flipped_bits(rotten) == 1
    assert store.get("a/b") == rotten
    assert b"".join(store.get("a/b", start, 7) for start in range(0, 200, 7)) == rotten
    head = store.read_head("h")
    assert head
    assert flipped_bits(head.data) == 1
    assert store.size("a/b") == 200
    assert {faulty(Fault("flip"), seed=seed).get("a/b") for seed in range(20)} != {rotten}
    assert store.get("c") != rotten  # another place


def test_a_truncated_object_ends_early_in_every_way_it_is_asked_about() -> None:
    store = faulty(Fault("truncate", prefix="a/"))
    cut = store.get("a/b")
    assert cut == CONTENT[: len(cut)]
    assert len(cut) < 200
    assert store.size("a/b") == len(cut)
    assert store.get("a/b", 0, 200) == cut
    assert Object("a/b", len(cut)) in list(store.list())
    assert Object("c", 200) in list(store.list())


def test_a_giant_goes_on_with_zeros_and_a_bounded_reader_is_safe() -> None:
    store = faulty(Fault("giant"))
    assert store.size("c") == 200 + GIANT_BYTES
    assert store.get("c") == CONTENT + bytes(GIANT_BYTES)
    assert store.get("c", 190, 20) == CONTENT[190:] + bytes(10)


def test_an_equivocating_place_gives_two_readers_different_bytes() -> None:
    store = faulty(Fault("equivocate"))
    reads = [store.get("a/b") for _ in range(10)]
    assert reads[0] == CONTENT
    assert all(flipped_bits(data) == 1 for data in reads[1:])
    assert all(one != two for one, two in itertools.pairwise(reads))


def test_a_stale_head_is_the_one_before_with_the_version_it_had() -> None:
    store = FaultyBackend(MemoryBackend())
    first = store.swap_head("h", b"1", None)
    store.inject(Fault("stale", after=1))
    assert store.read_head("h") == (b"1", first)
    assert store.read_head("h") is None  # before the first there was none
    second = store.swap_head("h", b"2", first)
    assert store.read_head("h") == (b"1", first)
    with pytest.raises(ConflictError):
        store.swap_head("h", b"3", first)
    store.heal()
    assert store.read_head("h") == (b"2", second)


def test_a_slow_call_waits_for_the_test_and_is_then_done() -> None:
    let, began = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        assert let.wait(60)

    store = faulty(Fault("slow", {"get"}, wait=wait))
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(store.get("c")))
    reader.start()
    assert began.wait(60)
    assert store.size("c") == 200  # others are not held up
    assert got == []
    let.set()
    reader.join()
    assert got == [CONTENT]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["crash-before", "crash-after"])
def test_a_crash_ends_all_calls_until_the_restart(method: Method, kind: Kind) -> None:
    store, done = faulty(Fault(kind, times=1)), faulty()
    before = state(store)
    with pytest.raises(SimulatedCrash):
        ACTS[method](store)
    assert store.crashed
    ACTS[method](done)
    assert state(store) == (state(done) if kind == "crash-after" else before)
    for act in ACTS.values():
        with pytest.raises(SimulatedCrash):
            act(store)
    store.restart()
    assert store.get("c") == CONTENT


def test_a_crash_is_no_error_that_a_handler_of_errors_takes() -> None:
    assert not issubclass(SimulatedCrash, Exception)


def test_a_crash_after_a_call_that_failed_comes_all_the_same() -> None:
    store = faulty(Fault("crash-after"))
    with pytest.raises(SimulatedCrash):
        store.get("missing")


def test_a_crash_can_be_put_at_each_call_in_turn() -> None:
    for at in range(4):
        store = faulty(Fault("crash-before", after=at))
        for number in range(at):
            store.put(str(number), b"")
        with pytest.raises(SimulatedCrash):
            store.put("x", b"")
        assert len(state(store)) == 3 + at


def test_a_fault_begins_and_ends_when_it_was_told() -> None:
    store = faulty(Fault("unavailable", {"get"}, prefix="a/", after=2, times=2))
    told = []
    for _ in range(6):
        store.get("c")
        store.size("a/b")
        try:
            told.append(store.get("a/b") == CONTENT)
        except StoreUnavailableError:
            told.append(False)
    assert told == [True, True, False, False, True, True]


def test_chances_follow_from_the_seed() -> None:
    def course(seed: int) -> list[bool]:
        store = faulty(Fault("unavailable", chance=0.3), seed=seed)
        failed = []
        for _ in range(300):
            try:
                store.size("c")
            except StoreUnavailableError:
                failed.append(True)
            else:
                failed.append(False)
        return failed

    assert course(1) == course(1)
    assert course(1) != course(2)
    assert 50 < sum(course(1)) < 130


def test_drawn_faults_follow_from_the_seed_and_are_of_the_kinds_asked_for() -> None:
    drawn = [drawn_faults(seed, ("flip", "lose"), most=4) for seed in range(200)]
    assert drawn == [drawn_faults(seed, ("flip", "lose"), most=4) for seed in range(200)]
    assert {len(faults) for faults in drawn} == {1, 2, 3, 4}
    assert {fault.kind for faults in drawn for fault in faults} == {"flip", "lose"}


def test_calls_are_noted_with_the_bytes_that_they_moved() -> None:
    store = faulty()
    store.put("x", b"12345")
    store.get("a/b", 10, 20)
    store.read_head("h")
    store.swap_head("h2", b"123", None)
    with pytest.raises(BlobMissingError):
        store.get("missing")
    with pytest.raises(InputError):
        store.put("../x", b"12")
    assert store.calls == [
        Call("put", "x", 5, None),
        Call("get", "a/b", 20, None),
        Call("read_head", "h", 200, None),
        Call("swap_head", "h2", 3, None),
        Call("get", "missing", 0, "BlobMissingError"),
        Call("put", "../x", 0, "InputError"),
    ]
    assert store.moved() == 228
    assert store.moved("get") == 20
    assert store.moved("put", "swap_head") == 8


def test_every_kind_and_method_is_named_once() -> None:
    assert len(set(KINDS)) == len(KINDS) == 13
    assert len(set(METHODS)) == len(METHODS) == 7
