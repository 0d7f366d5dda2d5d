"""A bot's state from and to freqtrade's database (``tradesv3.sqlite``), without freqtrade.

What freqtrade has no place for stands in a table of ours in the same file, which freqtrade does
not read. It is believed only for what freqtrade has not changed since: a field that stands in
the database as it was written comes back as it was, any other as freqtrade has it now.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from haulout.errors import ConflictError, ImportFormatError, InputError, StorageError
from haulout.interchange.botstate import BotState, decode, encode
from haulout.interchange.freqtraderows import Rows, bot_of, merged, rounded, rows_of, unread
from haulout.interchange.freqtradetables import NEEDED, TABLES, from_sql, schema, to_sql

MAGIC: Final = b"SQLite format 3\0"
_OURS: Final = "haulout_bot_state"
_PATIENCE: Final = 10.0
"""Seconds to wait for a bot that is writing."""


class FromFreqtrade(NamedTuple):
    """A state, and what of the database is not in it: tables that are none of freqtrade's own."""

    bot: BotState
    left_out: tuple[str, ...]


def read_freqtrade(
    path: str | os.PathLike[str], *, intents: Mapping[str, str] | None = None
) -> FromFreqtrade:
    """Read freqtrade's database, also while freqtrade writes to it.

    Args:
        path: of the SQLite file.
        intents: the journal's intent IDs (32 hex digits) by the venue's order IDs, which
            freqtrade has no column for.

    Raises:
        ImportFormatError: it is none of freqtrade's, or of a version with other columns;
        StorageError: it cannot be read.
    """
    place = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(place, uri=True, timeout=_PATIENCE)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("BEGIN")  # all tables as of one moment
            tables = _tables(database)
            rows = {table: _read(database, table, tables) for table in TABLES}
            ours = _carried(database, tables)
    except sqlite3.OperationalError as error:
        message = f"{path} cannot be read ({error})."
        raise StorageError(message) from error
    except sqlite3.DatabaseError as error:
        message = f"{path} is no SQLite database, or a broken one ({error})."
        raise ImportFormatError(message) from error
    bot = bot_of(rows) if ours is None else merged(bot_of(rows), ours)
    if bot != ours:
        bot.at = _written(path)
    for trade in bot.trades:
        for order in trade.orders:
            order.intent = order.intent or (intents or {}).get(order.id)
    known = {*TABLES, _OURS}
    return FromFreqtrade(bot, tuple(sorted(set(tables) - known - {"sqlite_sequence"})))


def _written(path: str | os.PathLike[str]) -> int:
    """When a database was last written to, microseconds; a bot's writes may wait in its log."""
    log = Path(f"{path}-wal")
    files = [Path(path), *([log] if log.exists() else [])]
    return max(one.stat().st_mtime_ns for one in files) // 1000


def _tables(database: sqlite3.Connection) -> dict[str, str]:
    found = database.execute(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"
    ).fetchall()
    tables = dict(found)
    for name in NEEDED:
        if tables.get(name) != "table":
            message = f"This is no database of freqtrade's: it has no table {name!r}."
            raise ImportFormatError(message)
    return tables


def _read(database: sqlite3.Connection, table: str, tables: Mapping[str, str]) -> list[Any]:
    if tables.get(table) != "table":
        return []
    columns = TABLES[table]
    there = {row[1] for row in database.execute(f'PRAGMA table_info("{table}")')}
    differ = sorted(there ^ {column.name for column in columns})
    if differ:
        message = f"{table} has other columns than freqtrade 2026.9 gives it: {', '.join(differ)}."
        hint = "Start freqtrade 2026.9 on the file once, so that it brings it up to date."
        raise ImportFormatError(message, hint=hint)
    names = ", ".join(f'"{column.name}"' for column in columns)
    found: list[dict[str, Any]] = []
    for values in database.execute(f'SELECT {names} FROM "{table}" ORDER BY id'):  # noqa: S608 - our own words
        where = f"{table} {values[0]}"
        found.append(
            {
                column.name: from_sql(column, value, f"{where}: {column.name}")
                for column, value in zip(columns, values, strict=True)
            }
        )
    return found


def _carried(database: sqlite3.Connection, tables: Mapping[str, str]) -> BotState | None:
    if tables.get(_OURS) != "table":
        return None
    row = database.execute(f"SELECT state FROM {_OURS}").fetchone()  # noqa: S608 - our own words
    return decode(row[0]) if row else None


class ToFreqtrade(NamedTuple):
    """What freqtrade does not see of a state: amounts that its floats round, and whole parts.

    All of it is in the file, and comes back with `read_freqtrade`.
    """

    rounded: tuple[str, ...]
    unread: tuple[str, ...]


def write_freqtrade(bot: BotState, path: str | os.PathLike[str]) -> ToFreqtrade:
    """Write a new database that freqtrade 2026.9 starts from.

    Args:
        bot: the state; path: where no file is yet. It is readable for its owner alone.

    Returns:
        What of it freqtrade does not see.

    Raises:
        ConflictError: there is a file; InputError: freqtrade has no form for something of it;
        StorageError: it cannot be written.
    """
    rows = rows_of(bot)
    values = {table: _values(table, rows) for table in TABLES}
    target = Path(path)
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError as error:
        message = f"{target} exists."
        raise ConflictError(message, hint="Write to a new file, and look at both.") from error
    except OSError as error:
        message = f"{target} cannot be written ({error.strerror})."
        raise StorageError(message) from error
    try:
        with closing(sqlite3.connect(target, timeout=_PATIENCE)) as database, database:
            database.execute("BEGIN")  # one transaction: a statement alone costs a sync
            for statement in schema():
                database.execute(statement)
            for table, lines in values.items():
                marks = ", ".join("?" for _ in TABLES[table])
                database.executemany(f'INSERT INTO "{table}" VALUES ({marks})', lines)  # noqa: S608 - our own words
            database.execute(f"CREATE TABLE {_OURS} (state BLOB NOT NULL)")
            database.execute(f"INSERT INTO {_OURS} VALUES (?)", (encode(bot),))  # noqa: S608 - our own words
    except sqlite3.IntegrityError as error:
        target.unlink(missing_ok=True)
        message = f"freqtrade's tables take this only once ({error})."
        raise InputError(message) from error
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        message = f"{target} cannot be written ({error})."
        raise StorageError(message) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return ToFreqtrade(rounded(bot), unread(bot))


def _values(table: str, rows: Rows) -> list[tuple[Any, ...]]:
    return [
        tuple(
            to_sql(column, row.get(column.name), f"{table} {row['id']}: {column.name}")
            for column in TABLES[table]
        )
        for row in rows[table]
    ]
