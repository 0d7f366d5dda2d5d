"""What `append` does: one record for all of it, or several for a stream that is followed."""

from __future__ import annotations

import hashlib
import io
import secrets
from typing import BinaryIO, Final

import msgspec

from haulout.database.transaction import Transaction
from haulout.errors import ConflictError, ErasedError, InputError, LimitError, NotFoundError
from haulout.log.attachment import SIZE_BYTES, Manifest, parted
from haulout.log.memory import Memory
from haulout.vault import writing
from haulout.vault.arguments import Progress
from haulout.vault.attachments import chunks, passagewriting
from haulout.vault.attachments.attached import earlier_of, looked_at
from haulout.vault.attachments.chunkreading import opened_at
from haulout.vault.attachments.cutting import Attach, Taken, staying
from haulout.vault.attachments.passages import TextMeasure
from haulout.vault.attachments.sources import Following, Opened, Readable, read_full
from haulout.vault.opening import Parts
from haulout.vault.writing import Appended, Written

FOLLOWED_BYTES: Final = 4 * 1024 * 1024
"""What comes on a stream is kept once so much of it is there, if not before."""
_PIECE_BYTES: Final = 1024 * 1024
_CUT_CHARACTER: Final = 3
_MOST_TRIES: Final = 20


class Appending:
    """One append: a record for all of it, or several for a stream that is followed."""

    def __init__(
        self, parts: Parts, memory_id: bytes, op_id: str | None, report: Progress | None
    ) -> None:
        self._parts, self._memory_id, self._op_id = parts, memory_id, op_id
        self._report, self._done, self._steps = report, 0, 0
        self._memory: Memory | None = None
        self._pending = b""  # given on by a stream, and perhaps not kept yet
        self._base()  # says what is wrong with the memory before anything is read

    def result(self) -> Memory:
        """The memory as the append left it."""
        if self._memory is not None:
            return self._memory
        with self._parts.database.read() as connection:
            _, now = writing.visible_place(connection, self._parts.journal, self._memory_id)
            return writing.as_memory(connection, Written(now.num, created=False), self._op_id)

    def all_of(self, source: Opened) -> None:
        """Append what can be read again from its beginning, with one record."""
        if source.size == 0 and earlier_of(self._parts, self._op_id) is None:
            return
        self._step(source, whole=True)
        passagewriting.bring_up_to_date(self._parts, self._memory_id)

    def follow(self, stream: BinaryIO, every: float) -> None:
        """Append what comes on a stream, some at a time, to its end or to an interruption."""
        self._op_id = self._op_id or secrets.token_hex(16)
        self._skip_kept(stream)
        following = Following(
            stream, every_us=int(every * 1e6), most=FOLLOWED_BYTES, now=self._parts.journal.now
        )
        try:
            for piece in following:
                self._piece(piece)
        except KeyboardInterrupt:
            # The step that was interrupted is taken again under its ID, then what has come since.
            if self._pending:
                self._piece(self._pending)
            while earlier_of(self._parts, self._operation()) is not None:
                self._steps += 1
            if rest := following.rest():
                self._piece(rest)
            raise
        finally:
            following.stop()

    def _piece(self, piece: bytes) -> None:
        self._pending = piece
        self._step(Opened(io.BytesIO(piece), "", len(piece), 0), whole=False)
        passagewriting.bring_up_to_date(self._parts, self._memory_id)

    def _operation(self) -> str | None:
        """The ID of the step that is to be done."""
        if self._op_id is None or not self._steps:
            return self._op_id
        return f"{self._op_id}\0append\0{self._steps}"

    def _told(self, size: int, total: int | None) -> None:
        self._pending = b""  # before the step counts: it must not be taken again as the next
        self._done, self._steps = self._done + size, self._steps + 1
        chunks.sweep_when_many(self._parts)  # the last chunks that appends have replaced
        if self._report:
            self._report(self._done, total)

    def _skip_kept(self, stream: BinaryIO) -> None:
        """Read what an earlier run of this operation has appended, and compare it."""
        journal = self._parts.journal
        while (earlier := earlier_of(self._parts, self._operation())) is not None:
            with self._parts.database.read() as connection:
                size, digest, whole = writing.appended_by(
                    connection, journal, earlier, self._memory_id, self._op_id
                )
                written = Written(earlier.num, created=False)
                self._memory = writing.as_memory(connection, written, self._op_id)
            if whole or _digest_of(stream, size) != digest:
                raise writing.reused(self._op_id)
            self._told(size, None)

    def _step(self, source: Opened, *, whole: bool) -> None:
        """Append with one record, however often the memory goes on meanwhile."""
        operation = self._operation()
        earlier = earlier_of(self._parts, operation)
        if earlier is not None:
            looked = looked_at(source.stream, None, None)
            asked = looked.size, looked.digest, whole
            with self._parts.database.read() as connection:
                journal = self._parts.journal
                writing.require_same_append(
                    connection, journal, earlier, self._memory_id, asked, operation
                )
                written = Written(earlier.num, created=False)
                self._memory = writing.as_memory(connection, written, self._op_id)
            self._told(looked.size, source.size)
            return
        for _ in range(_MOST_TRIES):
            memory = self._tried(source, operation, whole=whole)
            if memory is not None:
                self._memory = memory
                self._told(source.size or 0, source.size)
                return
            source.again()
        message = "Others append to this memory without a pause."
        raise ConflictError(message, hint="Try again.")

    def _base(self) -> tuple[int, str, Manifest]:
        """The newest version: its number, its namespace, its attachment."""
        with self._parts.database.read() as connection:
            place, now = writing.visible_place(connection, self._parts.journal, self._memory_id)
            manifest = writing.content_of(connection, self._parts.journal, now.num).attachment
            (name,) = connection.execute(
                "SELECT name FROM namespace WHERE namespace = ?", (place.namespace,)
            ).fetchone()
        if manifest is None:
            message = "This memory has no attachment that could grow."
            hint = 'Remember one with `attach`; it may be empty: attach=b"".'
            raise InputError(message, hint=hint)
        return now.num, name, manifest

    def _tried(self, source: Opened, operation: str | None, *, whole: bool) -> Memory | None:
        """One try; None where the memory went on meanwhile."""
        num, namespace, base = self._base()
        size = source.size or 0
        if base.size + size > SIZE_BYTES:
            message = f"An attachment has at most {SIZE_BYTES} bytes."
            raise LimitError(message)
        full, small = parted(base.chunks)
        stay, anew = staying(small, size)
        before, measure = self._end_of(base, anew)
        with Attach(self._parts, namespace, full, small[:stay]) as attach:
            try:
                taken = attach.take(_Limited(source.stream, size), before=before, measure=measure)
                appended = Appended(num, base.size, _longer(base, taken), taken.digest, whole)

                def job(connection: Transaction) -> Memory | None:
                    written = writing.append(
                        connection,
                        self._parts.journal,
                        self._memory_id,
                        appended,
                        operation,
                        attach,
                    )
                    return written and writing.as_memory(connection, written, self._op_id)

                memory: Memory | None = self._parts.database.write(job)
                if memory is None or not memory.created:
                    attach.let_go()
            except (InputError, ConflictError, ErasedError, NotFoundError):
                attach.let_go()
                raise
        return memory

    def _end_of(self, base: Manifest, anew: int) -> tuple[bytes, TextMeasure]:
        """The bytes that are cut anew, and a measure that goes on where the text ends."""
        open_end = base.size - base.text <= _CUT_CHARACTER
        with opened_at(self._parts, self._memory_id) as stream:
            stream.seek(base.size - anew)
            before = stream.read(anew)
            if not open_end:
                return before, TextMeasure.ended(base.text)
            measure = TextMeasure(base.text)
            stream.seek(base.text)
            measure.feed(stream.read(base.size - base.text))
        return before, measure


def _longer(base: Manifest, taken: Taken) -> Manifest:
    """A manifest after what was appended."""
    return msgspec.structs.replace(
        base,
        size=base.size + taken.size,
        chunks=taken.chunks,
        digest=None if base.size else taken.digest,
        text=taken.text,
    )


def _digest_of(stream: Readable, size: int) -> bytes | None:
    """SHA-256 of the next bytes; None where there are fewer."""
    digest = hashlib.sha256()
    while size:
        piece = read_full(stream, min(size, _PIECE_BYTES))
        if not piece:
            return None
        digest.update(piece)
        size -= len(piece)
    return digest.digest()


class _Limited:
    """At most so many bytes of a stream: a file that grows while it is read was counted before."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        piece = self._stream.read(min(size, self._left))
        self._left -= len(piece)
        return piece
