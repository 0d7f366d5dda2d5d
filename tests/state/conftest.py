"""Vaults for the tests of agent state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from haulout import Vault


@pytest.fixture(scope="module")
def ephemeral() -> Iterator[Vault]:
    """A vault in memory that a module's tests share: each takes a state of its own."""
    vault = Vault.ephemeral()
    yield vault
    vault.close()


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """A vault on the disk."""
    found, _ = Vault.create(tmp_path / "vault", embedder="none")
    yield found
    found.close()
