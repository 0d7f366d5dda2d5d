"""The write jobs: what one remember, update, forget or undo does inside its transaction.

Each appends a record and applies it to the view in the same transaction. A job raises before
it writes anything that could not stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import cbor2
import msgspec

from haulout.database.transaction import Transaction
from haulout.errors import ConflictError, ErasedError, NotFoundError, OperationReusedError
from haulout.index import lists, memories
from haulout.log import chunktable
from haulout.log.attachment import Manifest, same_content
from haulout.log.chunktable import Use
from haulout.log.clock import from_microseconds
from haulout.log.journal import Entry, Journal, Stored
from haulout.log.memory import Content, Memory, read_payload, require_order
from haulout.log.record import RecordType, canonical, id_text
from haulout.vault.attachments import chunkuses
from haulout.vault.values import Receipt

if TYPE_CHECKING:
    from haulout.vault.attachments.cutting import Attach


class Written(NamedTuple):
    """A version's number, and whether this call wrote it or an earlier one with its ID did."""

    num: int
    created: bool


def first_result(
    connection: Transaction, journal: Journal, op_id: str | None, body: bytes | None
) -> tuple[bytes, Stored | None]:
    """The MAC of an operation ID and, where it was used before, the record it wrote.

    Raises:
        OperationReusedError: it wrote something else; ErasedError: what it wrote was erased.
        ReadOnlyError: nothing may be written here.
    """
    journal.require_writable()
    if op_id is None:
        return b"", None
    operation = journal.keychain.operation_mac(op_id)
    num = journal.operation(connection, operation)
    if num is None:
        return operation, None
    stored = journal.stored(connection, num)
    if body is not None and _body(stored, journal.open_payload(connection, stored)) != body:
        raise reused(op_id)
    return operation, stored


def reused(op_id: str | None) -> OperationReusedError:
    """The error for an operation ID that came back with another body."""
    return OperationReusedError(f"The operation ID {op_id!r} was used for another write.")


def _body(stored: Stored, payload: bytes) -> bytes:
    return stored.header.type.to_bytes(2, "big") + stored.header.namespace + payload


def remember(
    connection: Transaction,
    journal: Journal,
    namespace: str,
    content: Content,
    op_id: str | None,
    attach: Attach | None = None,
) -> Written:
    """Append a memory record and fold it into the view; ``attach`` made its attachment."""
    number, key = journal.ensure_namespace(connection, namespace)
    payload = content.payload()
    body = RecordType.MEMORY.to_bytes(2, "big") + key.id + payload
    operation, earlier = first_result(connection, journal, op_id, None if attach else body)
    if earlier is not None:
        if attach:
            require_same_attach(connection, journal, earlier, (namespace, content), op_id)
        return Written(earlier.num, created=False)
    passage_of = None
    if content.passage is not None:
        passage_of = journal.find(connection, content.passage.of)
    entry = journal.append(
        connection, RecordType.MEMORY, payload, namespace=key, operation=operation
    )
    place = memories.Place(entry.num, entry.id, number)
    version = (entry.num, entry.clock)
    memories.add(connection, journal.vault, place, version, content, passage_of=passage_of)
    memories.add_vector(connection, journal.vault, entry.num, content.vector)
    if attach and content.attachment:
        attach.taken_over(connection, entry.num, content.attachment.chunks)
    return Written(entry.num, created=True)


def require_same_attach(
    connection: Transaction,
    journal: Journal,
    earlier: Stored,
    asked: tuple[str, Content],
    op_id: str | None,
) -> None:
    """Refuse an attach under an operation ID that wrote something else.

    Args:
        connection, journal, op_id: as their names say; ``earlier``: what the ID wrote.
        asked: the namespace and what is to be remembered; of the attachment's chunks only the
            digest of their bytes counts.

    Raises:
        OperationReusedError: it is not the same. ErasedError: what the ID wrote was erased.
    """
    namespace, content = asked
    if earlier.header.type != RecordType.MEMORY:
        raise reused(op_id)
    found, _ = read_payload(journal.open_payload(connection, earlier))
    one, other = found.attachment, content.attachment
    same = one is not None and other is not None and same_content(one, other)
    same = same and msgspec.structs.replace(found, attachment=other) == content
    key = journal.namespace_key(connection, earlier.header.namespace, earlier.header.epoch)
    if not same or key.name != namespace:
        raise reused(op_id)


