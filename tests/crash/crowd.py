"""A crowd: many processes writing and reading one vault at once.

Every writer process has a few callers, as an agent host has: what they write together is one
commit. Counted are acknowledged writes of each process, errors of any kind, and afterwards the
memories that stand. A second play has two processes answer each other: each must at once recall
what the other has just remembered.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from crash.processes import child
from crash.story import every_text

from haulout import HauloutError, Vault

CALLERS = 4
LOG_BYTES = 64 * 1024 * 1024


@dataclass
class Crowd:
    """What a crowd did."""

    seconds: float
    writes: list[int] = field(default_factory=list)  # acknowledged, by process
    recalls: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    log_bytes: int = 0  # the most that the write-ahead log took

    @property
    def rate(self) -> float:
        return sum(self.writes) / self.seconds

    @property
    def fairness(self) -> float:
        """The slowest writer's share of the fastest's."""
        return min(self.writes) / max(1, *self.writes)

    def require(self) -> None:
        assert not self.errors, self.errors[:5]
        assert (self.lost, self.doubled) == (0, 0)
        assert self.fairness >= 0.25, self.writes
        assert self.log_bytes < LOG_BYTES


def _write(connection: Connection, folder: Path, name: str) -> None:
    done, errors = [0] * CALLERS, list[str]()
    with Vault.open(folder, embedder="none") as vault:
        connection.send("ready")
        end = connection.recv()

        def call(caller: int) -> None:
            try:
                while time.monotonic() < end:
                    text = f"{name} {caller} {done[caller]} keeps a clam"
                    vault.remember(text, op_id=f"{name}-{caller}-{done[caller]}")
                    done[caller] += 1
            except HauloutError as error:
                errors.append(f"{type(error).__name__}: {error}")

        threads = [threading.Thread(target=call, args=(n,)) for n in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    connection.send((done, errors))


def _read(connection: Connection, folder: Path, name: str) -> None:
    recalls, errors = 0, list[str]()
    with Vault.open(folder, embedder="none") as vault:
        connection.send("ready")
        end = connection.recv()
        while time.monotonic() < end:
            try:
                vault.recall(f"clam of {name}", limit=5)
                recalls += 1
            except HauloutError as error:
                errors.append(f"{type(error).__name__}: {error}")
    connection.send((recalls, errors))


def play(place: Path, *, writers: int, readers: int, seconds: float) -> Crowd:
    """Let a crowd write and read for so long, then count."""
    folder, crowd = place / "vault", Crowd(seconds)
    Vault.create(folder, embedder="none")[0].close()
    with ExitStack() as stack:
        stack.enter_context(Vault.open(folder, embedder="none"))  # keeps the log for measuring
        writing = [stack.enter_context(child(_write, folder, f"w{n}"))[1] for n in range(writers)]
        reading = [stack.enter_context(child(_read, folder, f"w{n}"))[1] for n in range(readers)]
        for connection in (*writing, *reading):
            assert connection.recv() == "ready"
        end = time.monotonic() + seconds  # one clock for all processes of a machine
        for connection in (*writing, *reading):
            connection.send(end)
        told: set[str] = set()
        for number, connection in enumerate(writing):
            done, errors = connection.recv()
            crowd.writes.append(sum(done))
            crowd.errors += errors
            for caller, count in enumerate(done):
                told |= {f"w{number} {caller} {n} keeps a clam" for n in range(count)}
        for connection in reading:
            recalls, errors = connection.recv()
            crowd.recalls.append(recalls)
            crowd.errors += errors
        crowd.log_bytes = (folder / "memory.db-wal").stat().st_size
    with Vault.open(folder, embedder="none") as vault:
        found = every_text(vault)
        crowd.lost = len(told - found.keys())
        crowd.doubled = sum(count - 1 for count in found.values())
        crowd.errors += vault.check().problems
    return crowd


# ---------------------------------------------------------------------- answering each other


def _answer(connection: Connection, folder: Path, name: str) -> None:
    """Recall each word that comes, and answer with a new one; a word not found is answered so."""
    with Vault.open(folder, embedder="none") as vault:
        connection.send("ready")
        for number, word in enumerate(iter(connection.recv, None)):
            found = word == "begin" or any(
                word in one.memory.text for one in vault.recall(word, limit=3)
            )
            answer = f"{name}word{number}"
            if found:
                vault.remember(f"the {answer} was said")
            connection.send(answer if found else None)


def answers(place: Path, rounds: int) -> int:
    """How many words said by one process were recalled at once by the other, of so many."""
    folder = place / "vault"
    Vault.create(folder, embedder="none")[0].close()
    with child(_answer, folder, "ping") as (_, ping), child(_answer, folder, "pong") as (_, pong):
        assert {ping.recv(), pong.recv()} == {"ready"}
        word, recalled = "begin", 0
        for number in range(rounds + 1):
            connection = (ping, pong)[number % 2]
            connection.send(word)
            word = connection.recv()
            if word is None:
                break
            recalled = number
        for connection in (ping, pong):
            connection.send(None)
    return recalled


# ---------------------------------------------------------------------- forking


def fork(connection: Connection, folder: Path) -> None:
    """Fork with a vault open, send what the new process meets, and go on in the old one."""
    with Vault.open(folder, embedder="none") as vault:
        vault.recall("walrus")
        forked = os.fork()
        if forked == 0:
            for attempt in (lambda: vault.remember("twice"), lambda: vault.recall("walrus")):
                try:
                    attempt()
                    connection.send("nothing was refused")
                except HauloutError as error:
                    connection.send(f"{type(error).__name__}: {error}")
            os._exit(0)
        os.waitpid(forked, 0)
        connection.send(vault.remember("after the fork").text)
