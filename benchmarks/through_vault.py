"""The product as a retriever: each conversation in a vault of its own, searched by `recall`."""

from __future__ import annotations

from datetime import UTC

from datasets import Conversation

from haulout import Vault


class VaultRetriever:
    """Remembers every turn of a conversation and recalls from it, encryption and all."""

    def __init__(self, embedder: str = "auto") -> None:
        self._embedder = embedder
        self._vault: Vault | None = None

    def index(self, conversation: Conversation) -> None:
        if self._vault is not None:
            self._vault.close()
        self._vault = Vault.ephemeral(embedder=self._embedder)
        kept = self._vault.remember_many(
            [
                {
                    "text": turn.text,
                    "speaker": turn.speaker,
                    "session": str(turn.session),
                    "occurred_at": turn.occurred_at and turn.occurred_at.replace(tzinfo=UTC),
                }
                for turn in conversation.turns
            ]
        )
        self._turn_of = {m.id: t.id for m, t in zip(kept, conversation.turns, strict=True)}
        self._vault.catch_up()

    def search(self, question: str, k: int) -> list[str]:
        assert self._vault is not None, "index a conversation first"
        found = self._vault.recall(question, limit=k)
        return [self._turn_of[recalled.memory.id] for recalled in found]
