"""LangGraph's SqliteStore behind the runner's protocol, vectors given (sqlite-vec inside)."""

from __future__ import annotations

from pathlib import Path

from langgraph.store.base import PutOp
from langgraph.store.sqlite import SqliteStore
from runner import DIMENSIONS, Corpus, Store, serve

_BATCH = 500
_PLACE = ("owner",)
_FIELDS = ["text"]


class LangGraph(Store):
    def open(self, folder: Path, corpus: Corpus) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._corpus = corpus
        self._place = {text: n for n, text in enumerate(corpus.texts)}
        self._asked = {text: n for n, text in enumerate(corpus.questions)}
        self._context = SqliteStore.from_conn_string(
            str(folder / "store.db"),
            index={"dims": DIMENSIONS, "embed": self._embed},
        )
        self._store = self._context.__enter__()
        self._store.setup()

    def _embed(self, texts: list[str]) -> list[list[float]]:
        return [
            self._corpus.vector(self._place[text])
            if text in self._place
            else self._corpus.question_vector(self._asked[text])
            for text in texts
        ]

    def write(self, number: int) -> None:
        text = self._corpus.texts[number]
        self._store.put(_PLACE, str(number), {"text": text}, index=_FIELDS)

    def fill(self, start: int, count: int) -> None:
        for first in range(start, start + count, _BATCH):
            self._store.batch(
                PutOp(_PLACE, str(n), {"text": self._corpus.texts[n]}, index=_FIELDS)
                for n in range(first, min(first + _BATCH, start + count))
            )

    def recall(self, number: int, limit: int) -> int:
        return len(self._store.search(_PLACE, query=self._corpus.questions[number], limit=limit))

    def close(self) -> None:
        self._context.__exit__(None, None, None)


if __name__ == "__main__":
    serve(LangGraph())