def _place(connection: Transaction, journal: Journal, memory_id: bytes) -> memories.Place:
    """Where a memory stands.

    Raises:
        ErasedError: it was erased; NotFoundError: there never was one.
    """
    place = memories.place_of(connection, journal.vault, memory_id)
    if place is not None:
        return place
    num = journal.find(connection, memory_id)
    if num is not None and journal.stored(connection, num).header.type == RecordType.MEMORY:
        message = f"Memory {id_text(memory_id)} was erased."
        raise ErasedError(message)
    message = f"There is no memory {id_text(memory_id)}."
    raise NotFoundError(message)


def visible_place(
    connection: Transaction, journal: Journal, memory_id: bytes
) -> tuple[memories.Place, memories.Current]:
    """Where a memory stands that is neither erased nor hidden, and its newest version."""
    place = _place(connection, journal, memory_id)
    now = memories.current(connection, place.memory)
    if now.hidden:
        message = f"Memory {id_text(memory_id)} was forgotten."
        raise NotFoundError(message, hint="`undo` of the forget brings it back.")
    return place, now


def content_of(connection: Transaction, journal: Journal, num: int) -> Content:
    """What the record with a number says."""
    return read_payload(journal.open_payload(connection, journal.stored(connection, num)))[0]


def update(
    connection: Transaction,
    journal: Journal,
    memory_id: bytes,
    changes: dict[str, Any],
    op_id: str | None,
) -> Written:
    """Append an update record: the memory's whole new content, the old one superseded."""
    operation, earlier = first_result(connection, journal, op_id, None)
    if earlier is not None:
        _require_same_update(connection, journal, earlier, memory_id, changes, op_id)
        return Written(earlier.num, created=False)
    place, now = visible_place(connection, journal, memory_id)
    old = content_of(connection, journal, now.num)
    fields = {name: getattr(old, name) for name in Content.__struct_fields__}
    if "text" in changes and "vector" not in changes:
        fields["vector"] = None  # it was the old text's
    content = Content(**(fields | changes))
    require_order(content.valid_from, content.valid_until)
    beside = {"of": memory_id, "changes": sorted(changes)}
    num = _new_version(connection, journal, (place, now), content, operation, beside)
    if content.attachment is not None:
        chunktable.use_by_record(connection, journal.vault, num, content.attachment.chunks)
    return Written(num, created=True)


def _new_version(
    connection: Transaction,
    journal: Journal,
    stands: tuple[memories.Place, memories.Current],
    content: Content,
    operation: bytes,
    beside: dict[str, Any],
) -> int:
    """Append an update record and fold it into the view; the number of the record."""
    place, now = stands
    key = journal.stored(connection, place.memory).header
    namespace = journal.namespace_key(connection, key.namespace, key.epoch)
    newest = journal.keychain.newest(namespace.id) or namespace
    passage_of = None
    if content.passage is not None:
        passage_of = journal.find(connection, content.passage.of)
    entry = journal.append(
        connection,
        RecordType.UPDATE,
        content.payload(**beside),
        namespace=newest,
        operation=operation,
    )
    version = (entry.num, entry.clock)
    memories.add(connection, journal.vault, place, version, content, now, passage_of)
    memories.add_vector(connection, journal.vault, entry.num, content.vector)
    return entry.num


class Appended(NamedTuple):
    """An append's outcome for its record: what was there, and what came.

    Attributes:
        base: the number of the version that was appended to; ``begin``: its size.
        manifest: the whole; ``digest``: SHA-256 of what came.
        whole: whether the operation added no more than this.
    """

    base: int
    begin: int
    manifest: Manifest
    digest: bytes
    whole: bool


def append(
    connection: Transaction,
    journal: Journal,
    memory_id: bytes,
    appended: Appended,
    op_id: str | None,
    attach: Attach,
) -> Written | None:
    """Append an update record with a longer attachment; None where the memory went on meanwhile."""
    operation, earlier = first_result(connection, journal, op_id, None)
    if earlier is not None:
        size = appended.manifest.size - appended.begin
        require_same_append(
            connection, journal, earlier, memory_id, (size, appended.digest, appended.whole), op_id
        )
        return Written(earlier.num, created=False)
    place, now = visible_place(connection, journal, memory_id)
    if now.num != appended.base:
        return None
    old = content_of(connection, journal, now.num)
    content = msgspec.structs.replace(old, attachment=appended.manifest)
    beside: dict[str, Any] = {
        "of": memory_id, "changes": [], "append": appended.digest, "from": appended.begin,
    }  # fmt: skip
    beside |= {"whole": True} if appended.whole else {}
    num = _new_version(connection, journal, (place, now), content, operation, beside)
    attach.taken_over(connection, num, appended.manifest.chunks)
    chunkuses.let_go(connection, connection, journal, place.memory)
    return Written(num, created=True)


