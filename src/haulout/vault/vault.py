"""`Vault`: everything one owner holds, behind the public verbs.

How one is made or opened stands here; the verbs are in `remembering`, `recalling`,
`attaching` and `keeping`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from haulout.crypto.kit import RecoveryKit
from haulout.errors import InputError
from haulout.vault import backup, inspection, opening
from haulout.vault.arguments import Progress, silent
from haulout.vault.attaching import Attaching
from haulout.vault.keeping import Keeping
from haulout.vault.onwalrus import OnWalrus
from haulout.vault.opening import World
from haulout.vault.recalling import Recalling
from haulout.vault.remembering import Remembering
from haulout.vault.replica.note import MOST_BYTES
from haulout.vault.replicating import Replicating
from haulout.vault.stating import Stating
from haulout.vault.stores import remote, restoring
from haulout.vault.syncing import Syncing

if TYPE_CHECKING:
    from haulout.index.embed import Embedder
    from haulout.vault.stores.storeoptions import StoreOptions


class Vault(Remembering, Recalling, Attaching, Keeping, Syncing, OnWalrus, Replicating, Stating):
    """An open vault, as its owner.

    Make one with `create`, `open` or `ephemeral`; close it, or use it in a ``with`` block.
    Any number of processes and threads may hold the same vault open and write to it.
    """

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        passphrase: str | None = None,
        embedder: Embedder | str = "auto",
        credentials: Mapping[str, str] | None = None,
        store_options: StoreOptions | None = None,
        world: World | None = None,
    ) -> tuple[Self, RecoveryKit]:
        """Make a new vault and return it with its recovery kit: 24 words to write down.

        Args:
            path: its folder; `$HAULOUT_HOME` or `~/.haulout` where none is given.
            passphrase: protects the device's key file; without one its mode 0600 does.
            embedder: "auto", "none", a model folder, an OpenAI-compatible URL, or an `Embedder`.
            credentials: what stores want beside a URL, such as ``s3.access_key_id``; they are
                kept in memory and written nowhere.
            store_options: limits on what stores may take of the line.
            world: clock, randomness and SQLite VFS; for tests.

        Raises:
            VaultExistsError, ReadOnlyError, DiskFullError, StorageError: nothing was made.
        """
        folder = opening.default_folder() if path is None else Path(path).expanduser()
        parts, kit = opening.create(folder, passphrase=passphrase, world=world or World())
        return cls(parts, embedder, credentials, store_options), kit

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        passphrase: str | None = None,
        embedder: Embedder | str = "auto",
        credentials: Mapping[str, str] | None = None,
        store_options: StoreOptions | None = None,
        world: World | None = None,
    ) -> Self:
        """Open a vault. Arguments as for `create`.

        Raises:
            VaultMissingError: there is none; VaultLockedError: the key does not open it;
            VaultVersionError, DamagedError, StorageError: as they say. Nothing is lost.
        """
        folder = opening.default_folder() if path is None else Path(path).expanduser()
        if folder.is_file():
            message = f"{folder} is a file; a vault is a folder."
            raise InputError(message, hint="A backup is opened with `haulout restore`.")
        parts = opening.open_folder(folder, passphrase=passphrase, world=world or World())
        inspection.rebuild_if_stale(parts)
        return cls(parts, embedder, credentials, store_options)

    @classmethod
    def ephemeral(cls, *, embedder: Embedder | str = "none", world: World | None = None) -> Self:
        """A vault in memory: the same code and encryption, gone when closed."""
        parts, _ = opening.create(None, passphrase=None, world=world or World())
        return cls(parts, embedder)

    @classmethod
    def restore(
        cls,
        source: str | os.PathLike[str],
        path: str | os.PathLike[str] | None = None,
        *,
        kit: RecoveryKit | str,
        passphrase: str | None = None,
        embedder: Embedder | str = "auto",
        credentials: Mapping[str, str] | None = None,
        store_options: StoreOptions | None = None,
        world: World | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Make a vault from a backup file, or from its stores, with the recovery kit.

        This machine becomes a device of it. `restored` of the vault says what came back from
        stores, and what did not, by name.

        Args:
            source: what `backup` wrote, or a locator: its text, or a file that holds it.
            path: folder of the new vault; the default place where none is given.
            kit: the 24 words. The rest as for `create`.
            progress: called with records done and their number, for stores only.

        Raises:
            VaultExistsError: a vault stands at ``path``; VaultLockedError: the kit is of
            another vault; DamagedError: the backup was changed; InputError: it is neither;
            NotFoundError: the stores hold no head of this vault; StorageError: none answers.
        """
        words = RecoveryKit.from_words(kit) if isinstance(kit, str) else kit
        folder = opening.default_folder() if path is None else Path(path).expanduser()
        given, around = credentials or {}, world or World()
        locator = remote.locator_in(source)
        if locator is None:
            parts = backup.restore(
                Path(source), folder, kit=words, passphrase=passphrase, world=around
            )
            return cls(parts, embedder, credentials, store_options)
        with remote.located(locator, given, store_options) as stores:
            parts, restored = restoring.restore(
                stores, folder, kit=words, passphrase=passphrase, world=around,
                reopen=lambda kind, text: remote.OPENERS[kind](text, given, store_options),
                report=progress or silent,
            )  # fmt: skip
        vault = cls(parts, embedder, credentials, store_options)
        vault.restored = restored
        return vault

    @classmethod
    def replicate(
        cls,
        source: str | os.PathLike[str],
        path: str | os.PathLike[str] | None = None,
        *,
        kit: RecoveryKit | str,
        most_bytes: int = MOST_BYTES,
        passphrase: str | None = None,
        embedder: Embedder | str = "auto",
        credentials: Mapping[str, str] | None = None,
        store_options: StoreOptions | None = None,
        world: World | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Make a replica of a vault from its stores: a copy to read near an agent, offline.

        Nothing is written to the vault or its stores, now or later; `refresh` brings what is new.
        The words are not kept. `refreshed` of what is returned says what came.

        Args:
            source: a locator: its text, or a file that holds it.
            path: folder of the replica; the default place where none is given.
            kit: the 24 words. most_bytes: how much of attachments may be kept here; they come
                when they are read. The rest as for `create`.
            progress: called with records taken and their number.

        Raises:
            VaultExistsError: a vault stands at ``path``; VaultLockedError: the kit is of
            another vault; InputError: ``source`` is no locator; NotFoundError: the stores hold
            no head of this vault; StorageError, CodingError: not all of it can be read.
        """
        words = RecoveryKit.from_words(kit) if isinstance(kit, str) else kit
        folder = opening.default_folder() if path is None else Path(path).expanduser()
        given, around = credentials or {}, world or World()
        locator = remote.locator_in(source)
        if locator is None:
            message = "A replica is made from a locator; this is none, nor a file that holds one."
            raise InputError(message, hint="`haulout locator` prints it where the vault is.")
        from haulout.vault.replica import making as replicamaking

        with remote.located(locator, given, store_options) as stores:
            parts, made = replicamaking.make(
                stores, folder, given=remote.places(locator), kit=words, passphrase=passphrase,
                reopen=lambda kind, text: remote.OPENERS[kind](text, given, store_options),
                most_bytes=most_bytes, world=around, report=progress or silent,
            )  # fmt: skip
        vault = cls(parts, embedder, credentials, store_options)
        vault.refreshed = made
        return vault
