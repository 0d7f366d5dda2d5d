"""Haulout behind the runner's protocol. `--words` keeps memories without vectors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from runner import Corpus, Store, serve

from haulout import Recalled, Vault
from haulout.index import nearness

_LEAST_SAMPLED = nearness.LEAST_SAMPLED


class Haulout(Store):
    def __init__(self, *, words: bool) -> None:
        self._words = words

    def open(self, folder: Path, corpus: Corpus) -> None:
        self._corpus = corpus
        if (folder / "vault.json").exists():
            self._vault = Vault.open(folder, embedder="none")
        else:
            self._vault, _ = Vault.create(folder, embedder="none")

    def _item(self, number: int) -> dict[str, Any]:
        item: dict[str, Any] = {"text": self._corpus.texts[number]}
        if not self._words:
            item["vector"] = memoryview(self._corpus.vector_bytes(number)).cast("f")
        return item

    def write(self, number: int) -> None:
        self._vault.remember(**self._item(number))

    def fill(self, start: int, count: int) -> None:
        self._vault.remember_many(self._item(n) for n in range(start, start + count))

    def recall(self, number: int, limit: int) -> int:
        return len(self._recalled(number, limit))

    def answer(self, number: int, limit: int) -> list[str]:
        return [one.memory.id for one in self._recalled(number, limit)]

    def _recalled(self, number: int, limit: int) -> list[Recalled]:
        vector = None if self._words else self._corpus.question_vector(number)
        return self._vault.recall(self._corpus.questions[number], vector=vector, limit=limit)

    def settle(self) -> None:
        self._vault.catch_up()

    def rebuild(self) -> None:
        self._vault.rebuild()

    def compare_all(self, *, exact: bool) -> None:
        nearness.LEAST_SAMPLED = 1 << 60 if exact else _LEAST_SAMPLED

    def close(self) -> None:
        self._vault.close()

    def facts(self) -> dict[str, Any]:
        """Bytes of one memory's record, which the bare commit beside it writes as one row."""
        with self._vault._database.read() as connection:  # noqa: SLF001 - what a row weighs
            row = connection.execute(
                "SELECT avg(length(r.header) + length(r.signature) + length(r.payload)"
                " + length(k.wrap)) FROM record r JOIN record_key k ON k.num = r.num"
            ).fetchone()
        return {"row_bytes": round(row[0] or 0)}


if __name__ == "__main__":
    serve(Haulout(words="--words" in sys.argv))
