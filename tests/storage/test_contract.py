"""Every backend, bare and through each wrapper, keeps the contract that Haulout ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from haulout.storage.folder import FolderBackend
from haulout.storage.memory import MemoryBackend
from haulout.testing.backends import CONTRACT, Check, many_objects_are_all_listed_once
from haulout.testing.faulty import FaultyBackend

checks = pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)


@checks
def test_a_folder_keeps_the_contract(check: Check, tmp_path: Path) -> None:
    FolderBackend.create(tmp_path)
    check(lambda: FolderBackend(tmp_path))


@checks
def test_memory_keeps_the_contract(check: Check) -> None:
    memory = MemoryBackend()
    check(lambda: memory)


@checks
def test_a_faulty_backend_without_faults_keeps_the_contract(check: Check) -> None:
    memory = MemoryBackend()
    check(lambda: FaultyBackend(memory))


def test_memory_lists_many_objects_once_each() -> None:
    memory = MemoryBackend()
    many_objects_are_all_listed_once(lambda: memory)
