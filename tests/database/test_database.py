"""The encrypted transaction on a real file: durable, shared, latched, scrubbed, refused."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from haulout.database.connection import connect
from haulout.database.database import Database
from haulout.database.transaction import Transaction
from haulout.errors import (
    DamagedError,
    DiskFullError,
    HauloutError,
    InputError,
    StorageError,
    StoreUnavailableError,
    VaultClosedError,
    VaultLockedError,
    VaultVersionError,
)
from haulout.testing.pages import decrypted_log_pages, decrypted_pages

KEY = bytes(range(32))
SCHEMA = ("CREATE TABLE item (num INTEGER PRIMARY KEY, text TEXT)",)
NEWEST = "SELECT max(num) FROM item"


def new(path: Path | None, **arguments: Any) -> Database:
    given = {"schema": SCHEMA, "newest": NEWEST, "create": True} | arguments
    return Database(path, KEY, **given)


def opened(path: Path, key: bytes = KEY, **arguments: Any) -> Database:
    return Database(path, key, **({"schema": SCHEMA, "newest": NEWEST} | arguments))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lane.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    found = new(path)
    yield found
    found.close()


def insert(text: str) -> Callable[[Transaction], int]:
    def job(connection: Transaction) -> int:
        connection.execute("INSERT INTO item (text) VALUES (?)", (text,))
        return connection.last_insert_rowid()

    return job


def texts(database: Database) -> list[str]:
    with database.read() as connection:
        return [row[0] for row in connection.execute("SELECT text FROM item ORDER BY num")]


def gathered(database: Database, jobs: list[Callable[[Transaction], Any]]) -> list[Any]:
    """Outcomes of jobs that wait together: the writer is held up until all stand in its queue."""
    outcomes: list[Any] = [None] * len(jobs)
    started = threading.Event()

    def hold(_connection: Transaction) -> None:
        started.set()
        while database._jobs.qsize() < len(jobs):
            os.sched_yield()

    def send(place: int) -> None:
        try:
            outcomes[place] = database.write(jobs[place])
        except BaseException as error:  # noqa: BLE001
            outcomes[place] = error

    holder = threading.Thread(target=database.write, args=(hold,))
    holder.start()
    started.wait()
    threads = [threading.Thread(target=send, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in [holder, *threads]:
        thread.join()
    return outcomes


class Stub:
    """A connection that fails at one statement, and is the real one for all others."""

    def __init__(self, real: apsw.Connection, statement: str, error: Exception) -> None:
        self._real, self._statement, self._error = real, statement, error

    def execute(self, sql: str, *bindings: Any) -> Any:
        if sql == self._statement:
            raise self._error
        return self._real.execute(sql, *bindings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


# --- group commit --------------------------------------------------------------------------


def test_32_threads_that_wait_together_share_one_commit(database: Database) -> None:
    commits = 0

    def count() -> bool:
        nonlocal commits
        commits += 1
        return False

    database._connection.set_commit_hook(count)
    numbers = gathered(database, [insert(f"item {n}") for n in range(32)])
    assert commits == 1 + 1  # the holder's, which wrote nothing, and the shared one
    assert sorted(numbers) == list(range(1, 33))
    assert len(texts(database)) == 32


def test_threads_that_do_not_wait_for_each_other_all_get_their_own_answer(
    database: Database,
) -> None:
    found: dict[int, list[int]] = {}

    def work(worker: int) -> None:
        found[worker] = [database.write(insert(f"{worker}/{n}")) for n in range(5)]

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for numbers in found.values() for number in numbers) == list(range(1, 161))
    written = texts(database)
    for worker, numbers in found.items():
        assert [written[num - 1] for num in numbers] == [f"{worker}/{n}" for n in range(5)]


def test_a_failing_job_fails_alone(database: Database) -> None:
    def half_done(connection: Transaction) -> None:
        insert("half done")(connection)
        message = "not this one"
        raise InputError(message)

    def broken(connection: Transaction) -> None:
        insert("broken")(connection)
        connection.execute("INSERT INTO nothing VALUES (1)")

    first, error, sql_error, last = gathered(
        database, [insert("first"), half_done, broken, insert("last")]
    )
    assert isinstance(error, InputError)
    assert isinstance(sql_error, HauloutError)
    assert sorted([first, last]) == [1, 2]
    assert sorted(texts(database)) == ["first", "last"]


def test_an_unforeseen_error_reaches_its_caller_and_nobody_else(database: Database) -> None:
    def surprised(_connection: Transaction) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(surprised)
    assert database.write(insert("after")) == 1


def test_a_job_sees_what_earlier_jobs_of_its_commit_wrote(database: Database) -> None:
    counts = gathered(
        database,
        [
            lambda c: (insert("x")(c), c.execute("SELECT count(*) FROM item").fetchone()[0])[1]
            for _ in range(8)
        ],
    )
    assert sorted(counts) == list(range(1, 9))


# --- reading -------------------------------------------------------------------------------


def test_what_was_written_is_read_at_once_by_every_connection(path: Path) -> None:
    with_one, with_two = new(path), opened(path)
    for number in range(5):
        writer, reader = (with_one, with_two) if number % 2 else (with_two, with_one)
        writer.write(insert(str(number)))
        assert texts(reader) == texts(writer) == [str(n) for n in range(number + 1)]
    with_one.close()
    with_two.close()


def test_a_read_sees_one_moment(database: Database) -> None:
    database.write(insert("before"))
    with database.read() as connection:
        before = connection.execute("SELECT count(*) FROM item").fetchone()
        database.write(insert("meanwhile"))
        assert connection.execute("SELECT count(*) FROM item").fetchone() == before == (1,)
    assert texts(database) == ["before", "meanwhile"]


def test_errors_of_sql_in_a_read_are_ours(database: Database) -> None:
    with pytest.raises(DamagedError, match=r"lane\.db"), database.read() as connection:
        connection.execute("SELECT * FROM nothing")


def test_a_database_in_memory_is_the_same_thing() -> None:
    database = new(None)
    assert database.write(insert("x")) == 1
    assert texts(database) == ["x"]
    assert database.integrity() == []
    assert database.size() == 0
    assert database.scrub()
    database.close()


# --- after a failed write ------------------------------------------------------------------


def fail_at(database: Database, statement: str, error: Exception) -> apsw.Connection:
    real = database._connection
    database._connection = Stub(real, statement, error)  # type: ignore[assignment]
    return real


def test_after_a_failed_commit_nothing_is_acknowledged_until_reopened(path: Path) -> None:
    database = new(path)
    database.write(insert("kept"))
    real = database._connection

    def break_the_disk(_connection: Transaction) -> None:
        fail_at(database, "COMMIT", apsw.IOError("disk I/O error"))

    outcomes = gathered(database, [break_the_disk, insert("lost"), insert("lost too")])
    assert [type(one) for one in outcomes] == [StorageError] * 3
    database._connection = real
    for _ in range(2):
        with pytest.raises(VaultClosedError, match="failed while writing"):
            database.write(insert("refused"))
    with pytest.raises(VaultClosedError):
        database.scrub()
    database.close()
    again = opened(path)
    assert texts(again) == ["kept"]
    assert again.write(insert("after")) == 2
    again.close()


def test_a_disk_error_inside_a_job_latches_too(database: Database) -> None:
    def failing(connection: Transaction) -> None:
        insert("x")(connection)
        message = "disk I/O error"
        raise apsw.IOError(message)

    with pytest.raises(StorageError):
        database.write(failing)
    with pytest.raises(VaultClosedError):
        database.write(insert("refused"))


def test_a_full_disk_keeps_nothing_and_latches_nothing(database: Database) -> None:
    real = fail_at(database, "COMMIT", apsw.FullError("database or disk is full"))
    with pytest.raises(DiskFullError):
        database.write(insert("lost"))
    database._connection = real
    assert database.write(insert("kept")) == 1
    assert texts(database) == ["kept"]


def test_a_lock_file_that_fails_latches(database: Database) -> None:
    assert database._lock
    assert database.path
    os.close(database._lock._lock)
    database._lock._lock = os.open(database.path, os.O_RDONLY)  # the number cannot be written
    with pytest.raises(StorageError, match="lock"):
        database.write(insert("x"))
    with pytest.raises(VaultClosedError):
        database.write(insert("y"))


# --- closing -------------------------------------------------------------------------------


def test_closing_twice_is_fine_and_writing_after_it_is_refused(path: Path) -> None:
    database = new(path)
    database.close()
    database.close()
    with pytest.raises(VaultClosedError, match="closed"):
        database.write(insert("x"))
    with pytest.raises(VaultClosedError), database.read():
        pass


def test_every_write_that_races_with_close_is_answered(tmp_path: Path) -> None:
    for round_ in range(10):
        database = new(tmp_path / f"{round_}.db")
        answers: list[int | str] = []
        ready = threading.Barrier(9)

        def work(database: Database = database, ready: threading.Barrier = ready) -> None:
            ready.wait()
            try:
                while True:
                    answers.append(database.write(insert("x")))  # noqa: B023
            except VaultClosedError:
                answers.append("closed")  # noqa: B023

        threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        ready.wait()
        database.close()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        again = opened(tmp_path / f"{round_}.db")
        assert len(texts(again)) == len(answers) - 8
        again.close()


def test_a_forked_process_is_told_to_open_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(database, "_pid", -1)
        with pytest.raises(VaultClosedError, match="forked"):
            database.write(insert("x"))
    assert database.write(insert("x")) == 1


# --- opening -------------------------------------------------------------------------------


def test_another_key_does_not_open_the_file(path: Path) -> None:
    new(path).close()
    before = path.read_bytes()
    with pytest.raises(VaultLockedError):
        opened(path, bytes(32))
    assert path.read_bytes() == before


def test_nothing_of_the_file_is_readable_without_the_key(path: Path) -> None:
    database = new(path)
    database.write(insert("zyzzyva"))
    log = path.with_name("lane.db-wal").read_bytes()
    database.close()
    for data in (log, path.read_bytes()):
        assert b"zyzzyva" not in data
        assert b"CREATE TABLE" not in data
        assert b"SQLite format" not in data


def test_a_file_of_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    later = opened(path, schema=(*SCHEMA, "CREATE TABLE more (num)"), create=True)
    later.write(insert("x"))
    later.close()
    before = path.read_bytes()
    with pytest.raises(VaultVersionError, match="schema 2"):
        opened(path)
    assert path.read_bytes() == before


def test_migrations_run_once_and_in_order(path: Path) -> None:
    new(path).close()
    steps = (*SCHEMA, "ALTER TABLE item ADD kind TEXT", "UPDATE item SET kind = kind || 'x'")
    first = opened(path, schema=steps[:2])
    first.write(lambda c: c.execute("INSERT INTO item (text, kind) VALUES ('a', 'k')").fetchall())
    first.close()
    for _ in range(2):
        again = opened(path, schema=steps)
        with again.read() as connection:
            assert connection.execute("SELECT kind FROM item").fetchall() == [("kx",)]
        again.close()


def test_a_migration_that_fails_leaves_the_step_before_it(path: Path) -> None:
    new(path).close()
    wrong = (*SCHEMA, "CREATE TABLE more (num); INSERT INTO nothing VALUES (1)")
    with pytest.raises(DamagedError):
        opened(path, schema=wrong)
    right = opened(path, schema=(*SCHEMA, "CREATE TABLE more (text)"))
    with right.read() as connection:
        assert connection.execute("SELECT name FROM pragma_table_info('more')").fetchall() == [
            ("text",)
        ]
    right.close()


def test_a_file_put_back_to_an_older_state_is_noticed(path: Path, tmp_path: Path) -> None:
    database = new(path)
    database.write(insert("old"))
    database.close()
    shutil.copy(path, tmp_path / "older.db")
    database = opened(path)
    database.write(insert("new"))
    database.close()
    shutil.copy(tmp_path / "older.db", path)
    with pytest.raises(DamagedError, match="record 2 was acknowledged"):
        opened(path)


def test_a_torn_lock_file_tells_nothing(path: Path) -> None:
    database = new(path)
    database.write(insert("x"))
    database.close()
    lock = path.with_suffix(".lock")
    lock.write_bytes(lock.read_bytes()[:-1])
    again = opened(path)
    assert texts(again) == ["x"]
    again.close()


def test_a_changed_page_is_an_error_and_never_other_data(path: Path) -> None:
    database = new(path)
    database.write(lambda c: [insert(f"text number {n}" * 20)(c) for n in range(200)])
    expected = texts(database)
    database.close()
    whole = path.read_bytes()
    for place in range(40, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            changed = opened(path)
        except HauloutError:
            continue
        try:
            with pytest.raises(DamagedError):
                assert texts(changed) != expected
            assert changed.integrity()
        except DamagedError:
            pass
        finally:
            changed.close()


# --- scrub, copies -------------------------------------------------------------------------


def plain_bytes(path: Path) -> bytes:
    pages = [*decrypted_pages(path, KEY), *decrypted_log_pages(path, KEY)]
    return b"".join(page.plain for page in pages)


def test_scrub_leaves_no_trace_of_what_was_deleted(database: Database, path: Path) -> None:
    rows = [f"token{n:05d}" + "x" * (n % 90) for n in range(2000)]
    database.write(lambda c: [insert(row)(c) for row in rows])
    database.write(lambda c: c.execute("DELETE FROM item WHERE num % 3 <> 0").fetchall())
    assert b"token00000" in plain_bytes(path)
    assert database.scrub()
    left = plain_bytes(path)
    assert [n for n in range(2000) if (b"token%05d" % n in left) != ((n + 1) % 3 == 0)] == []
    assert database.integrity() == []
    assert database.write(insert("after")) == 2001 - 2


def test_scrub_waits_for_no_reader_and_says_so(database: Database, path: Path) -> None:
    database.write(insert("secret"))
    database.write(lambda c: c.execute("DELETE FROM item").fetchall())
    other = opened(path)
    with other.read() as connection:
        connection.execute("SELECT count(*) FROM item").fetchone()
        assert database.scrub() is False
        assert b"secret" in plain_bytes(path)
    assert database.scrub() is True
    assert b"secret" not in plain_bytes(path)
    other.close()


def test_scrub_and_writes_in_one_process_do_not_disturb_each_other(database: Database) -> None:
    done = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            while not done.is_set():
                database.write(insert("x" * 500))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        database.scrub()
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert database.integrity() == []


def test_a_copy_is_of_one_moment_and_under_its_own_key(database: Database, tmp_path: Path) -> None:
    database.write(insert("x"))
    target = tmp_path / "copy.db"
    database.copy_to(target, bytes(32))
    database.write(insert("later"))
    with pytest.raises(VaultLockedError):
        connect(target, KEY)
    copy = opened(target, bytes(32))
    assert texts(copy) == ["x"]
    assert copy.integrity() == []
    copy.close()


def test_size_counts_the_write_ahead_log(database: Database, path: Path) -> None:
    before = database.size()
    database.write(insert("x" * 100_000))
    log = path.with_name("lane.db-wal")
    assert database.size() - before >= 100_000
    assert database.size() == path.stat().st_size + log.stat().st_size


def test_a_long_write_ahead_log_is_moved_into_the_file(database: Database, path: Path) -> None:
    for _ in range(3):
        database.write(lambda c: [insert("x" * 3000)(c) for _ in range(1200)])
    database.write(insert("last"))
    assert path.stat().st_size > 3_000_000


# --- deadlines -----------------------------------------------------------------------------


class Held:
    """A commit that hangs until it is told to go on."""

    def __init__(self, database: Database) -> None:
        self._database, self._real = database, database._connection
        self.reached, self._go_on = threading.Event(), threading.Event()
        database._connection = self  # type: ignore[assignment]

    def execute(self, sql: str, *bindings: Any) -> Any:
        if sql == "COMMIT" and not self._go_on.is_set():
            self.reached.set()
            assert self._go_on.wait(60)
        return self._real.execute(sql, *bindings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def go_on(self) -> None:
        """The disk answers again."""
        self._go_on.set()
        self._database.write(lambda _connection: None)  # behind what waited
        self._database._connection = self._real


def test_a_write_that_the_disk_keeps_waiting_is_given_up_on_and_may_be_kept(
    database: Database,
) -> None:
    held = Held(database)
    with pytest.raises(StoreUnavailableError, match=r"within 0\.01 seconds") as caught:
        database.write(insert("late"), patience=0.01)
    assert caught.value.retry
    held.go_on()
    assert texts(database) == ["late"]


def test_a_write_that_was_given_up_on_before_it_began_never_is(database: Database) -> None:
    held = Held(database)
    database.post(insert("first"))
    assert held.reached.wait(60)
    for patience in (0.01, 0, -1):
        with pytest.raises(StoreUnavailableError):
            database.write(insert("never"), patience=patience)
    held.go_on()
    assert texts(database) == ["first"]


def test_a_write_waits_no_longer_than_for_its_answer(database: Database) -> None:
    assert database.write(insert("soon"), patience=60) == 1
    with pytest.raises(InputError):
        database.write(lambda _connection: _raise(InputError("No.")), patience=60)


def _raise(error: Exception) -> None:
    raise error


def test_what_is_posted_follows_in_order_and_its_failure_is_its_own(database: Database) -> None:
    held = Held(database)
    database.post(insert("one"))
    assert held.reached.wait(60)
    database.post(insert("two"))
    database.post(lambda _connection: _raise(InputError("No.")))
    database.post(insert("three"))
    held.go_on()
    assert texts(database) == ["one", "two", "three"]


def test_what_nobody_waits_for_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulout.database.database._MOST_WAITING", 3)
    held = Held(database)
    database.post(insert("first"))
    assert held.reached.wait(60)
    for number in range(3):
        database.post(insert(str(number)))
    with pytest.raises(StoreUnavailableError, match="3 writes waiting"):
        database.post(insert("too many"))
    held.go_on()
    assert texts(database) == ["first", "0", "1", "2"]


def test_whoever_wrote_in_a_commit_that_failed_is_told_while_nobody_else_may_write(
    database: Database,
) -> None:
    told: list[str] = []
    inside: list[bool] = []
    lock = database._lock
    assert lock is not None

    def undone() -> None:
        told.append("undone")
        inside.append(lock._threads.locked())

    real = database._connection
    database._connection = Stub(real, "COMMIT", apsw.FullError("no space"))  # type: ignore[assignment]
    with pytest.raises(DiskFullError):
        database.write(insert("lost"), undone=undone)
    database._connection = real
    assert (told, inside) == (["undone"], [True])
    database.write(insert("kept"), undone=undone)
    with pytest.raises(InputError):
        database.write(lambda _connection: _raise(InputError("No.")), undone=undone)
    assert told == ["undone"]  # neither of a commit nor of a job that failed by itself
    assert texts(database) == ["kept"]


def test_a_number_that_could_not_be_noted_undoes_what_was_folded_and_latches(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def failing(_number: int) -> None:
        raise OSError("lock")

    assert database._lock is not None
    monkeypatch.setattr(database._lock, "acknowledge", failing)
    with pytest.raises(StorageError):
        database.write(insert("kept, and not acknowledged"), undone=lambda: told.append("undone"))
    assert told == ["undone"]
    with pytest.raises(VaultClosedError):
        database.write(insert("more"))


def test_the_log_is_moved_when_it_has_as_many_pages_as_it_may(path: Path) -> None:
    for pages, grows in ((50, False), (100_000, True)):
        found = new(path.with_name(f"{pages}.db"), log_pages=pages)
        for number in range(200):
            found.write(insert("x" * 200 + str(number)))
        assert (found._log_pages > 200) == grows
        found.close()
