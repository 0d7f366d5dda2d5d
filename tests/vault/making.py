"""What the tests of the vault and of the units below it are made with: clocks and embedders."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haulout import RecoveryKit, Vault
from haulout.vault import opening
from haulout.vault.opening import World

NOON = 1_750_000_000_000_000
"""Microseconds; 2025-06-15 15:06:40 UTC."""


class Clock:
    """A clock that goes on by a second whenever it is read, and stands otherwise."""

    def __init__(self, start: int = NOON, step: int = 1_000_000) -> None:
        self.us, self.step = start, step

    def __call__(self) -> int:
        self.us += self.step
        return self.us


def entropy_of(seed: int) -> Callable[[int], bytes]:
    """Bytes that depend on a seed alone."""
    return random.Random(seed).randbytes


def world(seed: int = 1, clock: Clock | None = None) -> World:
    """A world in which the same calls give the same bytes."""
    return World(now=clock or Clock(), entropy=entropy_of(seed))


def moment(microseconds: int) -> datetime:
    """The UTC time of microseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def new_vault(folder: Path, **arguments: object) -> tuple[Vault, RecoveryKit]:
    """A vault that recalls by words, unless told otherwise."""
    return Vault.create(folder, **({"embedder": "none"} | arguments))


def to_first_step(connection: Any) -> None:
    """Take a database back to the first step of its schema."""
    for kind, name in connection.execute(
        "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
        " AND sql IS NOT NULL ORDER BY type = 'table'"
    ).fetchall():
        if not re.search(rf"CREATE (UNIQUE )?{kind} {name}\b", opening.SCHEMA[0], re.IGNORECASE):
            connection.execute(f"DROP {kind} {name}").fetchall()
    for name in re.findall(r"ALTER TABLE version ADD COLUMN (\w+)", opening.ATTACHMENT_TABLES):
        connection.execute(f"ALTER TABLE version DROP COLUMN {name}").fetchall()
    connection.execute("PRAGMA user_version=1").fetchall()


class BagEmbedder:
    """An embedder that anybody can follow: each word adds its own direction.

    Texts that share words are near each other; the same text always has the same vector. It
    counts the texts it was given.
    """

    def __init__(self, model: str = "bag-1", dimensions: int = 24) -> None:
        self.model, self.dimensions = model, dimensions
        self.seen: list[str] = []

    def _direction(self, word: str) -> NDArray[np.float64]:
        seed = hashlib.sha256(f"{self.model}/{word}".encode()).digest()[:8]
        return np.random.default_rng(int.from_bytes(seed, "big")).normal(size=self.dimensions)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen += texts
        rows = np.zeros((len(texts), self.dimensions))
        for place, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or [""]:
                rows[place] += self._direction(word)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
