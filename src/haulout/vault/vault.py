"""`Vault`: everything one owner holds, behind the public verbs.

Each verb checks its arguments, sends one job to the database and shapes the answer; what the
job does is in `writing`, what a recall does in `haulout.index.search`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from haulout.crypto.kit import RecoveryKit
from haulout.database.transaction import Transaction
from haulout.errors import InputError, NotFoundError
from haulout.index import memories
from haulout.index.columns import Scope
from haulout.index.context import Context, pack
from haulout.index.search import Query, Recalled, Searcher
from haulout.log.memory import (
    Content,
    Memory,
    checked_content,
    checked_namespace,
    checked_operation_id,
)
from haulout.log.record import id_bytes
from haulout.vault import backup, export, history, inspection, opening, writing
from haulout.vault.arguments import (
    Progress,
    checked_count,
    checked_item,
    checked_query,
    conditions,
    floats,
    request_body,
    silent,
    time_argument,
)
from haulout.vault.backlog import Backlog
from haulout.vault.meaning import Meaning
from haulout.vault.opening import Parts, World
from haulout.vault.values import (
    BackedUp,
    CheckReport,
    Event,
    Exported,
    Level,
    Page,
    Receipt,
    Stats,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from haulout.index.embed import Embedder

BATCH = 500
RECALL_LIMIT = 1000
CONTEXT_BUDGET = 1_000_000
_CONTEXT_CANDIDATES = 60
_SCRUB_BYTES = 512 * 1024 * 1024
_LEVELS = ("hidden", "destroyed", "everywhere")


class Vault:
    """An open vault, as its owner.

    Make one with `create`, `open` or `ephemeral`; close it, or use it in a ``with`` block.
    Any number of processes and threads may hold the same vault open and write to it.
    """

    def __init__(self, parts: Parts, embedder: Embedder | str = "auto") -> None:
        """Wrap an opened vault's parts; callers use `create`, `open` or `ephemeral`."""
        self._parts = parts
        self._database, self._journal = parts.database, parts.journal
        self._searcher = Searcher(parts.vault)
        self._meaning = Meaning(parts, embedder)
        self.backlog = Backlog()  # for programs that wrap others: writes they must not wait for

    # ------------------------------------------------------------------ opening

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        passphrase: str | None = None,
        embedder: Embedder | str = "auto",
        world: World | None = None,
    ) -> tuple[Self, RecoveryKit]:
        """Make a new vault and return it with its recovery kit: 24 words to write down.

        Args:
            path: its folder; `$HAULOUT_HOME` or `~/.haulout` where none is given.
            passphrase: protects the device's key file; without one its mode 0600 does.
            embedder: "auto", "none", a model folder, an OpenAI-compatible URL, or an `Embedder`.
            world: clock, randomness and SQLite VFS; for tests.

        Raises:
            VaultExistsError, ReadOnlyError, DiskFullError, StorageError: nothing was made.
        """
        folder = opening.default_folder() if path is None else Path(path).expanduser()
        parts, kit = opening.create(folder, passphrase=passphrase, world=world or World())
        return cls(parts, embedder), kit

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        passphrase: str | None = None,
        embedder: Embedder | str = "auto",
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
        return cls(parts, embedder)

    @classmethod
    def ephemeral(cls, *, embedder: Embedder | str = "none", world: World | None = None) -> Self:
        """A vault in memory: the same code and encryption, gone when closed."""
        parts, _ = opening.create(None, passphrase=None, world=world or World())
        return cls(parts, embedder)

    @classmethod
    def restore(
        cls,
        file: str | os.PathLike[str],
        path: str | os.PathLike[str] | None = None,
        *,
        kit: RecoveryKit | str,
        passphrase: str | None = None,
        embedder: Embedder | str = "auto",
        world: World | None = None,
    ) -> Self:
        """Make a vault from a backup file and the recovery kit, enrolling this device.

        Args:
            file: what `backup` wrote.
            path: folder of the new vault; the default place where none is given.
            kit: the 24 words. The rest as for `create`.

        Raises:
            VaultExistsError: a vault stands at ``path``; VaultLockedError: the kit is of
            another vault; DamagedError: the backup was changed; InputError: it is none.
        """
        words = RecoveryKit.from_words(kit) if isinstance(kit, str) else kit
        folder = opening.default_folder() if path is None else Path(path).expanduser()
        parts = backup.restore(
            Path(file), folder, kit=words, passphrase=passphrase, world=world or World()
        )
        return cls(parts, embedder)

    def close(self) -> None:
        """Finish what waits and give the files back. Closing twice is fine."""
        self.backlog.finish()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Vault {self._parts.folder or 'in memory'}>"

    @property
    def path(self) -> Path | None:
        """The vault's folder, or None for one in memory."""
        return self._parts.folder

    @property
    def id(self) -> str:
        """The vault's ID: 32 hexadecimal digits, bound to the owner's root key."""
        return self._parts.vault_id.hex()

    # ------------------------------------------------------------------ writing

    def remember(
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
        op_id: str | None = None,
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
            op_id: makes the call safe to repeat: the same ID and arguments give the first
                result again.

        Raises:
            InputError, LimitError: an argument is wrong. OperationReusedError: the ID was used
            for something else. ErasedError: what it wrote was erased. StorageError: not kept.
        """
        item: dict[str, Any] = {
            "kind": kind, "speaker": speaker, "session": session, "occurred_at": occurred_at,
            "valid_from": valid_from, "valid_until": valid_until, "tags": tags,
            "metadata": metadata, "source": source, "vector": vector,
        }  # fmt: skip
        content = checked_content(text, **item)
        place = checked_namespace(namespace)
        operation = None if op_id is None else checked_operation_id(op_id)

        def job(connection: Transaction) -> Memory:
            written = writing.remember(connection, self._journal, place, content, operation)
            return writing.as_memory(connection, written, operation)

        return self._database.write(job)

    def remember_many(
        self, items: Iterable[Mapping[str, Any]], *, progress: Progress | None = None
    ) -> list[Memory]:
        """Keep many things, with one commit for every 500 of them.

        Args:
            items: mappings of `remember`'s arguments.
            progress: called after each commit with the number kept so far and the total,
                where it is known.

        Raises:
            As `remember`; the message names the item. Earlier batches stay; an item whose
            operation ID was erased is answered with ``erased=True`` and written no more.
        """
        total = len(items) if isinstance(items, Sequence) else None
        kept: list[Memory] = []
        batch: list[tuple[str, Content, str | None]] = []
        for number, item in enumerate(items):
            batch.append(checked_item(number, item))
            if len(batch) == BATCH:
                kept += self._remember_batch(batch)
                batch.clear()
                if progress:
                    progress(len(kept), total)
        if batch:
            kept += self._remember_batch(batch)
            if progress:
                progress(len(kept), total)
        return kept

    def _remember_batch(self, batch: Sequence[tuple[str, Content, str | None]]) -> list[Memory]:
        return self._database.write(
            lambda connection: writing.remember_batch(connection, self._journal, batch)
        )

    def update(
        self,
        id: str,  # noqa: A002 - the word callers know
        text: str | msgspec.UnsetType = msgspec.UNSET,
        *,
        op_id: str | None = None,
        **changes: Any,
    ) -> Memory:
        """Correct or replace what a memory says. The old version stays answerable with `as_of`.

        Args:
            id: the memory; ``text``: its new words.
            op_id: as for `remember`.
            changes: any other of `remember`'s arguments but namespace; what is not given stays
                as it is. ``valid_from`` says since when the new version is true; the old one
                is taken to have been true up to then.

        Raises:
            NotFoundError, ErasedError: there is no such memory (any more). InputError: an
            argument is wrong, or nothing is changed. Otherwise as `remember`.
        """
        memory_id = id_bytes(id)
        given = dict(changes) if text is msgspec.UNSET else changes | {"text": text}
        known = set(Content.__struct_fields__)
        if not given or not given.keys() <= known:
            message = f"update takes {', '.join(sorted(known))}; this call gives {sorted(given)}."
            raise InputError(message)
        words = given.get("text", "unchanged")
        checked = checked_content(words, **{k: v for k, v in given.items() if k != "text"})
        fields = {name: getattr(checked, name) for name in given}
        operation = None if op_id is None else checked_operation_id(op_id)

        def job(connection: Transaction) -> Memory:
            written = writing.update(connection, self._journal, memory_id, fields, operation)
            return writing.as_memory(connection, written, operation)

        return self._database.write(job)

    def forget(
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
                entries gone from every live copy) or "everywhere" (from every store, too).
            namespace: limits a filter to a namespace or a subtree such as ``work/**``.
            op_id: as for `remember`.

        Raises:
            NotFoundError, ErasedError: an ID is unknown, or erased already. InputError.
        """
        if level not in _LEVELS:
            message = f"level must be one of {', '.join(_LEVELS)}, not {level!r}."
            raise InputError(message)
        operation = None if op_id is None else checked_operation_id(op_id)
        given = [target] if isinstance(target, str) else target
        if not isinstance(given, Mapping | Sequence):  # pyright: ignore[reportUnnecessaryIsInstance] callers
            message = f"target must be an ID, IDs or a filter, not {type(given).__name__}."
            raise InputError(message)
        if not given:
            message = "forget was given nothing to forget, or a filter that everything meets."
            raise InputError(message, hint='To mean everything, say {"id": {"exists": true}}.')
        targets, request = None, None
        if isinstance(given, Mapping):
            request = request_body(given, namespace)
        else:
            targets = [id_bytes(one) for one in given]

        def job(connection: Transaction) -> Receipt:
            found = targets
            if found is None:
                found = history.matching(connection, self._journal, given, namespace)  # pyright: ignore[reportArgumentType] a mapping here
            receipt = writing.forget(connection, self._journal, found, level, operation, request)
            if level != "hidden" and receipt.memories:
                inspection.note_pending_scrub(connection, self._parts.vault)
            return receipt

        receipt: Receipt = self._database.write(job)
        if operation is not None:
            receipt = msgspec.structs.replace(receipt, op_id=operation)
        if level == "hidden" or not receipt.memories:
            return receipt
        pending = inspection.scrub(self._parts, _SCRUB_BYTES)
        return msgspec.structs.replace(receipt, pending=pending)

    def undo(self, op_id: str) -> Receipt:
        """Take an operation back: a remember is hidden, an update reversed, a hiding ended.

        Args:
            op_id: the operation's ID, as given or as found on what it returned.

        Raises:
            NotFoundError: no such operation; ConflictError: a later write stands on it;
            ErasedError: it erased for good.
        """

        def job(connection: Transaction) -> Receipt:
            num = self._journal.operation(
                connection, self._journal.keychain.operation_mac(checked_operation_id(op_id))
            )
            if num is None:
                with suppress(InputError):  # an ID of the caller's own that wrote nothing
                    num = self._journal.find(connection, id_bytes(op_id))
            if num is None:
                message = f"There is no operation {op_id!r}."
                raise NotFoundError(message)
            return writing.undo(connection, self._journal, self._journal.stored(connection, num))

        return self._database.write(job)

    # ------------------------------------------------------------------ reading

    def recall(
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
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word callers know
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
        checked_count(limit, "limit", RECALL_LIMIT)
        query = checked_query(query)
        given, model = (None, None) if vector is None else (floats(vector), None)
        if given is None and query:
            given, model = self._meaning.of_query(query)

        def asked(connection: Transaction) -> Query:
            moment = time_argument(as_of, "as_of")
            return Query(
                scope=Scope(
                    namespaces=tuple(memories.namespaces(connection, self._parts.vault, namespace)),
                    as_of=moment,
                    valid_at=time_argument(valid_at, "valid_at"),
                ),
                text=query,
                vector=given,
                model=model,
                now=self._journal.now() if moment is None else moment,
                limit=limit,
                since=time_argument(since, "since"),
                until=time_argument(until, "until"),
                conditions=conditions(filter, tags),
            )

        with self._database.read() as connection:
            found = self._searcher.search(connection, asked)
        return found if explain else [msgspec.structs.replace(one, why={}) for one in found]

    def context(
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
        checked_count(budget, "budget", CONTEXT_BUDGET)
        found = self.recall(query, namespace=namespace, limit=_CONTEXT_CANDIDATES)
        return pack(found, budget, secrets.token_hex(8), without)

    def get(self, id: str) -> Memory:  # noqa: A002 - the word callers know
        """The newest version of one memory.

        Raises:
            NotFoundError: none, or it was forgotten; ErasedError: it was erased.
        """
        memory_id = id_bytes(id)
        with self._database.read() as connection:
            _, now = writing.visible_place(connection, self._journal, memory_id)
            return memories.read(connection, [now.num])[0]

    def resolve(self, prefix: str, *, of: Literal["memory", "operation"] = "memory") -> str:
        """The whole ID of the one memory (or operation) whose ID begins so.

        Args:
            prefix: at least 6 of the ID's 26 characters; ``of``: what the ID is of.

        Raises:
            NotFoundError: there is none; ConflictError: there are several. InputError: too short.
        """
        with self._database.read() as connection:
            return history.resolve(connection, self._journal, prefix, of)

    def list(
        self,
        *,
        namespace: str | None = None,
        limit: int = 50,
        after: str | None = None,
        tags: Sequence[str] = (),
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word callers know
    ) -> Page:
        """Memories by age, newest first, a page at a time.

        Args:
            namespace, tags, filter: as for `recall`; ``limit``: 1 to 1,000 a page.
            after: the `next` of the page before.
        """
        checked_count(limit, "limit", RECALL_LIMIT)
        with self._database.read() as connection:
            before = None
            if after is not None and (before := self._journal.find(connection, id_bytes(after))) is None:  # fmt: skip  # noqa: E501
                message = f"{after!r} is not the `next` of a page."
                raise InputError(message)
            nums = memories.matching(
                connection,
                self._parts.vault,
                memories.namespaces(connection, self._parts.vault, namespace),
                conditions(filter, tags),
                before=before,
                limit=limit + 1,
            )
            found = memories.read(connection, nums[:limit])
        following = found[-1].id if len(nums) > limit else None
        return Page(memories=tuple(found), next=following)

    def history(self, id: str) -> list[Event]:  # noqa: A002 - the word callers know
        """Everything that happened to a memory, oldest first, erased ones included.

        Raises:
            NotFoundError: there never was such a memory.
        """
        with self._database.read() as connection:
            return history.events(connection, self._journal, id_bytes(id))

    def namespaces(self) -> list[str]:
        """The names of the namespaces that hold something, sorted."""
        return sorted(self.stats().namespaces)

    def stats(self) -> Stats:
        """The vault in figures."""
        model = self._meaning.model
        with self._database.read() as connection:
            return inspection.stats(connection, self._parts, model)

    # ------------------------------------------------------------------ keeping

    def export(self, file: str | os.PathLike[str]) -> Exported:
        """Write every memory with its history to JSON Lines, in one canonical order.

        The digest depends on the memories alone: two copies of a vault give the same.
        """
        with self._database.read() as connection:
            return export.write(connection, self._journal, Path(file))

    def backup(self, file: str | os.PathLike[str]) -> BackedUp:
        """Write the whole vault to one sealed file, which the recovery kit opens anywhere.

        Other processes may write meanwhile; the file is of one moment.
        """
        return backup.write(self._parts, Path(file))

    def check(self, *, progress: Progress | None = None) -> CheckReport:
        """Verify every hash, signature, payload and view, and finish pending erasures."""
        return inspection.check(self._parts, progress or silent)

    def rebuild(self, *, vectors: bool = False, progress: Progress | None = None) -> int:
        """Throw the index away and make it again from the log; answers stay the same.

        Args:
            vectors: throw computed vectors away too; they are then embedded again.
            progress: called with records done and their number.

        Returns:
            how many versions were indexed.
        """
        return inspection.rebuild(self._parts, vectors=vectors, progress=progress or silent)

    def catch_up(self, *, progress: Progress | None = None) -> int:
        """Embed every memory that waits for its vector; return how many there were."""
        return self._meaning.catch_up(progress)