def require_same_append(
    connection: Transaction,
    journal: Journal,
    earlier: Stored,
    memory_id: bytes,
    asked: tuple[int, bytes, bool],
    op_id: str | None,
) -> None:
    """Refuse an append under an operation ID that wrote something else.

    ``asked`` is how many bytes, their SHA-256, and whether they are all of the operation's.

    Raises:
        OperationReusedError: it is not the same. ErasedError: what the ID wrote was erased.
    """
    found = appended_by(connection, journal, earlier, memory_id, op_id)
    if found != asked:
        raise reused(op_id)


def appended_by(
    connection: Transaction,
    journal: Journal,
    earlier: Stored,
    memory_id: bytes,
    op_id: str | None,
) -> tuple[int, bytes, bool]:
    """What an append's record added: how many bytes, their SHA-256, and whether that was all.

    Raises:
        OperationReusedError: it is no append to this memory. ErasedError: it was erased.
    """
    if earlier.header.type != RecordType.UPDATE:
        raise reused(op_id)
    content, beside = read_payload(journal.open_payload(connection, earlier))
    if beside.get("of") != memory_id or "append" not in beside or content.attachment is None:
        raise reused(op_id)
    size = content.attachment.size - beside["from"]
    return size, beside["append"], beside.get("whole", False)


def _require_same_update(
    connection: Transaction,
    journal: Journal,
    earlier: Stored,
    memory_id: bytes,
    changes: dict[str, Any],
    op_id: str | None,
) -> None:
    same = earlier.header.type == RecordType.UPDATE
    if same:
        content, beside = read_payload(journal.open_payload(connection, earlier))
        same = beside.get("of") == memory_id and "append" not in beside
        same = same and beside.get("changes") == sorted(changes)
        same = same and all(getattr(content, name) == value for name, value in changes.items())
    if not same:
        raise reused(op_id)


def forget(
    connection: Transaction,
    journal: Journal,
    targets: Sequence[bytes],
    level: str,
    op_id: str | None,
    request: bytes | None = None,
) -> Receipt:
    """Append a forget record and take the memories out of view, or out of existence.

    Args:
        connection, journal, level, op_id: as their names say; ``targets``: the memories' IDs.
        request: where a filter found the targets, the filter: a repetition finds others.
    """
    targets = sorted(set(targets))
    fields: dict[str, Any] = {"targets": targets, "level": level}
    if op_id is not None and request is not None:
        fields["request"] = journal.keychain.request_mac(request)
    operation, earlier = first_result(connection, journal, op_id, None)
    if earlier is not None:
        if not _is_forget(earlier, fields):
            raise reused(op_id)
        return _receipt(earlier.num, earlier.header.id, earlier.header.clock, earlier.payload)
    payload = canonical(fields)
    places = [_place(connection, journal, target) for target in targets]
    entry = journal.append(connection, RecordType.FORGET, payload, operation=operation)
    erased: list[int] = []
    for memory in _reached(connection, places):
        if level == "hidden":
            memories.set_hidden(connection, memory, entry.num, hidden=True)
        else:
            erased += erase(connection, journal, memory, entry.num)
    if erased:
        lists.remove(connection, journal.vault, erased)
    return _receipt(*entry, payload)


def erase(connection: Transaction, journal: Journal, memory: int, record: int) -> list[int]:
    """Destroy a memory's keys, payloads, chunks and index entries; the numbers of its versions.

    Args:
        connection, journal: as their names say; ``memory``: its number.
        record: number of the record that says so, for caches to hear of it.
    """
    nums = memories.version_nums(connection, memory)
    for num in nums:
        journal.destroy(connection, num)
        chunktable.release(connection, journal.vault, Use.RECORD, num)
    memories.erase(connection, journal.vault, memory, record)
    return nums


def chunks_named_by(
    connection: Transaction, journal: Journal, targets: Sequence[bytes]
) -> list[bytes]:
    """IDs of the chunks that the versions of some memories name themselves."""
    named: list[bytes] = []
    for target in targets:
        place = memories.place_of(connection, journal.vault, target)
        for num in [] if place is None else memories.version_nums(connection, place.memory):
            named += chunktable.used_by(connection, Use.RECORD, num)
    return named


def _reached(connection: Transaction, places: Sequence[memories.Place]) -> list[int]:
    """The memories at some places, and the passages of their attachments, each once."""
    found = (memories.with_passages(connection, place.memory) for place in places)
    return list(dict.fromkeys(memory for group in found for memory in group))


