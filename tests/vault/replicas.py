"""Replicas of vaults with volumes in memory, and stores between them that do as they are told."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vault.publishing import digest

from haulout import Vault
from haulout.vault.stores.remote import OPENERS


class Between:
    """A store with some of its calls replaced: ``name=function(store, *arguments)``."""

    def __init__(self, inner: Any, **instead: Callable[..., Any]) -> None:
        self._inner, self._instead = inner, instead

    def __getattr__(self, name: str) -> Any:
        if name in self._instead:
            return lambda *given: self._instead[name](self._inner, *given)
        return getattr(self._inner, name)


def between(replica: Vault, **instead: Callable[..., Any]) -> None:
    """Put something between a replica and its stores; nothing is between them again without."""

    def opened(settings: str, credentials: Mapping[str, str], *given: Any) -> Any:
        return Between(OPENERS["volumes"](settings, credentials, *given), **instead)

    with replica._remote._threads:
        for _, store in replica._remote._open.values():
            store.close()
        replica._remote._open.clear()
    replica._remote._openers = OPENERS if not instead else {"volumes": opened}


def replica_of(vault: Vault, words: str, folder: Path, **arguments: Any) -> Vault:
    """A replica of a vault that was synced."""
    return Vault.replicate(vault.locator(), folder, kit=words, **({"embedder": "none"} | arguments))


def answers(vault: Vault, queries: tuple[str | None, ...] = ()) -> list[Any]:
    """What a vault answers to many questions, with every addend."""
    asked = queries or QUERIES
    found: list[Any] = []
    for query in asked:
        for namespace in (None, "work/**"):
            rows = vault.recall(query, namespace=namespace, limit=30, explain=True)
            found.append([(row.memory.id, row.memory.text, row.score, row.why) for row in rows])
    return found


def same(one: Vault, other: Vault, folder: Path) -> bool:
    """Whether two copies hold and answer the same."""
    assert digest(one, folder) == digest(other, folder)
    assert answers(one) == answers(other)
    return True


WORDS = ("walnut", "pecan", "Ana", "Porto", "Lisbon", "rent", "boat", "key", "tea", "red", "blue")
QUERIES: tuple[str | None, ...] = (
    None, "walnut", "Ana", "where is the red boat", "tea rent", "key", "Lisbon Porto", "blue pecan",
)  # fmt: skip


class Owner:
    """Does to a vault what owners do, by chance and with a seed."""

    def __init__(self, vault: Vault, seed: int) -> None:
        self.vault, self.chance = vault, random.Random(seed)
        self.hidden: list[str] = []

    def _one(self) -> Any:
        found = self.vault.list(limit=1000).memories
        return self.chance.choice(found) if found else None

    def _text(self) -> str:
        return " ".join(self.chance.choices(WORDS, k=self.chance.randint(1, 6)))

    def remember(self) -> None:
        space = self.chance.choice(["default", "work", "work/acme"])
        speaker = self.chance.choice([None, "Ana", "assistant"])
        session = self.chance.choice([None, "s1", "s2"])
        self.vault.remember(self._text(), namespace=space, speaker=speaker, session=session)

    def many(self) -> None:
        self.vault.remember_many([{"text": self._text()} for _ in range(self.chance.randint(2, 9))])

    def update(self) -> None:
        if one := self._one():
            self.vault.update(one.id, self._text())

    def forget(self) -> None:
        if one := self._one():
            self.vault.forget(one.id)

    def hide(self) -> None:
        if one := self._one():
            self.hidden.append(self.vault.forget(one.id, level="hidden").op_id)

    def undo(self) -> None:
        if self.hidden:
            self.vault.undo(self.hidden.pop())

    def attach(self) -> None:
        data = self.chance.randbytes(self.chance.randint(1, 3000))
        self.vault.remember(self._text(), attach=data, attach_name="a.bin")

    def do(self, name: str) -> None:
        getattr(self, name)()


DEEDS = ("remember", "many", "update", "forget", "hide", "undo", "attach")
