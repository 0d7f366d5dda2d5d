"""An attach under way: bytes in, sealed chunks and a manifest's entries out.

The order of what is written is that of docs/spec/attachment.md. Chunks are taken a few at a time:
their rows in one commit, then their files, sealed and synced by several threads while the next
few are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

from haulout.crypto.chunk import (
    FULL_BYTES,
    OVERHEAD_BYTES,
    ChunkContext,
    chunk_id,
    chunk_id_key,
    seal_chunk,
)
from haulout.database.transaction import Transaction
from haulout.errors import (
    BlobMissingError,
    DamagedError,
    HauloutError,
    LimitError,
    VaultVersionError,
)
from haulout.log import chunktable
from haulout.log.attachment import FANOUT, SIZE_BYTES, Chunk, encode_list, list_size
from haulout.log.chunktable import Row
from haulout.vault.arguments import Progress
from haulout.vault.attachments import chunks
from haulout.vault.attachments.chunks import Space
from haulout.vault.attachments.passages import TextMeasure
from haulout.vault.attachments.sources import Readable, read_full
from haulout.vault.opening import Parts

_AT_ONCE: Final = 4
"""Chunks whose rows are made in one commit, and whose files are written side by side. With as
many being read meanwhile, an attach holds about ten megabytes."""
_THREADS: Final = 3


class Taken(NamedTuple):
    """A content that is kept: its entries, and what was found as it went by."""

    chunks: tuple[Chunk, ...]
    size: int
    digest: bytes
    text: int


class Attach:
    """One attach, from its note in the database to its end.

    A context manager. What was written stays until `taken_over` or `let_go`, and for an hour
    where neither comes: an attach that is repeated finds it.

    Args:
        parts: the vault; ``namespace``: where the memory stands.
        kept: the entries that what comes is appended to, all of them full.
        small: small chunks after those, which stay as they are.
    """

    def __init__(
        self,
        parts: Parts,
        namespace: str,
        kept: Sequence[Chunk] = (),
        small: Sequence[Chunk] = (),
    ) -> None:
        self._parts = parts
        self._levels: dict[int, list[Chunk]] = {}
        for chunk in kept:
            self._levels.setdefault(chunk.level, []).append(chunk)
        self._small = list(small)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="haulout-chunk")
        self._writing: list[Future[None]] = []
        self._space, self._id_key, self.number = parts.database.write(
            lambda connection: self._begin(connection, namespace)
        )

    def _begin(self, connection: Transaction, namespace: str) -> tuple[Space, bytes, int]:
        number, key = self._parts.journal.ensure_namespace(connection, namespace)
        attach = chunktable.begin(connection, self._parts.vault, self._parts.journal.now())
        return Space(number, key.id), chunk_id_key(key.key.secret), attach

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True)  # what was begun is of use to a repetition

    # ------------------------------------------------------------------ content

    def take(
        self,
        stream: Readable,
        *,
        before: bytes = b"",
        measure: TextMeasure | None = None,
        report: Progress | None = None,
        total: int | None = None,
    ) -> Taken:
        """Keep a stream's bytes to its end, after ``before``, which an earlier chunk held.

        Args:
            stream: what is attached.
            before: bytes to cut anew together with it; not in the answer's size and digest.
            measure: told of the stream's bytes.
            report: called with bytes done and ``total``.

        Raises:
            LimitError, StorageError, DiskFullError: it is not kept.
        """
        digest, size = hashlib.sha256(), 0
        measure = TextMeasure() if measure is None else measure
        batch: list[bytes] = []
        skipped = len(before)  # of the first content
        for content in _contents(stream, before):
            new = content[skipped:] if skipped else content
            skipped = 0
            digest.update(new)
            measure.feed(new)
            size += len(new)
            if size > SIZE_BYTES:
                message = f"What is attached has more than {SIZE_BYTES} bytes, the limit."
                raise LimitError(message)
            batch.append(content)
            if len(batch) == _AT_ONCE:
                self._keep(batch)
                batch = []
                if report:
                    report(size, total)
        self._keep(batch)
        self._finish()
        if report:
            report(size, total)
        return Taken(self._entries(), size, digest.digest(), measure.text)

    def _keep(self, contents: Sequence[bytes]) -> None:
        """Keep contents in order, full ones but for the last of all."""
        if not contents:
            return
        rows = self._rows([(0, content) for content in contents])
        for row in rows:
            self._append(Chunk(0, row.size, row.id, row.key))

    def _append(self, chunk: Chunk) -> None:
        if chunk.size < FULL_BYTES:
            self._small.append(chunk)
            return
        level, full = chunk.level, self._levels.setdefault(chunk.level, [])
        full.append(chunk)
        if len(full) == FANOUT:
            (row,) = self._rows([(level + 1, encode_list(full))], full)
            self._levels[level] = []
            self._append(Chunk(level + 1, list_size(level + 1), row.id, row.key))

    def _entries(self) -> tuple[Chunk, ...]:
        full = (self._levels[level] for level in sorted(self._levels, reverse=True))
        return (*(chunk for run in full for chunk in run), *self._small)

    # ------------------------------------------------------------------ chunks

    def _rows(
        self, contents: Sequence[tuple[int, bytes]], members: Sequence[Chunk] = ()
    ) -> list[Row]:
        """Rows for contents of some levels, and their files on the way to the disk."""
        names = list(self._pool.map(self._named, contents))
        wanted = [
            (name, level, len(content))
            for name, (level, content) in zip(names, contents, strict=True)
        ]

        def job(connection: Transaction) -> list[Row]:
            vault, journal = self._parts.vault, self._parts.journal
            chunktable.moved(connection, self.number, journal.now())
            rows = chunktable.take(
                connection, vault, self.number, self._space.number, wanted, journal.entropy
            )
            if members:
                held = [one.id for one in members]
                chunktable.take_list(connection, vault, self.number, rows[0].chunk, held)
            return rows

        rows: list[Row] = self._parts.database.write(job)
        self._wait()
        distinct = {
            row.id: (row, content) for row, (_, content) in zip(rows, contents, strict=True)
        }
        self._writing = [self._pool.submit(self._write, *one) for one in distinct.values()]
        return rows

    def _named(self, content: tuple[int, bytes]) -> bytes:
        return chunk_id(self._id_key, *content)

    def _write(self, row: Row, content: bytes) -> None:
        """Write a chunk's file, unless it is there and sound."""
        if self._parts.files.has(row.id, row.size + OVERHEAD_BYTES):
            with suppress(BlobMissingError, DamagedError, VaultVersionError):
                chunks.verify(
                    self._parts.files.read(row.id), self._parts.vault_id, self._space.id, row
                )
                return
        context = ChunkContext(self._parts.vault_id, self._space.id, row.level, row.id)
        self._parts.files.write(row.id, seal_chunk(row.key, content, context))

    def _wait(self) -> None:
        """Until what was begun is written; the first error of it is raised."""
        writing, self._writing = self._writing, []
        for one in writing:
            one.result()

    def _finish(self) -> None:
        self._wait()
        self._parts.files.settle()

    def taken_over(self, connection: Transaction, num: int, named: Iterable[Chunk]) -> None:
        """In the transaction of the record that names them: its uses take this attach's place."""
        vault = self._parts.vault
        chunktable.moved(connection, self.number, self._parts.journal.now())
        chunktable.use_by_record(connection, vault, num, list(named))
        chunktable.end(connection, vault, self.number)

    def let_go(self) -> None:
        """End it: nothing of it is wanted, unless something else uses it."""
        with suppress(HauloutError):
            self._parts.database.write(
                lambda connection: chunktable.end(connection, self._parts.vault, self.number)
            )


def _contents(stream: Readable, before: bytes) -> Iterator[bytes]:
    """A stream cut into full contents and a rest, with some bytes before it."""
    content = before + read_full(stream, FULL_BYTES - len(before))
    while len(content) == FULL_BYTES:
        yield content
        content = read_full(stream, FULL_BYTES)
    if content:
        yield content


def staying(small: Sequence[Chunk], coming: int) -> tuple[int, int]:
    """How an append begins: how many small chunks stay, and how many bytes it cuts anew.

    Args:
        small: a manifest's small chunks; ``coming``: how many bytes come.
    """
    held = sum(chunk.size for chunk in small)
    if held + coming >= FULL_BYTES:
        return 0, held
    if small and small[-1].size < MERGED_BYTES:
        return len(small) - 1, small[-1].size
    return len(small), 0


MERGED_BYTES: Final = 64 * 1024
"""A last chunk below this is cut anew with what is appended."""
