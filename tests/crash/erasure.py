"""Erasure: after a forget, its words are sought in everything the vault holds.

A rare token is remembered several times among hundreds of neighbours, in sessions, with
vectors, with most postings sealed and the vectors divided into lists; one of the memories is
corrected. All are then forgotten.
Sought, raw and stemmed and in any case: every decrypted page of the file and of the
write-ahead log (free pages and stale frames too), the posting and fresh tables, and by number
the version, vector, list, queue and key tables; and in the pages the erased ciphertexts, wrapped
keys and vector codes themselves, and the means that they were part of.

Either nothing is found, or the receipt says what is pending and a later `check` clears it. The
controls leave the scrub out, and with it only the checkpoint that empties the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, Literal, Self
from unittest.mock import patch

import apsw
import msgspec
import numpy as np
from crash.processes import child, scratch, spread
from crash.story import WORDS
from numpy.typing import NDArray

from haulout import Vault
from haulout.database.database import Database
from haulout.language.tokens import analyze
from haulout.log.record import id_bytes
from haulout.testing.pages import vault_pages

Scrub = Literal["full", "none", "secure_delete"]
_SEAL_AT = 64
_DIVIDED_FROM = 100
_COPIES = 5
_BY_NUMBER = ("version", "vector", "embed_queue", "record_key", "fresh")


class FakeEmbedder:
    """Unit vectors made of a text's letters: the same in every process, in no time."""

    model = "letters/16"
    dimensions = 16

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.ones((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for place, letter in enumerate(text):
                row[(ord(letter) * 7 + place) % self.dimensions] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@dataclass
class Residue:
    """What was found in so many trials."""

    trials: int = 0
    pending: int = 0
    cleared: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Residue) -> Self:
        self.trials += other.trials
        self.pending += other.pending
        self.cleared += other.cleared
        self.hits += other.hits
        self.wrong += other.wrong
        return self

    def require(self) -> None:
        assert not self.hits, self.hits
        assert not self.wrong, self.wrong[:5]
        assert self.cleared == self.pending


def _token(random: Random) -> str:
    syllables = ["zor", "gel", "bli", "quav", "rux", "mep", "dosk", "vyn"]
    return "".join(random.sample(syllables, 4)) + "ing"


def _fill(vault: Vault, token: str, random: Random) -> tuple[list[str], set[int]]:
    """Neighbours, and among them the memories to forget: their IDs and record numbers."""
    neighbours = random.randint(150, 350)
    places = set(random.sample(range(neighbours), _COPIES))
    rare: list[str] = []
    for number in range(neighbours):
        words = " ".join(random.choices(WORDS, k=random.choice((4, 12, 40))))
        about = {"session": f"s{number // 10}", "speaker": random.choice(("ann", "bob"))}
        if number in places:
            text = f"{words} {token} {words}"
            when = "2024-05-05T12:00:00Z" if len(rare) % 2 else None
            kept = vault.remember(
                text, tags=[token], source=token, metadata={token: token},
                occurred_at=when, op_id=f"{token}-{number}", **about,
            )  # fmt: skip
            rare.append(kept.id)
        else:
            vault.remember(words, **about)
    vault.update(rare[0], f"The {token.upper()} is no more.")
    vault.catch_up()
    with vault._database.read() as connection:
        memories = [id_bytes(one) for one in rare]
        marks = ",".join("?" * len(memories))
        sql = f"SELECT num FROM version WHERE memory_id IN ({marks})"
        return rare, {row[0] for row in connection.execute(sql, memories)}


def _traces(vault: Vault, token: str, nums: set[int]) -> dict[str, list[bytes]]:
    """The bytes that must not be found afterwards, by what they are."""
    (stem,) = analyze(token)
    numbers = ",".join(map(str, sorted(nums)))
    with vault._database.read() as connection:

        def column(sql: str) -> list[bytes]:
            return [row[0][:40] for row in connection.execute(sql)]

        return {
            "token": [token.encode()],
            "stem": [stem.encode()],
            "ciphertext": column(f"SELECT payload FROM record WHERE num IN ({numbers})"),
            "wrapped key": column(f"SELECT wrap FROM record_key WHERE num IN ({numbers})"),
            "vector": column(f"SELECT codes FROM vector WHERE num IN ({numbers})"),
            "mean": [
                mean[:40]
                for mean, members in connection.execute("SELECT mean, nums FROM vector_list")
                if mean and nums & set(np.frombuffer(members, "<i8").tolist())
            ],
        }


def _in_pages(folder: Path, traces: dict[str, list[bytes]]) -> Counter[str]:
    hits: Counter[str] = Counter()
    for page in vault_pages(folder):
        if not page.authentic:
            hits[f"unreadable page in {page.file}"] += 1
        lower = page.plain.lower()
        for what, found in traces.items():
            text = lower if what in {"token", "stem"} else page.plain
            hits[f"{what} in {page.file}"] += sum(trace in text for trace in found)
    return +hits


def _in_tables(vault: Vault, stem: str, nums: set[int]) -> Counter[str]:
    hits: Counter[str] = Counter()
    numbers = ",".join(map(str, sorted(nums)))
    with vault._database.read() as connection:
        for table in _BY_NUMBER:
            sql = f"SELECT num FROM {table} WHERE num IN ({numbers})"
            hits[f"number in {table}"] += len(connection.execute(sql).fetchall())
        for (members,) in connection.execute("SELECT nums FROM vector_list").fetchall():
            hits["number in vector_list"] += len(nums & set(np.frombuffer(members, "<i8").tolist()))
        sql = "SELECT 1 FROM posting WHERE term = ?"
        hits["stem in posting"] += len(connection.execute(sql, (stem,)).fetchall())
        for (terms,) in connection.execute("SELECT terms FROM fresh").fetchall():
            hits["stem in fresh"] += stem in msgspec.msgpack.decode(terms)
    return +hits


@contextmanager
def _scrubbing(how: Scrub) -> Iterator[None]:
    """Replace the scrub by nothing, or by the checkpoint alone."""

    def none(_: Database) -> bool:
        return True

    def secure_delete(database: Database) -> bool:
        connection = database._take()
        done = False
        while not done:  # it is refused at once while the writer thread does a checkpoint
            with suppress(apsw.BusyError):
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                done = True
        database._pool.put(connection)
        return True

    stand_in = {"none": none, "secure_delete": secure_delete}.get(how)
    with patch.object(Database, "scrub", stand_in) if stand_in else nullcontext():
        yield


def _read_on(connection: Connection, folder: Path, token: str) -> None:
    """A process that recalls the token again and again until it is told to stop."""
    with Vault.open(folder, embedder=FakeEmbedder()) as vault:
        vault.recall(token)
        connection.send("ready")
        while not connection.poll():
            vault.recall(token)
    connection.send("done")


@contextmanager
def _reader(folder: Path, token: str, *, reading: bool) -> Iterator[None]:
    if not reading:
        yield
        return
    with child(_read_on, folder, token) as (_, connection):
        assert connection.recv() == "ready"
        yield
        connection.send("stop")
        assert connection.recv() == "done"


def trial(seed: int, reading: bool, scrub: Scrub = "full") -> Residue:  # noqa: FBT001
    """Remember, forget, and seek."""
    random, residue = Random(seed), Residue(trials=1)
    token = _token(random)
    (stem,) = analyze(token)
    with (
        scratch() as place,
        patch("haulout.index.lexical.SEAL_AT", _SEAL_AT),
        patch("haulout.index.lists.DIVIDED_FROM", _DIVIDED_FROM),
        _scrubbing(scrub),
        Vault.create(place / "vault", embedder=FakeEmbedder())[0] as vault,
    ):
        rare, nums = _fill(vault, token, random)
        assert len(nums) == _COPIES + 1
        traces = _traces(vault, token, nums)
        assert all(traces.values()), "everything sought was there before"
        there = _in_tables(vault, stem, nums)
        assert len(there) > 3
        assert there["number in vector_list"] >= len(nums)
        with _reader(place / "vault", token, reading=reading):
            receipt = vault.forget(rare)
        if receipt.pending:
            residue.pending += 1
            report = vault.check()
            residue.cleared += bool(report.cleared)
            residue.wrong += report.problems
        residue.hits += _in_tables(vault, stem, nums)
        residue.hits += _in_pages(place / "vault", traces)
        if vault.recall(token, limit=5, explain=True) and any(
            token in one.memory.text for one in vault.recall(token)
        ):
            residue.wrong.append("a forgotten memory was recalled")
    return residue


def _trials(count: int, seed: int, reading: bool, scrub: Scrub) -> Residue:  # noqa: FBT001
    residue = Residue()
    for number in range(count):
        residue += trial(seed * 1000 + number, reading, scrub)
    return residue


def run(*, trials: int, jobs: int = 1) -> dict[str, Residue]:
    """Trials with and without a reading process, and the controls."""
    results: dict[str, Residue] = {}
    for name, reading, scrub in (
        ("forget", False, "full"),
        ("forget beside a reader", True, "full"),
        ("control: no scrub", False, "none"),
        ("control: secure_delete alone", False, "secure_delete"),
    ):
        results[name] = Residue()
        arguments: list[Any] = [(5, seed, reading, scrub) for seed in range(trials // 5)]
        for part in spread(_trials, arguments, jobs):
            results[name] += part
    return results
