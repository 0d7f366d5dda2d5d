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
from haulout.errors import InputError, NotFoundError
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
from haulout.vault.openvault import OpenVault
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
        known = set(GIVEN)
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
