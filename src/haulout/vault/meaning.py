"""Meaning: the embedder a vault uses, and the queue of memories that wait for their vectors.

A write only queues; a recall first embeds the newest of what waits, so that what was just
remembered is found by meaning at once. What is left is caught up with by `catch_up`.
"""

from __future__ import annotations

import threading
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

from haulout.errors import ModelError
from haulout.index import vectors
from haulout.index.models import open_embedder
from haulout.vault.arguments import Progress
from haulout.vault.dividing import divide_where_due
from haulout.vault.opening import Parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from haulout.index.embed import Embedder

_DRAINED_BY_A_RECALL = 16
"""At 2.3 ms a short text: what a recall may spend on others' vectors, 40 ms."""
_DRAINED_AT_ONCE = 64
_QUERIES_KEPT = 256


class WordsOnlyWarning(UserWarning):
    """The embedding model could not be used: this recall went by words alone."""


class Meaning:
    """One open vault's embedder, found when it is first needed."""

    def __init__(self, parts: Parts, setting: Embedder | str) -> None:
        self._parts, self._setting = parts, setting
        self._lock = threading.Lock()
        self._known = False
        self._found: Embedder | None = None
        self._query_vector = lru_cache(maxsize=_QUERIES_KEPT)(self._embed_query)

    def _embedder(self) -> Embedder | None:
        with self._lock:
            if not self._known:
                models = self._parts.folder / "models" if self._parts.folder else None
                setting = self._setting
                found = open_embedder(setting, models) if isinstance(setting, str) else setting
                if found is not None:
                    name, vault = found.model, self._parts.vault
                    self._parts.database.write(
                        lambda connection: vectors.queue_for_model(connection, vault, name)
                    )
                self._found, self._known = found, True
            return self._found

    @property
    def model(self) -> str | None:
        """The identity of the model in use, or None: recall is by words."""
        embedder = self._embedder()
        return embedder.model if embedder else None

    def of_query(self, query: str) -> tuple[NDArray[np.float32] | None, str | None]:
        """A question's vector and its model, or (None, None) where there is no model."""
        try:
            embedder = self._embedder()
            if embedder is None:
                return None, None
            self._drain(embedder, _DRAINED_BY_A_RECALL)
            return self._query_vector(query), embedder.model
        except ModelError as error:
            warnings.warn(f"Recalling by words alone. {error}", WordsOnlyWarning, stacklevel=3)
            return None, None

    def catch_up(self, progress: Progress | None) -> int:
        """Embed everything that waits, and divide vectors that have become very many into lists.

        Returns:
            how many were embedded.
        """
        embedder, done = self._embedder(), 0
        while embedder is not None and (drained := self._drain(embedder, _DRAINED_AT_ONCE)):
            done += drained
            if progress:
                with self._parts.database.read() as connection:
                    progress(done, done + vectors.waiting(connection, self._parts.vault))
        divide_where_due(self._parts)
        return done

    def _drain(self, embedder: Embedder, limit: int) -> int:
        """Embed the newest of the waiting versions; return how many."""
        with self._parts.database.read() as connection:
            batch = vectors.newest_waiting(connection, self._parts.vault, embedder.model, limit)
        if batch:
            rows = vectors.embed_all(embedder, batch)
            self._parts.database.write(
                lambda connection: vectors.keep(connection, self._parts.vault, embedder.model, rows)
            )
        return len(batch)

    def _embed_query(self, query: str) -> NDArray[np.float32]:
        assert self._found is not None, "of_query asks for the embedder first"
        return self._found.embed([query])[0]
