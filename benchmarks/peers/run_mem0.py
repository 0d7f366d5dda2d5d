"""mem0 behind the runner's protocol: `infer=False`, vectors given, its default local store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runner import DIMENSIONS, Corpus, Store, serve


class _Given:
    """An embedder that looks the vector of a text up: no model time is measured."""

    def __init__(self, corpus: Corpus) -> None:
        self._place = {text: n for n, text in enumerate(corpus.texts)}
        self._asked = {text: n for n, text in enumerate(corpus.questions)}
        self._corpus = corpus

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        if memory_action == "search":
            return self._corpus.question_vector(self._asked[text])
        return self._corpus.vector(self._place[text])

    def embed_batch(self, texts: list[str], memory_action: str | None = None) -> list[list[float]]:
        return [self.embed(text, memory_action) for text in texts]


class Mem0(Store):
    def open(self, folder: Path, corpus: Corpus) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["MEM0_DIR"] = str(folder / "home")
        from mem0 import Memory

        remote: dict[str, Any] = {"provider": "openai", "config": {"api_key": "unused"}}
        self._memory = Memory.from_config(
            {
                "vector_store": {
                    "provider": "qdrant",
                    "config": {
                        "path": str(folder / "qdrant"),
                        "on_disk": True,
                        "embedding_model_dims": DIMENSIONS,
                    },
                },
                "history_db_path": str(folder / "history.db"),
                "embedder": remote,
                "llm": remote,
            }
        )
        self._memory.embedding_model = _Given(corpus)
        self._corpus = corpus

    def write(self, number: int) -> None:
        self._memory.add(self._corpus.texts[number], user_id="owner", infer=False)

    def recall(self, number: int, limit: int) -> int:
        question = self._corpus.questions[number]
        found = self._memory.search(
            question, filters={"user_id": "owner"}, top_k=limit, threshold=0.0
        )
        return len(found["results"])

    def close(self) -> None:
        self._memory.close()
        self._memory.vector_store.client.close()


if __name__ == "__main__":
    serve(Mem0())
