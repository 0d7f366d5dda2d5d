"""Read-only, verified and limited backends, and what all wrappers share."""

from __future__ import annotations

import hashlib

import pytest

from haulout.errors import InputError, ReadOnlyError, WrongBytesError
from haulout.storage.backend import Backend, Object
from haulout.storage.memory import MemoryBackend
from haulout.storage.wrappers.around import AroundBackend
from haulout.storage.wrappers.limiting import LimitingBackend, TokenBucket
from haulout.storage.wrappers.readonly import ReadOnlyBackend
from haulout.storage.wrappers.verifying import VerifyingBackend


def test_a_wrapper_is_a_backend_with_the_address_of_its_inner_one() -> None:
    inner = MemoryBackend("memory:x")
    for wrapper in (
        AroundBackend(inner),
        ReadOnlyBackend(inner),
        LimitingBackend(inner),
        VerifyingBackend(inner, lambda _name, _data: None),
    ):
        assert isinstance(wrapper, Backend)
        assert wrapper.url == "memory:x"


def test_a_read_only_backend_reads_and_never_writes() -> None:
    inner = MemoryBackend()
    inner.put("a", b"1")
    version = inner.swap_head("h", b"2", None)
    store = ReadOnlyBackend(inner)
    before = sorted(inner.list())
    for call in (
        lambda: store.put("a", b"2"),
        lambda: store.put("b", b"2"),
        lambda: store.delete("a"),
        lambda: store.swap_head("h", b"3", version),
        lambda: store.swap_head("new", b"3", None),
    ):
        with pytest.raises(ReadOnlyError):
            call()
    for bad in (lambda: store.put("../a", b""), lambda: store.delete(""), lambda: store.get("A")):
        with pytest.raises(InputError):
            bad()
    assert store.get("a", 0, 1) == b"1"
    assert store.size("a") == 1
    assert store.read_head("h") == (b"2", version)
    assert sorted(store.list()) == before == [Object("a", 1), Object("h", 1)]


def test_a_verifying_backend_checks_what_is_read_whole() -> None:
    def verify(name: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != name:
            raise WrongBytesError(f"{name} holds other bytes.")

    inner = MemoryBackend()
    store = VerifyingBackend(inner, verify)
    name = hashlib.sha256(b"right").hexdigest()
    store.put(name, b"right")
    assert store.get(name) == b"right"
    inner.put(name, b"wrong")
    with pytest.raises(WrongBytesError):
        store.get(name)
    assert store.get(name, 1) == b"rong"
    assert store.get(name, 0, 5) == b"wrong"


class Time:
    def __init__(self) -> None:
        self.now = 50.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def test_each_direction_keeps_its_rate_over_any_longer_time() -> None:
    time = Time()
    inner = MemoryBackend()
    store = LimitingBackend(inner, up=1000, down=500, clock=time.clock, sleep=time.sleep)
    began = time.now
    for number in range(20):
        store.put(str(number), bytes(500))
    assert time.now - began == pytest.approx((20 * 500 - 1000) / 1000)
    version = store.swap_head("h", bytes(1000), None)
    assert time.now - began == pytest.approx(10)
    began = time.now
    for number in range(20):
        store.get(str(number))
    store.get("0", 0, 100)
    assert time.now - began == pytest.approx((20 * 500 + 100 - 500) / 500)
    assert store.read_head("h") == (bytes(1000), version)
    assert time.now - began == pytest.approx((20 * 500 + 1100 - 500) / 500)
    assert store.read_head("none") is None


def test_a_bucket_holds_one_seconds_worth_and_can_be_overdrawn_by_one_call() -> None:
    time = Time()
    line = TokenBucket(100, time.clock, time.sleep)
    time.now += 1000  # a long rest is worth no more than a second
    began = time.now
    line.take(100)
    assert time.now == began
    line.take(1000)
    assert time.now - began == pytest.approx(10)
    time.now += 0.5
    began = time.now
    line.take(50)
    assert time.now == began
    line.take(1)
    assert time.now - began == pytest.approx(0.01)


def test_without_a_rate_nothing_waits_and_a_rate_of_nothing_is_refused() -> None:
    time = Time()
    store = LimitingBackend(MemoryBackend(), clock=time.clock, sleep=time.sleep)
    store.put("a", bytes(10**6))
    store.get("a")
    store.swap_head("h", bytes(10**6), None)
    store.read_head("h")
    assert time.now == 50
    for rate in (0, -1, float("nan")):
        with pytest.raises(InputError):
            LimitingBackend(MemoryBackend(), up=rate)
