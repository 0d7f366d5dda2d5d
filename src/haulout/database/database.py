"""One lane's database: many readers, one writer thread, durable before acknowledged.

A write is a job: a function of the connection. Jobs queue; the writer thread takes the writer
lock, runs all that wait inside one transaction, commits with one fsync, notes the newest
number in the lock file and only then answers the callers (group commit).

What a crash leaves, step by step:

    before COMMIT returns   nothing of the batch; no caller was told anything
    after COMMIT            all of the batch; a caller that was not told repeats its operation
                            ID and gets the first result
    after the lock file     the same; the file only ever holds an older or equal number
    during a checkpoint     SQLite replays the write-ahead log on the next open

After a failed write or fsync nobody can know what the disk holds (Rebello et al., "Can
applications recover from fsync failures?", ATC 2020): the database latches, refuses every
further write, and has to be opened anew, which runs recovery.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# APSW's stubs name a type that Python has from 3.12 on, so its methods look partly unknown.

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, cast

import apsw

from haulout.database.connection import BUSY_MS, close, connect
from haulout.database.failures import translate, translated
from haulout.database.lock import WriterLock
from haulout.database.schema import migrate
from haulout.database.transaction import Transaction
from haulout.errors import (
    DamagedError,
    HauloutError,
    StorageError,
    StoreUnavailableError,
    VaultClosedError,
)

Job = Callable[[Transaction], Any]

_MOST_JOBS_A_COMMIT = 256
_CHECKPOINT_PAGES = 1000
_VERY_LONG = 8  # times that: 32 MB
_READS_END_MS = 100
_MOST_WAITING = 10_000  # jobs that nobody waits for: some 10 MB while a disk hangs
_LATCHED = "The disk failed while writing"
_GIVEN_UP = "Its caller did not wait any longer."


class _Waiting(NamedTuple):
    job: Job
    answered: threading.Lock  # held until the writer has filled `outcome`
    outcome: list[Any]  # [value, error]
    given_up: list[bool]  # not empty: its caller went away, and it is not begun any more
    undone: Callable[[], None] | None  # told that a commit failed after the job had run


class Database:
    """An open database file (or, with ``path=None``, one in memory).

    Args:
        path: the file; its folder also gets ``<stem>.lock`` and ``<stem>.turn``.
        key: 32 bytes for the pages.
        schema: the migration steps.
        newest: SQL for the newest number a commit made durable (one integer).
        create: make the file if it is missing.
        prepare: called with every new connection, to add SQL functions.
        vfs: a SQLite VFS to go through (tests); it implies a single connection.
        log_pages: how long the write-ahead log becomes before it is moved into the file; 1,000. The
            write that follows waits for that, some 10 ms a thousand pages.

    Raises:
        VaultLockedError, VaultVersionError, DamagedError, StorageError and its kinds.
    """

    def __init__(
        self,
        path: Path | None,
        key: bytes,
        *,
        schema: Sequence[str],
        newest: str,
        create: bool = False,
        prepare: Callable[[apsw.Connection], None] = lambda _connection: None,
        vfs: str | None = None,
        log_pages: int | None = None,
    ) -> None:
        self.path = path
        self.name = path.name if path else "the memory database"
        self._key, self._vfs, self._newest, self._prepare = key, vfs, newest, prepare
        self._shared = path is None or vfs is not None
        self._pool: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        self._gate = threading.RLock()
        self._failure: str | None = None
        # Looked up here, not in the signature: crash tests make checkpoints frequent.
        self._long = _CHECKPOINT_PAGES if log_pages is None else log_pages
        self._log_pages, self._checkpoint_at = 0, self._long
        self._closed = False
        self._door = threading.Lock()  # nothing is queued behind the writer's last job
        self._pid = os.getpid()
        self._jobs: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = WriterLock(path.with_suffix(".lock")) if path else None
        connection = None
        try:
            with self._writing():
                connection = connect(path, key, vfs=vfs, create=create, exclusive=bool(vfs))
                self._connection = connection
                prepare(connection)
                with translated(self.name):
                    if not create:
                        self._check_acknowledged(len(schema))
                    migrate(connection, schema, self.name)
                if path:
                    connection.set_wal_hook(self._note_log_pages)
        except BaseException:
            if connection:
                close(connection, untouched=True)
            if self._lock:
                self._lock.close()
            raise
        self._thread = threading.Thread(target=self._serve, name="haulout-writer", daemon=True)
        self._thread.start()

    def _writing(self) -> Any:
        return self._lock.held() if self._lock else nullcontext()

    def _number(self) -> int:
        return int(self._connection.execute(self._newest).fetchone()[0] or 0)  # pyright: ignore[reportOptionalSubscript]

    def _check_acknowledged(self, known: int) -> None:
        """Refuse a file that ends before what was acknowledged; nothing is written before this.

        A damaged header of the write-ahead log makes the file look old or empty to SQLite,
        which would go on from there and overwrite the log.
        """
        version = int(self._connection.pragma("user_version"))  # pyright: ignore[reportArgumentType] one int
        if version > known:
            return  # `migrate` refuses it
        found = self._number() if version else 0
        told = self._lock.acknowledged() if self._lock else 0
        if told > found or not version:
            message = (
                f"{self.name} ends at record {found}, but record {max(told, 1)} was acknowledged: "
                f"its write-ahead log is damaged or the file was replaced by an older one."
            )
            raise DamagedError(message)

    # ------------------------------------------------------------------ writing

    def write(
        self,
        job: Job,
        *,
        patience: float | None = None,
        undone: Callable[[], None] | None = None,
    ) -> Any:
        """Run ``job`` in a write transaction and return its value once it is durable.

        Jobs of several callers may share a commit; one that raises is undone alone.

        Args:
            job: a function of the transaction.
            patience: seconds to wait, from 0; after them a job that was not begun never is, and
                one that the disk keeps waiting may still be kept.
            undone: called, on the writer's thread and before any other process may write, if the
                commit fails after the job has run.

        Raises:
            VaultClosedError: closed, latched after a failed write, or used after a fork.
            DiskFullError, StorageError: the commit failed; nothing of the job was kept.
            StoreUnavailableError: the disk did not answer within ``patience``.
            Exception: whatever the job raised.
        """
        waiting = self._queue(job, undone)
        if not waiting.answered.acquire(timeout=-1 if patience is None else max(patience, 0)):
            waiting.given_up.append(True)
            message = (
                f"{self.name} was not written within {patience:g} seconds: the disk hangs, or"
                " another process holds it."
            )
            raise StoreUnavailableError(message, hint="Look at the disk; nothing else is known.")
        value, error = waiting.outcome
        if error is not None:
            raise error
        return value

    def post(self, job: Job, *, undone: Callable[[], None] | None = None) -> None:
        """Queue ``job`` behind what waits, and do not wait for it: a crash may undo it.

        Raises:
            VaultClosedError: closed, latched after a failed write, or used after a fork.
            StoreUnavailableError: 10,000 jobs wait already: the disk hangs, or is too slow.
        """
        if self._jobs.qsize() >= _MOST_WAITING:
            message = f"{self.name} has {_MOST_WAITING} writes waiting: the disk hangs."
            raise StoreUnavailableError(message, hint="Look at the disk.")
        self._queue(job, undone)

    def _queue(self, job: Job, undone: Callable[[], None] | None) -> _Waiting:
        self._refuse_after_fork()  # first: the door may have been held as the process forked
        waiting = _Waiting(job, threading.Lock(), [None, None], [], undone)
        waiting.answered.acquire()
        with self._door:
            self._refuse_if_closed()
            self._jobs.put(waiting)
        return waiting

    def _refuse_after_fork(self) -> None:
        if os.getpid() != self._pid:
            message = f"{self.name} was opened before this process was forked."
            raise VaultClosedError(message, hint="Open the vault again in the new process.")

    def _refuse_if_latched(self) -> None:
        if self._failure:
            raise VaultClosedError(f"{_LATCHED} {self.name} ({self._failure}).")

    def _refuse_if_closed(self) -> None:
        self._refuse_after_fork()
        self._refuse_if_latched()
        if self._closed:
            raise VaultClosedError(f"{self.name} was closed.")

    def _serve(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch, last = [first], False
            while len(batch) < _MOST_JOBS_A_COMMIT and not self._jobs.empty():
                waiting = self._jobs.get()
                if waiting is None:
                    last = True
                    break
                batch.append(waiting)
            self._commit(batch)
            for waiting in batch:
                waiting.answered.release()
            if last:
                return
            self._checkpoint_if_long()

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            with self._gate if self._shared else nullcontext(), self._writing():
                self._refuse_if_latched()
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    for waiting in batch:
                        self._run(waiting, alone=len(batch) == 1)
                    if not self._connection.in_transaction:
                        return  # the only job failed and was undone
                    number = self._number() if self._lock else 0
                    self._connection.execute("COMMIT")
                    if self._lock:
                        self._lock.acknowledge(number)
                except BaseException:
                    # Under the lock: another process could give the same numbers to other rows.
                    for waiting in batch:
                        if waiting.undone is not None:
                            waiting.undone()
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
        except (apsw.Error, OSError, HauloutError) as error:
            failure = self._failed(error)
            for waiting in batch:
                waiting.outcome[:] = [None, failure]

    def _run(self, waiting: _Waiting, *, alone: bool) -> None:
        """Run one job; beside others in a savepoint of its own, so that its failure stays its own.

        A savepoint copies every page that its job changes, a tenth of a lone write's CPU time.
        """
        connection = self._connection
        if not alone:
            connection.execute("SAVEPOINT job")
        try:
            if waiting.given_up:
                raise StoreUnavailableError(_GIVEN_UP)
            waiting.outcome[:] = [waiting.job(cast("Transaction", connection)), None]
        except (apsw.FullError, apsw.IOError):
            raise  # the disk's failure is the whole batch's
        except BaseException as error:  # noqa: BLE001 - handed to the caller that sent the job
            connection.execute("ROLLBACK" if alone else "ROLLBACK TO job")
            ours = translate(error, self.name) if isinstance(error, apsw.Error) else error
            waiting.outcome[:] = [None, ours]
        if not alone:
            connection.execute("RELEASE job")

    def _failed(self, error: Exception) -> Exception:
        """Latch unless the failure is one after which the disk's state is known."""
        if isinstance(error, HauloutError):
            return error
        if isinstance(error, OSError):
            failure: HauloutError = StorageError(f"The lock of {self.name} failed ({error}).")
        else:
            failure = translate(error, self.name)  # pyright: ignore[reportArgumentType] apsw.Error
        if not isinstance(error, apsw.FullError | apsw.BusyError | apsw.LockedError):
            self._failure = str(error) or type(error).__name__
        return failure

    def _note_log_pages(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint_if_long(self) -> None:
        """Move a long write-ahead log into the file, so that the next write begins it anew.

        Under the writer lock: with other processes writing meanwhile, the log would not end
        where the checkpoint does, would never begin anew, and every commit would try again
        (8 processes: 500 writes a second instead of 950, on two cores). Readers that follow each
        other closely keep the log from beginning anew; once it is very long, the end of the
        reads begun before is waited for.
        """
        if self._log_pages < self._long:
            self._checkpoint_at = self._long
        if self._log_pages < self._checkpoint_at or self._failure is not None:
            return
        self._checkpoint_at = self._log_pages + self._long  # a reader may hold the log
        very_long = self._log_pages > _VERY_LONG * self._long
        mode = apsw.SQLITE_CHECKPOINT_RESTART if very_long else apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            with self._gate if self._shared else nullcontext(), self._writing():
                self._connection.set_busy_timeout(_READS_END_MS)
                try:
                    self._connection.wal_checkpoint(mode=mode)
                finally:
                    self._connection.set_busy_timeout(BUSY_MS)
        except (apsw.BusyError, apsw.FullError, apsw.LockedError):
            return  # a later commit tries again
        except (apsw.Error, OSError) as error:
            self._failure = str(error) or type(error).__name__

    def _log_bytes(self) -> int:
        assert self.path
        log = self.path.with_name(self.path.name + "-wal")
        return log.stat().st_size if log.exists() else 0

    # ------------------------------------------------------------------ reading

    @contextmanager
    def read(self) -> Generator[Transaction]:
        """A connection inside one read transaction: every SELECT sees the same moment."""
        self._refuse_if_closed()
        with translated(self.name):
            if self._shared:
                with self._gate:
                    yield cast("Transaction", self._connection)
                return
            connection = self._take()
            try:
                connection.execute("BEGIN")
                yield cast("Transaction", connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if connection.txn_state() == apsw.SQLITE_TXN_NONE:
                    self._pool.put(connection)
                else:  # rows left unread would hold this moment, and the log's pages, for good
                    close(connection)

    def _take(self) -> apsw.Connection:
        try:
            return self._pool.get_nowait()
        except queue.Empty:
            connection = connect(self.path, self._key, vfs=self._vfs)
            self._prepare(connection)
            return connection

    # ------------------------------------------------------------------ upkeep

    def scrub(self) -> bool:
        """Rewrite the file without free space and empty the write-ahead log.

        Returns:
            False when another connection's open read kept the old pages alive; try again later.

        Raises:
            DiskFullError, StorageError: the file could not be rewritten; nothing was lost.
        """
        self._refuse_if_closed()
        if self.path is None:
            with self._gate:
                self._connection.execute("VACUUM")
            return True
        with self._gate if self._shared else nullcontext(), self._writing():
            with translated(self.name):
                connection = self._connection if self._shared else self._take()
            try:
                self._refuse_if_latched()
                connection.execute("VACUUM").fetchall()
                connection.set_busy_timeout(200)  # ms: long enough for a recall to end
                try:
                    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                except apsw.BusyError:
                    return False
                return self._log_bytes() == 0
            except apsw.Error as error:
                raise self._failed(error) from error
            finally:
                if self._shared:
                    connection.set_busy_timeout(BUSY_MS)
                else:
                    close(connection)

    def integrity(self) -> list[str]:
        """SQLite's own findings about the file; empty when it is sound."""
        with self.read() as connection:
            rows = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
        return [] if rows == ["ok"] else rows

    def size(self) -> int:
        """Bytes of the file and its write-ahead log on disk."""
        if self.path is None:
            return 0
        return self.path.stat().st_size + self._log_bytes()

    def copy_to(self, target: Path, key: bytes) -> None:
        """Write a consistent copy of the database to a new file under another key.

        Readers and writers go on meanwhile; the copy is of one moment.
        """
        with self.read() as source:
            copy = connect(target, key, create=True, vfs=self._vfs, exclusive=bool(self._vfs))
            try:
                connection = cast("apsw.Connection", source)
                with translated(target.name):
                    if self.path is None:
                        _copy_rows(connection, copy)
                    else:
                        _copy_pages(connection, copy)
                    # Closing would do this, too, but would not tell of a full disk.
                    copy.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            finally:
                close(copy)

    def close(self) -> None:
        """Finish the waiting writes and give everything back. Closing twice is fine."""
        with self._door:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        if os.getpid() == self._pid:
            self._thread.join()
        untouched = self._failure is not None  # then the next opening finds what the disk holds
        while not self._pool.empty():
            close(self._pool.get(), untouched=untouched)
        close(self._connection, untouched=untouched)
        if self._lock:
            self._lock.close()


def _copy_pages(source: apsw.Connection, target: apsw.Connection) -> None:
    with target.backup("main", source, "main") as backup:
        while not backup.done:
            backup.step(1000)


def _copy_rows(source: apsw.Connection, target: apsw.Connection) -> None:
    """Copy what SQL shows: pages in memory are not sealed, and pages copy only to their like."""
    schema = source.execute(
        "SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL"
        " ORDER BY type = 'table' DESC, name LIKE 'sqlite_%'"  # SQLite's own fill themselves first
    ).fetchall()
    with target:
        for name, kind, sql in schema:
            if not str(name).startswith("sqlite_"):
                target.execute(str(sql)).fetchall()
            rows = source.execute(f"SELECT * FROM {name}").fetchall() if kind == "table" else []  # noqa: S608 - names of ours
            if rows:
                target.execute(f"DELETE FROM {name}").fetchall()  # noqa: S608
                marks = ", ".join("?" * len(rows[0]))
                target.executemany(f"INSERT INTO {name} VALUES ({marks})", rows).fetchall()  # noqa: S608
        target.execute(f"PRAGMA user_version={source.pragma('user_version')}").fetchall()
