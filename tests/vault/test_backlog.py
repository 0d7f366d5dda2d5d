"""The backlog: jobs in order off their caller's path, bounded, done before the vault closes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from haulout import Vault
from haulout.errors import VaultClosedError
from haulout.vault.backlog import Backlog


class Gate:
    """A job that says when it began and ends when it is let."""

    def __init__(self) -> None:
        self.began, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.began.set()
        assert self.opened.wait(60)


def test_jobs_are_done_in_order_off_the_callers_thread() -> None:
    backlog, done = Backlog(), []
    gate = Gate()
    backlog.put(gate)
    for n in range(100):
        backlog.put(lambda n=n: done.append((n, threading.current_thread().name)))
    assert done == []
    gate.opened.set()
    assert backlog.finish(60)
    assert done == [(n, "haulout-backlog") for n in range(100)]


def test_a_full_backlog_makes_the_next_wait_and_drops_nothing() -> None:
    backlog, gate, done = Backlog(most=2), Gate(), []
    backlog.put(gate)
    assert backlog.offer(lambda: done.append("offered"))
    assert not backlog.offer(lambda: done.append("never"))
    waiting = threading.Thread(target=backlog.put, args=(lambda: done.append("waited"),))
    waiting.start()
    assert gate.began.wait(60)
    assert waiting.is_alive()
    gate.opened.set()
    waiting.join(60)
    assert backlog.finish(60)
    assert done == ["offered", "waited"]


def test_there_is_a_thread_only_while_there_is_work() -> None:
    backlog, gate = Backlog(), Gate()
    threads = [thread.name for thread in threading.enumerate()]
    assert "haulout-backlog" not in threads
    backlog.put(gate)
    (worker,) = [t for t in threading.enumerate() if t.name == "haulout-backlog"]
    gate.opened.set()
    worker.join(60)
    assert not worker.is_alive()
    assert backlog.finish(60)


def test_finish_waits_only_as_long_as_it_may() -> None:
    backlog, gate = Backlog(), Gate()
    backlog.put(gate)
    assert not backlog.finish(0.001)
    gate.opened.set()
    assert backlog.finish(60)


def test_a_job_may_put_another_and_ask_whether_it_is_the_last() -> None:
    backlog, done = Backlog(most=1), []

    def first() -> None:
        backlog.put(lambda: done.append("second"))  # over the limit: it cannot wait for itself
        done.append(backlog.finish())

    backlog.put(first)
    assert backlog.finish(60)
    assert done == [False, "second"]


def test_a_job_that_raises_is_told_of_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_value))
    backlog, gate, done = Backlog(), Gate(), []

    def fails() -> None:
        gate()
        raise KeyError("unforeseen")

    backlog.put(fails)
    backlog.put(lambda: done.append("next"))
    gate.opened.set()
    assert backlog.finish(60)
    assert (done, [type(error) for error in told]) == (["next"], [KeyError])


def test_closing_the_vault_does_what_is_left(tmp_path: Path) -> None:
    vault, _ = Vault.create(tmp_path / "vault", embedder="none")
    gate = Gate()
    vault.backlog.put(gate)
    vault.backlog.put(lambda: vault.remember("the last thing said"))
    assert gate.began.wait(60)
    gate.opened.set()
    vault.close()
    with Vault.open(tmp_path / "vault", embedder="none") as again:
        assert [memory.text for memory in again.list().memories] == ["the last thing said"]


def test_an_interpreter_that_ends_does_what_is_left_first(tmp_path: Path) -> None:
    code = (
        "import sys; from haulout import Vault\n"
        "vault, _ = Vault.create(sys.argv[1], embedder='none')\n"
        "for n in range(50): vault.backlog.put(lambda n=n: vault.remember(f'number {n}'))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "vault")], check=True, timeout=120)
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        assert vault.stats().memories == 50


def test_where_no_thread_begins_any_more_the_job_is_done_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    backlog, done = Backlog(), []
    backlog.put(lambda: done.append("here"))
    assert done == ["here"]
    assert backlog.finish(0)
    monkeypatch.undo()
    backlog.put(lambda: done.append("there"))
    assert backlog.finish(60)
    assert done == ["here", "there"]


def test_a_forked_process_is_told_to_open_the_vault_again(monkeypatch: pytest.MonkeyPatch) -> None:
    backlog = Backlog()
    monkeypatch.setattr("os.getpid", lambda: -1)
    for put in (backlog.put, backlog.offer):
        with pytest.raises(VaultClosedError, match="forked"):
            put(int)
    assert not backlog.finish()
