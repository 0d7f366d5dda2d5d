"""Copies of objects nearby: bounded, of whole objects only, and never believed when they rot."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from haulout.errors import BlobMissingError, InputError
from haulout.storage.backend import Backend
from haulout.storage.folder import FolderBackend
from haulout.storage.memory import MemoryBackend
from haulout.storage.wrappers.around import AroundBackend
from haulout.storage.wrappers.caching import CachingBackend
from haulout.testing.faulty import Fault, FaultyBackend

COPY = 32 + 100  # a copy of a hundred bytes, with its digest


def seen(most_bytes: int = 10_000) -> tuple[CachingBackend, FaultyBackend, FaultyBackend]:
    """A store behind a cache, and both watched."""
    store, cache = FaultyBackend(MemoryBackend()), FaultyBackend(MemoryBackend())
    return CachingBackend(store, cache, most_bytes), store, cache


def total(cache: Backend) -> int:
    return sum(size for _, size in cache.list())


def asked(store: FaultyBackend) -> int:
    return sum(call.method == "get" for call in store.calls)


@pytest.mark.parametrize("way", ["put", "get"])
def test_an_object_written_or_read_whole_is_not_asked_for_again(way: str) -> None:
    cached, store, _ = seen()
    if way == "put":
        cached.put("a", b"content")
    else:
        store.inner.put("a", b"content")
        assert cached.get("a") == b"content"
    store.inject(Fault("unavailable"))
    assert cached.get("a") == b"content"
    assert cached.get("a", 3) == b"tent"
    assert cached.get("a", 3, 2) == b"te"
    assert cached.get("a", 50, 2) == b""


def test_a_range_makes_no_copy() -> None:
    cached, store, cache = seen()
    store.inner.put("a", b"content")
    for _ in range(2):
        assert cached.get("a", 0, 7) == b"content"
        assert cached.get("a", 2) == b"ntent"
    assert asked(store) == 4
    assert total(cache.inner) == 0


def test_heads_are_never_kept() -> None:
    cached, store, cache = seen()
    version = cached.swap_head("h", b"1", None)
    assert cached.read_head("h") == (b"1", version)
    second = store.inner.swap_head("h", b"2", version)
    assert cached.read_head("h") == (b"2", second)
    assert total(cache.inner) == 0
    cached.get("h")
    third = cached.swap_head("h", b"3", second)
    assert cached.read_head("h") == (b"3", third)
    assert cached.get("h") == b"3"


def test_the_one_used_longest_ago_makes_room() -> None:
    cached, store, cache = seen(3 * COPY)
    for name in "abc":
        cached.put(name, name.encode() * 100)
    cached.get("a")
    cached.get("b", 0, 1)
    cached.put("d", b"d" * 100)
    assert sorted(name for name, _ in cache.inner.list()) == ["a", "b", "d"]
    store.calls.clear()
    for name in "abdc":
        assert cached.get(name) == name.encode() * 100
    assert [call.name for call in store.calls] == ["c"]


def test_copies_never_take_more_than_their_bound() -> None:
    draw = random.Random(5)
    cached, _, cache = seen(1000)
    for _ in range(300):
        name = str(draw.randrange(12))
        act = draw.randrange(4)
        if act < 2:
            cached.put(name, bytes(draw.randrange(600)))
        elif act == 2:
            cached.delete(name)
        else:
            try:
                cached.get(name)
            except BlobMissingError:
                continue
        assert total(cache.inner) <= 1000
    assert cached._total == total(cache.inner)


def test_an_object_larger_than_the_bound_passes_through_and_drives_nothing_out() -> None:
    cached, store, cache = seen(2 * COPY)
    cached.put("a", bytes(100))
    cached.put("large", bytes(1000))
    assert cached.get("large") == bytes(1000)
    assert asked(store) == 1
    assert [name for name, _ in cache.inner.list()] == ["a"]


def test_a_cache_of_no_bytes_holds_none_and_of_fewer_is_refused() -> None:
    cached, _, cache = seen(0)
    cached.put("a", b"")
    assert cached.get("a") == b""
    assert total(cache.inner) == 0
    with pytest.raises(InputError):
        CachingBackend(MemoryBackend(), MemoryBackend(), -1)


@pytest.mark.parametrize("kind", ["flip", "truncate", "lose", "unavailable", "giant"])
def test_a_copy_that_rots_or_vanishes_is_fetched_anew(kind: str) -> None:
    cached, store, cache = seen()
    cached.put("a", bytes(range(200)))
    cache.inject(Fault(kind, {"get"}))
    assert cached.get("a") == bytes(range(200))
    assert cached.get("a", 5, 2) == b"\5\6"
    assert asked(store) == 2
    cache.heal()
    cached.get("a")
    cached.get("a")
    assert asked(store) <= 3


def test_a_cache_that_cannot_write_is_done_without() -> None:
    cached, store, cache = seen()
    cache.inject(Fault("unavailable"))
    cached.put("a", b"content")
    assert cached.get("a") == b"content"
    cached.delete("a")
    with pytest.raises(BlobMissingError):
        cached.get("a")
    assert store.inner.get is not None


def test_what_stands_in_a_cache_from_before_is_used_and_counted(tmp_path: Path) -> None:
    FolderBackend.create(tmp_path)
    store = FaultyBackend(MemoryBackend())
    with_room = CachingBackend(store, FolderBackend(tmp_path), 10 * COPY)
    for name in "abcd":
        with_room.put(name, name.encode() * 100)
    again = CachingBackend(store, FolderBackend(tmp_path), 2 * COPY)
    assert total(FolderBackend(tmp_path)) == 2 * COPY
    store.calls.clear()
    for name in "abcd":
        assert again.get(name) == name.encode() * 100
    assert asked(store) >= 2


def test_a_write_that_failed_leaves_no_copy_of_what_stood_before() -> None:
    cached, store, _ = seen()
    cached.put("a", b"old")
    store.inject(Fault("lost-answer", {"put"}, times=1))
    with pytest.raises(Exception, match="answer"):
        cached.put("a", b"new")
    assert cached.get("a") == b"new"


def test_a_reading_that_is_overtaken_by_a_deletion_keeps_no_copy() -> None:
    class Overtaken(AroundBackend):
        """Another thread deletes the object while its bytes are on their way."""

        deleter: CachingBackend

        def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
            data = super().get(name, start, length)
            self.deleter.delete(name)
            return data

    store, cache = Overtaken(MemoryBackend()), MemoryBackend()
    store.inner.put("a", b"content")
    store.deleter = cached = CachingBackend(store, cache, 10_000)
    assert cached.get("a") == b"content"
    assert list(cache.list()) == []
    with pytest.raises(BlobMissingError):
        cached.get("a")


def test_closing_it_closes_both() -> None:
    closed = []

    class Noted(AroundBackend):
        def close(self) -> None:
            closed.append(self)

    store, cache = Noted(MemoryBackend()), Noted(MemoryBackend())
    CachingBackend(store, cache, 10).close()
    assert closed == [store, cache]