def _is_forget(stored: Stored, fields: dict[str, Any]) -> bool:
    """Whether a record is the forget that these fields ask for."""
    if stored.header.type != RecordType.FORGET:
        return False
    written: dict[str, Any] = cbor2.loads(stored.payload or b"\xa0")
    asked = "level", "request" if "request" in fields else "targets"
    same = all(written[name] == fields[name] for name in asked if name in written)
    return same and ("request" in written) == ("request" in fields)


def _receipt(_num: int, record_id: bytes, clock: int, payload: bytes | None) -> Receipt:
    fields: dict[str, Any] = cbor2.loads(payload or b"\xa0")
    return Receipt(
        op_id=id_text(record_id),
        action="undo" if fields["level"] == "shown" else "forget",
        level=fields["level"],
        memories=tuple(id_text(target) for target in fields["targets"]),
        recorded_at=from_microseconds(clock),
    )


def undo(connection: Transaction, journal: Journal, target: Stored) -> Receipt:
    """Take one operation back by writing its opposite; history keeps both.

    Raises:
        ConflictError: a later write stands on it; ErasedError: it erased for good.
    """
    if target.header.type == RecordType.MEMORY:
        place = _place(connection, journal, target.header.id)
        if memories.current(connection, place.memory).num != place.memory:
            message = f"Memory {id_text(place.memory_id)} was updated since."
            raise ConflictError(message, hint="Undo the update first, or forget the memory.")
        receipt = forget(connection, journal, [place.memory_id], "hidden", None)
        return msgspec.structs.replace(receipt, action="undo")
    if target.header.type == RecordType.UPDATE:
        return _undo_update(connection, journal, target)
    if target.header.type == RecordType.FORGET:
        return _undo_forget(connection, journal, target)
    message = f"Operation {id_text(target.header.id)} is none that can be undone."
    raise ConflictError(message)


def _undo_update(connection: Transaction, journal: Journal, target: Stored) -> Receipt:
    _, beside = read_payload(journal.open_payload(connection, target))
    place, now = visible_place(connection, journal, beside["of"])
    if now.num != target.num:
        message = f"Memory {id_text(place.memory_id)} was updated again since."
        raise ConflictError(message, hint="Undo the newest update first.")
    nums = memories.version_nums(connection, place.memory)
    before = content_of(connection, journal, nums[nums.index(target.num) - 1])
    changes = {name: getattr(before, name) for name in Content.__struct_fields__}
    written = update(connection, journal, place.memory_id, changes, None)
    entry = journal.stored(connection, written.num).header
    return Receipt(
        op_id=id_text(entry.id),
        action="undo",
        level="updated",
        memories=(id_text(place.memory_id),),
        recorded_at=from_microseconds(entry.clock),
    )


def _undo_forget(connection: Transaction, journal: Journal, target: Stored) -> Receipt:
    fields: dict[str, Any] = cbor2.loads(target.payload or b"\xa0")
    if fields["level"] in {"destroyed", "everywhere"}:
        message = "What was erased does not come back: its keys are destroyed."
        raise ErasedError(message)
    level = "shown" if fields["level"] == "hidden" else "hidden"
    places = [_place(connection, journal, found) for found in fields["targets"]]
    payload = canonical({"targets": fields["targets"], "level": level})
    entry: Entry = journal.append(connection, RecordType.FORGET, payload)
    for memory in _reached(connection, places):
        memories.set_hidden(connection, memory, entry.num, hidden=level == "hidden")
    return _receipt(*entry, payload)


def as_memory(connection: Transaction, written: Written, op_id: str | None) -> Memory:
    """The memory that a write made, as its caller gets it."""
    memory = memories.read(connection, [written.num])[0]
    if op_id is None and written.created:
        return memory
    return msgspec.structs.replace(memory, op_id=op_id or memory.op_id, created=written.created)


def remember_batch(
    connection: Transaction, journal: Journal, batch: Iterable[tuple[str, Content, str | None]]
) -> list[Memory]:
    """Several remembers in one transaction: (namespace, content, operation ID) each.

    One whose memory was erased since is answered, not written: an import that is repeated
    after a forget must neither fail nor bring it back.
    """
    answers: list[Memory] = []
    for namespace, content, op_id in batch:
        try:
            written = remember(connection, journal, namespace, content, op_id)
            answers.append(as_memory(connection, written, op_id))
        except ErasedError:
            answers.append(_erased(namespace, op_id or ""))
    return answers


def _erased(namespace: str, op_id: str) -> Memory:
    """What stands in a batch's answer for an operation whose memory was erased since."""
    never = from_microseconds(0)
    return Memory(
        id="", text="", namespace=namespace, recorded_at=never, updated_at=never, version=0,
        op_id=op_id, created=False, erased=True,
    )  # fmt: skip
