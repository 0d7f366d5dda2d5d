"""The port that everything above the database speaks: SQL with bound values, inside a transaction.

SQLite's connection has this shape already. What stands behind it may change; no dialect's
search syntax crosses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Rows(Protocol):
    """The rows of one statement, fetched as they are asked for."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Go through the rows."""
        ...

    def __next__(self) -> tuple[Any, ...]:
        """The next row."""
        ...

    def fetchone(self) -> Any:
        """The next row as a tuple, or None."""
        ...

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        ...


class Transaction(Protocol):
    """An open read or write transaction."""

    def execute(self, sql: str, bindings: Sequence[Any] = ..., /) -> Rows:
        """Run one statement; values reach it only as bindings."""
        ...

    def executemany(self, sql: str, bindings: Iterable[Sequence[Any]], /) -> Rows:
        """Run one statement for each of several bindings."""
        ...

    def last_insert_rowid(self) -> int:
        """The number that the last INSERT gave its row."""
        ...

    def changes(self) -> int:
        """How many rows the last statement changed."""
        ...
