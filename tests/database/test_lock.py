"""The writer lock among threads, and the number that it remembers."""

from __future__ import annotations

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


@pytest.mark.parametrize("shared", [True, False], ids=["one object", "an object each"])
def test_one_thread_at_a_time_holds_the_lock(tmp_path: Path, *, shared: bool) -> None:
    first = WriterLock(tmp_path / "lane.lock")
    second = first if shared else WriterLock(tmp_path / "lane.lock")
    entered = threading.Event()

    def enter() -> None:
        with second.held():
            entered.set()

    thread = threading.Thread(target=enter)
    with first.held():
        thread.start()
        assert not entered.wait(0.2)
    thread.join()
    assert entered.is_set()
    for lock in {first, second}:
        lock.close()


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
