"""The verbs that write: remember, update, forget, undo.

Each checks its arguments and sends one job to the database; what the job does is in `writing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from haulout.database.transaction import Transaction
from haulout.errors import InputError, NotFoundError, StorageError
from haulout.log import chunktable
from haulout.log.memory import (
    GIVEN,
    Content,
    Memory,
    checked_content,
    checked_namespace,
    checked_operation_id,
)
from haulout.log.record import id_bytes
from haulout.vault import history, inspection, writing
from haulout.vault.arguments import Progress, checked_item, request_body
from haulout.vault.attachments import chunks, passagewriting
from haulout.vault.attachments.attached import remember_attached
from haulout.vault.attachments.sources import Source
from haulout.vault.openvault import OpenVault
from haulout.vault.stores.standing import (
    Wait,
    checked_wait,
    cleared_from,
    copies_pending,
    holding,
    made_remote,
)
from haulout.vault.values import Level, Receipt

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

BATCH = 500
_SCRUB_BYTES = 512 * 1024 * 1024
_LEVELS = ("hidden", "destroyed", "everywhere")


class Remembering(OpenVault):
    """What changes a vault."""

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
        item: dict[str, Any] = {
            "kind": kind, "speaker": speaker, "session": session, "occurred_at": occurred_at,
            "valid_from": valid_from, "valid_until": valid_until, "tags": tags,
            "metadata": metadata, "source": source, "vector": vector,
        }  # fmt: skip
        content = checked_content(text, **item)
        place = checked_namespace(namespace)
        operation = None if op_id is None else checked_operation_id(op_id)
        waits = checked_wait(self._remote, wait)
        if attach is not None:
            given = attach, attach_name
            kept = remember_attached(self._parts, place, content, operation, given, progress)
            return made_remote(self._parts, self._remote, [kept])[0] if waits else kept
        if attach_name is not None:
            message = "attach_name names what is attached, and nothing is."
            raise InputError(message)

        def job(connection: Transaction) -> Memory:
            written = writing.remember(connection, self._journal, place, content, operation)
            return writing.as_memory(connection, written, operation)

        kept = self._database.write(job)
        return made_remote(self._parts, self._remote, [kept])[0] if waits else kept

    def remember_many(
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
        waits = checked_wait(self._remote, wait)
        total = len(items) if isinstance(items, Sequence) else None
        kept: list[Memory] = []
        batch: list[tuple[str, Content, str | None]] = []
        for number, item in enumerate(self._parts.way.along(items)):
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
        return made_remote(self._parts, self._remote, kept) if waits and kept else kept

    def _remember_batch(self, batch: Sequence[tuple[str, Content, str | None]]) -> list[Memory]:
        return self._database.write(
            lambda connection: writing.remember_batch(
                connection, self._journal, self._parts.way.along(batch)
            )
        )

    def update(
        self,
        id: str,  # noqa: A002 - the word callers know
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
        memory_id = id_bytes(id)
        given = dict(changes) if text is msgspec.UNSET else changes | {"text": text}
        known = set(GIVEN)
        if not given or not given.keys() <= known:
            message = f"update takes {', '.join(sorted(known))}; this call gives {sorted(given)}."
            raise InputError(message)
        words = given.get("text", "unchanged")
        checked = checked_content(words, **{k: v for k, v in given.items() if k != "text"})
        fields = {name: getattr(checked, name) for name in given}
        operation = None if op_id is None else checked_operation_id(op_id)
        waits = checked_wait(self._remote, wait)

        def job(connection: Transaction) -> Memory:
            written = writing.update(connection, self._journal, memory_id, fields, operation)
            return writing.as_memory(connection, written, operation)

        kept = self._database.write(job)
        return made_remote(self._parts, self._remote, [kept])[0] if waits else kept

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
                entries gone from this disk; stores follow with the next sync) or "everywhere"
                (stores follow at once, as far as they answer and can).
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
        held = oldest = last = 0

        def job(connection: Transaction) -> Receipt:
            found = targets
            if found is None:
                found = history.matching(connection, self._journal, given, namespace)  # pyright: ignore[reportArgumentType] a mapping here
            named = writing.chunks_named_by(connection, self._journal, found)
            receipt = writing.forget(connection, self._journal, found, level, operation, request)
            nonlocal held, oldest, last
            ids = (*receipt.memories, receipt.op_id)
            nums = [self._journal.find(connection, id_bytes(one)) or 0 for one in ids]
            oldest, last = min(nums), nums[-1]
            held = chunktable.held_by_attaches(connection, self._parts.vault, named)
            if level != "hidden" and receipt.memories:
                inspection.note_pending_scrub(connection, self._parts.vault)
            return receipt

        receipt: Receipt = self._database.write(job)
        if operation is not None:
            receipt = msgspec.structs.replace(receipt, op_id=operation)
        if level == "hidden" or not receipt.memories:
            return receipt
        kinds = holding(self._parts, oldest, last)  # before a failing disk can latch the vault
        pending = (*self._swept(held), *inspection.scrub(self._parts, _SCRUB_BYTES))
        receipt = msgspec.structs.replace(receipt, pending=pending)
        return self._beyond_this_disk(receipt, kinds)

    def _beyond_this_disk(self, receipt: Receipt, kinds: list[str]) -> Receipt:
        """What of a forget has reached the stores, and what has not."""
        gone: tuple[str, ...] = ()
        if kinds and receipt.level == "everywhere":
            gone = cleared_from(self._parts, self._remote, kinds)
        left = copies_pending([kind for kind in kinds if kind not in gone])
        return msgspec.structs.replace(
            receipt, stores=(*receipt.stores, *gone), pending=(*receipt.pending, *left)
        )

    def _swept(self, held: int) -> tuple[str, ...]:
        """Remove the files of erased attachments; what is pending, in words."""
        try:
            pending = chunks.sweep(self._parts)
        except StorageError as error:
            pending = (f"{error.message} `haulout check` removes the attachment's files",)
        if held:
            words = f"{held} of its chunks are in use by an attach under way;"
            pending += (f"{words} `haulout check` removes them when that has ended",)
        return pending

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

        receipt: Receipt = self._database.write(job)
        if receipt.level == "updated":
            for memory in receipt.memories:
                passagewriting.bring_up_to_date(self._parts, id_bytes(memory))
        return receipt
