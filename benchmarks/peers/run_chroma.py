"""Chroma behind the runner's protocol: its persistent client, vectors given, cosine."""

from __future__ import annotations

from pathlib import Path

import chromadb
from chromadb.config import Settings
from runner import Corpus, Store, serve

_BATCH = 5_000


class Chroma(Store):
    def open(self, folder: Path, corpus: Corpus) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._corpus = corpus
        client = chromadb.PersistentClient(
            str(folder / "chroma"), Settings(anonymized_telemetry=False)
        )
        self._collection = client.get_or_create_collection(
            "memories",
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine"}},
        )

    def write(self, number: int) -> None:
        self._add(number, number + 1)

    def fill(self, start: int, count: int) -> None:
        for first in range(start, start + count, _BATCH):
            self._add(first, min(first + _BATCH, start + count))

    def _add(self, start: int, end: int) -> None:
        numbers = range(start, end)
        self._collection.add(
            ids=[str(number) for number in numbers],
            embeddings=[self._corpus.vector(number) for number in numbers],
            documents=[self._corpus.texts[number] for number in numbers],
        )

    def answer(self, number: int, limit: int) -> list[str]:
        found = self._collection.query(
            query_embeddings=[self._corpus.question_vector(number)],
            n_results=limit,
            include=["documents"],
        )
        return found["ids"][0]


if __name__ == "__main__":
    serve(Chroma())
