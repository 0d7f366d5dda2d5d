"""What a durable write costs at the least: one row of the same bytes a commit, or one append.

run_bare.py commit BYTES    SQLite with the same cipher, WAL, synchronous=FULL
run_bare.py append BYTES    a plain file, append and fsync
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import apsw
from runner import Corpus, Store, serve


class BareCommit(Store):
    def __init__(self, size: int) -> None:
        self._row = os.urandom(size)
        self._lock = threading.Lock()

    def open(self, folder: Path, corpus: Corpus) -> None:
        del corpus
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = connection = apsw.Connection(str(folder / "bare.db"))
        connection.set_busy_timeout(60_000)
        for pragma in (
            "cipher='chacha20'",
            f"key='raw:{bytes(32).hex()}'",
            "journal_mode=WAL",
            "synchronous=FULL",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute(
            "CREATE TABLE IF NOT EXISTS row (num INTEGER PRIMARY KEY, bytes BLOB)"
        ).fetchall()

    def write(self, number: int) -> None:
        del number
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT INTO row (bytes) VALUES (?)", (self._row,))
            self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class BareAppend(Store):
    def __init__(self, size: int) -> None:
        self._row = os.urandom(size)

    def open(self, folder: Path, corpus: Corpus) -> None:
        del corpus
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        self._file = os.open(folder / "bare.log", flags, 0o600)

    def write(self, number: int) -> None:
        del number
        os.write(self._file, self._row)
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


if __name__ == "__main__":
    kind = BareCommit if sys.argv[1] == "commit" else BareAppend
    serve(kind(int(sys.argv[2])))
