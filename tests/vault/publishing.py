"""Vaults with volumes in memory, and a world that stops at any call: for tests of publishing."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from haulout import Vault
from haulout.vault.stores import restoring
from haulout.vault.stores.outbox import Outbox
from haulout.vault.stores.publishing import Publisher
from haulout.vault.stores.volumestore import VolumeStore


class Crash(BaseException):
    """The program ends here."""


class Fuse:
    """Burns down by one at every call of what it is put into, and then ends the program."""

    def __init__(self, calls: int | None) -> None:
        self.left, self.burnt = calls, 0

    def tick(self) -> None:
        self.burnt += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Crash(self.burnt)


class Stopping:
    """Anything, with a fuse before and after some of its methods."""

    def __init__(self, inner: Any, fuse: Fuse, *methods: str) -> None:
        self._inner, self._fuse, self._methods = inner, fuse, methods

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._methods:
            return found

        def call(*given: Any, **named: Any) -> Any:
            self._fuse.tick()
            answer = found(*given, **named)
            self._fuse.tick()
            return answer

        return call


def burning(function: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    """A function with a fuse before and after it."""

    def call(*given: Any, **named: Any) -> Any:
        fuse.tick()
        answer = function(*given, **named)
        fuse.tick()
        return answer

    return call


def silent(_done: int, _total: int | None) -> None:
    """Report to nobody."""


def with_volumes(folder: Path, count: int = 3) -> tuple[Vault, str]:
    """A vault with volumes in memory, and its 24 words."""
    vault, kit = Vault.create(folder, embedder="none")
    vault.add_volumes([f"memory:{secrets.token_hex(8)}" for _ in range(count)])
    return vault, kit.words


def store_of(vault: Vault) -> VolumeStore:
    """The store of a vault's volumes, opened once more."""
    row = vault._remote.row("volumes")
    assert row is not None
    return VolumeStore.open(row.settings, {})


def publisher(vault: Vault, fuse: Fuse | None = None) -> tuple[Publisher, Callable[[], None]]:
    """A publisher of a vault's volumes, with a fuse; and what closes its store."""
    row = vault._remote.row("volumes")
    assert row is not None
    store: Any = store_of(vault)
    parts, outbox, lane = vault._parts, Outbox(vault.path), vault._lane_parts()
    if fuse is None:
        return Publisher(parts, store, row.number, outbox, lane), store.close
    stopping: Any = Stopping(store, fuse, "put", "publish_head", "delete")
    database: Any = Stopping(parts.database, fuse, "write")
    parts = dataclasses.replace(parts, database=database)
    box: Any = Stopping(outbox, fuse, "put", "keep_only")
    return Publisher(parts, stopping, row.number, box, lane), store.close


def restored(vault: Vault, words: str, folder: Path) -> tuple[Vault, restoring.Restored]:
    """A vault made again from the stores of another."""
    found = Vault.restore(vault.locator(), folder, kit=words, embedder="none")
    assert found.restored is not None
    return found, found.restored


def digest(vault: Vault, folder: Path) -> str:
    """The digest of what a vault holds."""
    return vault.export(folder / f"export-{secrets.token_hex(4)}").digest
