"""`AsyncVault`: `Vault` with every verb awaited, for programs with an event loop.

Made from the modules of `Vault` by tools/async_vault.py: change those, then run the program.
"""

# ruff: noqa: A002 - the words callers know

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from haulout.crypto.kit import RecoveryKit
from haulout.index.context import Context
from haulout.index.search import Recalled
from haulout.log.memory import Memory
from haulout.vault.arguments import Progress
from haulout.vault.attachments.sources import Source
from haulout.vault.awaiting import Awaiting
from haulout.vault.awaitingstates import AwaitingStates
from haulout.vault.opening import World
from haulout.vault.replica.note import MOST_BYTES
from haulout.vault.stores.standing import Wait
from haulout.vault.threads import Opening, Threads, made, on_loop
from haulout.vault.values import Event, Level, Page, Receipt, Stats
from haulout.vault.vault import Vault

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from haulout.index.embed import Embedder
    from haulout.vault.stores.storeoptions import StoreOptions


class AsyncVault(Awaiting, AwaitingStates):
    """An open vault, as its owner, for asyncio: the verbs of `Vault`, awaited.

    ``async with AsyncVault.open() as vault:`` opens and closes it; ``await AsyncVault.open()``
    leaves the closing to you. Each call runs on a thread of the vault's own, at most 32 at
    once, so that the event loop never waits for a disk; writes under way together share commits.
    Errors and warnings are those of `Vault`.

    Cancelling: a call that waits for a thread is not begun. One that runs goes on to its end and
    nobody hears of it, so a cancelled write may have been kept: give it an ``op_id`` and repeat
    it. What was returned was kept, as always. ``aclose`` waits for everything under way.

    ``progress`` is called on the event loop, in order, before the call returns; an error of it
    goes to the loop's exception handler. What is passed in, such as the items of
    `remember_many`, is read on the thread.
    """

    def __init__(self, vault: Vault) -> None:
        """Await the verbs of a vault that is open already; `aclose` closes it."""
        self._vault, self._threads = vault, Threads()

    @classmethod
    async def _opened(cls, call: Callable[[], Vault]) -> Self:
        return cls(await made(call, Vault.close))

    @property
    def vault(self) -> Vault:
        """The same vault with its verbs not awaited, for code that has a thread of its own."""
        return self._vault

    async def aclose(self) -> None:
        """Take no more calls, wait for those under way, and close. Closing twice is fine."""
        await self._threads.end(self._vault.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return repr(self._vault).replace("Vault", "AsyncVault", 1)

    @classmethod
    async def create(
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

        def call() -> tuple[Vault, RecoveryKit]:
            return Vault.create(
                path,
                passphrase=passphrase,
                embedder=embedder,
                credentials=credentials,
                store_options=store_options,
                world=world,
            )

        vault, beside = await made(call, lambda pair: pair[0].close())
        return cls(vault), beside

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
    ) -> Opening[Self]:
        """Open a vault. Arguments as for `create`.

        Raises:
            VaultMissingError: there is none; VaultLockedError: the key does not open it;
            VaultVersionError, DamagedError, StorageError: as they say. Nothing is lost.
        """

        def call() -> Vault:
            return Vault.open(
                path,
                passphrase=passphrase,
                embedder=embedder,
                credentials=credentials,
                store_options=store_options,
                world=world,
            )

        return Opening(lambda: cls._opened(call))

    @classmethod
    def ephemeral(
        cls, *, embedder: Embedder | str = "none", world: World | None = None
    ) -> Opening[Self]:
        """A vault in memory: the same code and encryption, gone when closed."""

        def call() -> Vault:
            return Vault.ephemeral(embedder=embedder, world=world)

        return Opening(lambda: cls._opened(call))

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
    ) -> Opening[Self]:
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

        def call() -> Vault:
            return Vault.restore(
                source,
                path,
                kit=kit,
                passphrase=passphrase,
                embedder=embedder,
                credentials=credentials,
                store_options=store_options,
                world=world,
                progress=on_loop(progress),
            )

        return Opening(lambda: cls._opened(call))

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
    ) -> Opening[Self]:
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

        def call() -> Vault:
            return Vault.replicate(
                source,
                path,
                kit=kit,
                most_bytes=most_bytes,
                passphrase=passphrase,
                embedder=embedder,
                credentials=credentials,
                store_options=store_options,
                world=world,
                progress=on_loop(progress),
            )

        return Opening(lambda: cls._opened(call))

    @property
    def path(self) -> Path | None:
        """The vault's folder, or None for one in memory."""
        return self._vault.path

    @property
    def id(self) -> str:
        """The vault's ID: 32 hexadecimal digits, bound to the owner's root key."""
        return self._vault.id

    @property
    def is_replica(self) -> bool:
        """Whether this is a copy that is read and never written to."""
        return self._vault.is_replica

    async def remember(
        self,
        text: str,
        *,
        namespace: str = "default",
        kind: str | None = None,
        speaker: str | None = None,
        session: str | None = None,
        occurred_at: datetime | str | None = None,
        valid_from: datetime | str | None = None,
        valid_until: datetime | str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        source: str | None = None,
        vector: ArrayLike | None = None,
        attach: Source | None = None,
        attach_name: str | None = None,
        op_id: str | None = None,
        wait: Wait = "local",
        progress: Progress | None = None,
    ) -> Memory:
        """Keep something. When this returns it is durable here and found by its words.

        Args:
            text: what to keep, 1 byte to 1 MiB.
            namespace: the part of the vault it belongs to, such as ``work/acme``.
            kind: what it is: note (where none is given), fact, preference, document, ...
            speaker: who said it; session: the conversation it is part of.
            occurred_at: when it happened; valid_from, valid_until: when it is true. Times
                need a timezone.
            tags: labels; metadata: a JSON object; source: where it comes from.
            vector: an embedding you computed; recall then takes one from you as well.
            attach: a file's path, bytes or a binary stream, up to 2^40 bytes, which `attachment`
                reads back; words in text files, 16 MiB of each at most, are recalled too.
            attach_name: what it is called; the file's name where none is given.
            op_id: makes the call safe to repeat: the same ID and arguments give the first
                result again. An attach that broke off goes on where it stopped.
            wait: "remote" publishes at once and returns when every store has it, too; where one
                does not take it, the answer says "local" and a `NotRemoteWarning` says why.
            progress: called with bytes attached and their number, where it is known.

        Raises:
            InputError, LimitError: an argument is wrong, or nothing could become remote because
            there is no store; nothing is kept. OperationReusedError: the ID was used
            for something else. ErasedError: what it wrote was erased. StorageError: not kept.
        """
        return await self._threads.run(
            self._vault.remember,
            text,
            namespace=namespace,
            kind=kind,
            speaker=speaker,
            session=session,
            occurred_at=occurred_at,
            valid_from=valid_from,
            valid_until=valid_until,
            tags=tags,
            metadata=metadata,
            source=source,
            vector=vector,
            attach=attach,
            attach_name=attach_name,
            op_id=op_id,
            wait=wait,
            progress=on_loop(progress),
        )

    async def remember_many(
        self,
        items: Iterable[Mapping[str, Any]],
        *,
        wait: Wait = "local",
        progress: Progress | None = None,
    ) -> list[Memory]:
        """Keep many things, with one commit for every 500 of them.

        Args:
            items: mappings of `remember`'s arguments, but ``attach`` and ``wait``.
            wait: as for `remember`; stores get everything after the last commit.
            progress: called after each commit with the number kept so far and the total,
                where it is known.

        Raises:
            As `remember`; the message names the item. Earlier batches stay; an item whose
            operation ID was erased is answered with ``erased=True`` and written no more.
        """
        return await self._threads.run(
            self._vault.remember_many, items, wait=wait, progress=on_loop(progress)
        )

    async def update(
        self,
        id: str,
        text: str | msgspec.UnsetType = msgspec.UNSET,
        *,
        op_id: str | None = None,
        wait: Wait = "local",
        **changes: Any,
    ) -> Memory:
        """Correct or replace what a memory says. The old version stays answerable with `as_of`.

        Args:
            id: the memory; ``text``: its new words.
            op_id, wait: as for `remember`.
            changes: any other of `remember`'s arguments but namespace; what is not given stays
                as it is. ``valid_from`` says since when the new version is true; the old one
                is taken to have been true up to then.

        Raises:
            NotFoundError, ErasedError: there is no such memory (any more). InputError: an
            argument is wrong, or nothing is changed. Otherwise as `remember`.
        """
        return await self._threads.run(
            self._vault.update,
            id,
            text,
            op_id=op_id,
            wait=wait,
            **changes,
        )

    async def forget(
        self,
        target: str | Sequence[str] | Mapping[str, Any],
        *,
        level: Level = "destroyed",
        namespace: str | None = None,
        op_id: str | None = None,
    ) -> Receipt:
        """Forget memories, with all their versions, and say on a receipt how far that went.

        Args:
            target: an ID, several IDs, or a filter (docs/spec/filter.md).
            level: "hidden" (undo brings it back), "destroyed" (keys, ciphertext and index
                entries gone from this disk; stores follow with the next sync) or "everywhere"
                (stores follow at once, as far as they answer and can).
            namespace: limits a filter to a namespace or a subtree such as ``work/**``.
            op_id: as for `remember`.

        Raises:
            NotFoundError, ErasedError: an ID is unknown, or erased already. InputError.
        """
        return await self._threads.run(
            self._vault.forget, target, level=level, namespace=namespace, op_id=op_id
        )

    async def undo(self, op_id: str) -> Receipt:
        """Take an operation back: a remember is hidden, an update reversed, a hiding ended.

        Args:
            op_id: the operation's ID, as given or as found on what it returned.

        Raises:
            NotFoundError: no such operation; ConflictError: a later write stands on it;
            ErasedError: it erased for good.
        """
        return await self._threads.run(self._vault.undo, op_id)

    async def recall(
        self,
        query: str | None = None,
        *,
        vector: ArrayLike | None = None,
        namespace: str | None = None,
        limit: int = 10,
        as_of: datetime | str | None = None,
        valid_at: datetime | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        tags: Sequence[str] = (),
        filter: Mapping[str, Any] | None = None,
        explain: bool = False,
    ) -> list[Recalled]:
        """Find what answers a question, best first; without one, the newest memories.

        Args:
            query: the question, in words.
            vector: the question's embedding, where memories were kept with vectors of yours.
            namespace: a namespace, a subtree such as ``work/**``, or None for everything.
            limit: at most so many, 1 to 1,000.
            as_of: answer with what was recorded by then; valid_at: with what was true then.
            since, until: only what happened in [since, until).
            tags: only memories with all of these; filter: docs/spec/filter.md.
            explain: fill in `.why`, the addends of each score.

        Raises:
            InputError, LimitError, FilterError: an argument is wrong.
        """
        return await self._threads.run(
            self._vault.recall,
            query,
            vector=vector,
            namespace=namespace,
            limit=limit,
            as_of=as_of,
            valid_at=valid_at,
            since=since,
            until=until,
            tags=tags,
            filter=filter,
            explain=explain,
        )

    async def context(
        self,
        query: str,
        *,
        namespace: str | None = None,
        budget: int = 1000,
        without: Sequence[str] = (),
    ) -> Context:
        """Recall, packed for a prompt: cited lines inside an envelope, in at most so many tokens.

        Args:
            query, namespace: as for `recall`; ``budget``: tokens, estimated, 1 to 1,000,000.
            without: texts that the prompt holds already; memories that say no more are left out.
        """
        return await self._threads.run(
            self._vault.context, query, namespace=namespace, budget=budget, without=without
        )

    async def get(self, id: str) -> Memory:
        """The newest version of one memory.

        Raises:
            NotFoundError: none, or it was forgotten; ErasedError: it was erased.
        """
        return await self._threads.run(self._vault.get, id)

    async def resolve(self, prefix: str, *, of: Literal["memory", "operation"] = "memory") -> str:
        """The whole ID of the one memory (or operation) whose ID begins so.

        Args:
            prefix: at least 6 of the ID's 26 characters; ``of``: what the ID is of.

        Raises:
            NotFoundError: there is none; ConflictError: there are several. InputError: too short.
        """
        return await self._threads.run(self._vault.resolve, prefix, of=of)

    async def list(
        self,
        *,
        namespace: str | None = None,
        limit: int = 50,
        after: str | None = None,
        tags: Sequence[str] = (),
        filter: Mapping[str, Any] | None = None,
    ) -> Page:
        """Memories by age, newest first, a page at a time.

        Args:
            namespace, tags, filter: as for `recall`; ``limit``: 1 to 1,000 a page.
            after: the `next` of the page before.
        """
        return await self._threads.run(
            self._vault.list,
            namespace=namespace,
            limit=limit,
            after=after,
            tags=tags,
            filter=filter,
        )

    async def history(self, id: str) -> list[Event]:
        """Everything that happened to a memory, oldest first, erased ones included.

        Raises:
            NotFoundError: there never was such a memory.
        """
        return await self._threads.run(self._vault.history, id)

    async def namespaces(self) -> list[str]:
        """The names of the namespaces that hold something, sorted."""
        return await self._threads.run(self._vault.namespaces)

    async def stats(self) -> Stats:
        """The vault in figures."""
        return await self._threads.run(self._vault.stats)
