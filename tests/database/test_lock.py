"""The writer lock among threads, and the number that it remembers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haulout.database.lock import WriterLock
from haulout.errors import ReadOnlyError, StorageError


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[WriterLock]:
    found = WriterLock(tmp_path / "lane.lock")
    yield found
    found.close()


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
@pytest.mark.parametrize("shared", [True, False], ids=["one object", "an object each"])
def test_one_thread_at_a_time_holds_the_lock(tmp_path: Path, *, shared: bool) -> None:
    locks = [WriterLock(tmp_path / "lane.lock") for _ in range(1 if shared else 4)]
    inside, most = 0, 0

    def work(lock: WriterLock) -> None:
        nonlocal inside, most
        for _ in range(100):
            with lock.held():
                inside += 1
                most = max(most, inside)
                for _ in range(20):
                    pass
                inside -= 1

    threads = [threading.Thread(target=work, args=(locks[n % len(locks)],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lock in locks:
        lock.close()
    assert (inside, most) == (0, 1)


def test_the_lock_is_given_back_after_an_error(lock: WriterLock) -> None:
    with pytest.raises(ZeroDivisionError), lock.held():
        raise ZeroDivisionError
    with lock.held():
        pass


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 2**63 - 1))
def test_the_newest_number_is_remembered(lock: WriterLock, number: int) -> None:
    lock.acknowledge(number)
    assert lock.acknowledged() == number


@given(noise=st.binary(max_size=20).filter(lambda found: found != bytes(8)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_torn_or_foreign_lock_file_tells_no_number(tmp_path: Path, noise: bytes) -> None:
    (tmp_path / "noise.lock").write_bytes(noise)
    found = WriterLock(tmp_path / "noise.lock")
    assert found.acknowledged() == 0
    found.close()


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "lane.turn").mkdir()
    with pytest.raises((ReadOnlyError, StorageError), match=r"lane\.turn"):
        WriterLock(tmp_path / "lane.lock")
