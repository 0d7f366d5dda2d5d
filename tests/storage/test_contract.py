"""Every backend, bare and through each wrapper, keeps the contract that Haulout ships."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from haulout.errors import ConflictError, HauloutError
from haulout.storage.backend import Backend, Object, Versioned
from haulout.storage.folder import FolderBackend
from haulout.storage.memory import MemoryBackend
from haulout.storage.objectstore import ObjectStoreBackend
from haulout.storage.wrappers.around import AroundBackend
from haulout.storage.wrappers.caching import CachingBackend
from haulout.storage.wrappers.limiting import LimitingBackend
from haulout.storage.wrappers.retrying import RetryingBackend
from haulout.storage.wrappers.verifying import VerifyingBackend
from haulout.testing.backends import (
    CONTRACT,
    THREADS,
    Check,
    many_objects_are_all_listed_once,
    of_swaps_at_once_exactly_one_wins,
)
from haulout.testing.faulty import KINDS, Fault, FaultyBackend, Kind

checks = pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)


@checks
def test_a_folder_keeps_the_contract(check: Check, tmp_path: Path) -> None:
    FolderBackend.create(tmp_path)
    check(lambda: FolderBackend(tmp_path))


@checks
def test_memory_keeps_the_contract(check: Check) -> None:
    memory = MemoryBackend()
    check(lambda: memory)


def test_memory_has_one_winner_even_where_threads_change_at_every_step() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            memory = MemoryBackend()
            of_swaps_at_once_exactly_one_wins(lambda at=memory: at)
    finally:
        sys.setswitchinterval(before)


@checks
def test_a_bucket_keeps_the_contract(
    check: Check, s3_place: Callable[[], ObjectStoreBackend]
) -> None:
    check(s3_place)


WRAPPERS: dict[str, Callable[[Backend], Backend]] = {
    "around": AroundBackend,
    "retrying": RetryingBackend,
    "caching": lambda inner: CachingBackend(inner, MemoryBackend(), 100_000),
    "verifying": lambda inner: VerifyingBackend(inner, lambda _name, _data: None),
    "limiting": lambda inner: LimitingBackend(inner, up=1e9, down=1e9),
    "faulty": FaultyBackend,
    "all": lambda inner: CachingBackend(
        LimitingBackend(
            RetryingBackend(VerifyingBackend(inner, lambda _name, _data: None)), up=1e9, down=1e9
        ),
        MemoryBackend(),
        100_000,
    ),
}


@checks
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_memory_in_a_wrapper_keeps_the_contract(check: Check, wrapper: str) -> None:
    memory = MemoryBackend()
    check(lambda: WRAPPERS[wrapper](memory))


@checks
def test_a_folder_in_wrappers_keeps_the_contract(check: Check, tmp_path: Path) -> None:
    FolderBackend.create(tmp_path)
    check(lambda: WRAPPERS["all"](FolderBackend(tmp_path)))


@checks
def test_a_place_that_often_does_not_answer_keeps_the_contract_when_asked_again(
    check: Check,
) -> None:
    memory = MemoryBackend()
    seeds = iter(range(1000))

    def place() -> Backend:
        faults = [Fault("unavailable", chance=0.2), Fault("lost-answer", chance=0.2)]
        flaky = FaultyBackend(memory, faults, seed=next(seeds))
        return RetryingBackend(flaky, tries=40, patience_s=1e9, sleep=lambda _: None)

    check(place)


def test_many_objects_are_listed_once_each() -> None:
    memory = MemoryBackend()
    many_objects_are_all_listed_once(lambda: memory)


@pytest.mark.full
def test_many_objects_on_disks_and_in_buckets_are_listed_once_each(
    tmp_path: Path, s3_place: Callable[[], ObjectStoreBackend]
) -> None:
    FolderBackend.create(tmp_path)
    many_objects_are_all_listed_once(lambda: FolderBackend(tmp_path))
    many_objects_are_all_listed_once(s3_place)


# --- a backend that breaks the contract is found out -------------------------------------------


class Breach(AroundBackend):
    """Memory, but for one thing."""


class RangesPastTheEndFail(Breach):
    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        if length is not None and start + length > self.size(name):
            raise ConflictError("past the end")
        return super().get(name, start, length)


class ListsWholeSegments(Breach):
    def list(self, prefix: str = ""):
        whole = prefix.rstrip("/")
        return (o for o in self.inner.list() if not whole or o.name.startswith(whole + "/"))


class ListsTwice(Breach):
    def list(self, prefix: str = ""):
        return iter([*self.inner.list(prefix), *self.inner.list(prefix)][: None if prefix else -1])


class TakesAnyName(Breach):
    def delete(self, name: str) -> None:
        if name.islower():
            super().delete(name)


class DeletesNothingLoudly(Breach):
    def delete(self, name: str) -> None:
        self.inner.size(name)
        super().delete(name)


class SwapsBlindly(Breach):
    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        del version
        standing = self.inner.read_head(name)
        return super().swap_head(name, data, standing.version if standing else None)


class KeepsOldVersions(Breach):
    def read_head(self, name: str) -> Versioned | None:
        head = super().read_head(name)
        return Versioned(head.data, "1") if head else None


class CutsAtANul(Breach):
    def put(self, name: str, data: bytes) -> None:
        super().put(name, data.partition(b"\0")[0])


class AppendsToWhatStands(Breach):
    def put(self, name: str, data: bytes) -> None:
        if len(data) < 10 and any(found == (name, 20) for found in self.inner.list(name)):
            data += self.inner.get(name)[len(data) :]
        super().put(name, data)


class TellsTheWrongSize(Breach):
    def size(self, name: str) -> int:
        return super().size(name) or 1


class ShowsASecret(Breach):
    @property
    def url(self) -> str:
        return "s3://key:secret@bucket"


class ListsWrongSizes(Breach):
    def list(self, prefix: str = ""):
        return (Object(name, 1) for name, _ in self.inner.list(prefix))


@pytest.mark.parametrize("breach", Breach.__subclasses__(), ids=lambda breach: breach.__name__)
def test_a_backend_that_breaks_the_contract_fails_a_check(breach: type[Breach]) -> None:
    failed = []
    for check in CONTRACT:
        memory = MemoryBackend()
        try:
            check(lambda at=memory: breach(at))
        except (AssertionError, HauloutError):
            failed.append(check.__name__)
    assert failed


SEEN_AT_ONCE: tuple[Kind, ...] = tuple(k for k in KINDS if k != "slow" and "crash" not in k)


@pytest.mark.parametrize("kind", SEEN_AT_ONCE)
def test_a_backend_with_a_fault_fails_a_check(kind: Kind) -> None:
    failed = []
    for check in CONTRACT:
        memory = MemoryBackend()
        try:
            check(lambda at=memory: FaultyBackend(at, [Fault(kind)]))
        except (AssertionError, HauloutError):
            failed.append(check.__name__)
    assert failed


class ComparesAndThenPuts(AroundBackend):
    """The comparison and the write are two steps, with every thread between them at once."""

    between = threading.Barrier(THREADS, timeout=60)

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        standing = self.inner.read_head(name)
        assert (standing.version if standing else None) == version
        self.between.wait()
        while True:
            now = self.inner.read_head(name)
            try:
                return super().swap_head(name, data, now.version if now else None)
            except ConflictError:
                continue


def test_a_swap_in_two_steps_fails_the_race() -> None:
    memory = MemoryBackend()
    with pytest.raises(AssertionError, match="8 of 8 swaps won"):
        of_swaps_at_once_exactly_one_wins(lambda: ComparesAndThenPuts(memory))
