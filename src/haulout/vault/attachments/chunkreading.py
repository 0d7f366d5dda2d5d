"""Reading an attachment: a seekable stream that opens one chunk after the other."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from haulout.errors import BlobMissingError, InputError
from haulout.log.attachment import Chunk, Manifest, list_size
from haulout.log.record import id_text
from haulout.vault import writing
from haulout.vault.attachments import chunks
from haulout.vault.opening import Parts

_LISTS_KEPT: Final = 16
_BUFFER_BYTES: Final = 128 * 1024


def opened_at(parts: Parts, memory_id: bytes) -> io.BufferedReader:
    """The newest attachment of a memory, to be read from its beginning.

    Raises:
        NotFoundError: there is no such memory, or it was forgotten; ErasedError: it was erased.
        InputError: it has no attachment.
    """

    def newest() -> tuple[bytes, Manifest]:
        with parts.database.read() as connection:
            _, now = writing.visible_place(connection, parts.journal, memory_id)
            stored = parts.journal.stored(connection, now.num)
            manifest = writing.content_of(connection, parts.journal, now.num).attachment
        if manifest is None:
            message = f"Memory {id_text(memory_id)} has no attachment."
            raise InputError(message, hint="`get` says which memory has one.")
        return stored.header.namespace, manifest

    return reading(parts, *newest(), lambda: newest()[1])


def reading(
    parts: Parts,
    namespace: bytes,
    manifest: Manifest,
    newer: Callable[[], Manifest] | None = None,
) -> io.BufferedReader:
    """The bytes that a manifest names, in the namespace with an ID; see `AttachmentStream`."""
    stream = AttachmentStream(parts, namespace, manifest, newer or (lambda: manifest))
    return io.BufferedReader(stream, _BUFFER_BYTES)


class AttachmentStream(io.RawIOBase):
    """The bytes of an attachment as they were when it was opened.

    What is appended meanwhile is not part of it. Where appends have replaced its last chunks, the
    bytes come from those that hold them now. Not for several threads at once.

    Args:
        parts: the vault; ``namespace``: the 16-byte ID of the namespace it stands in.
        manifest: what the payload says of it.
        newer: gives the newest manifest of the same memory, or raises what became of it.
    """

    def __init__(
        self,
        parts: Parts,
        namespace: bytes,
        manifest: Manifest,
        newer: Callable[[], Manifest],
    ) -> None:
        super().__init__()
        self.name = manifest.name
        self._parts, self._namespace = parts, namespace
        self._size, self._chunks, self._newer = manifest.size, manifest.chunks, newer
        self._place = 0
        self._open = (0, memoryview(b""))  # one chunk's first byte, and its content
        self._lists: OrderedDict[bytes, list[Chunk]] = OrderedDict()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, which may be beyond the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            message = f"an attachment has no byte {base + offset}"
            raise ValueError(message)
        self._place = base + offset
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes into a buffer, at most to the end of a chunk.

        Raises:
            BlobMissingError, DamagedError: a chunk is not here, or not what was written; the
            message says what to do. ErasedError, NotFoundError: the memory was forgotten.
        """
        view = memoryview(buffer).cast("B")
        if self._place >= self._size or not view:
            return 0
        start, content = self._open
        if not start <= self._place < start + len(content):
            start, content = self._open = self._at(self._place)
        begin = self._place - start
        count = min(len(view), len(content) - begin, self._size - self._place)
        view[:count] = content[begin : begin + count]
        self._place += count
        return count

    def _at(self, place: int) -> tuple[int, memoryview]:
        """The chunk with a byte: its first byte, and its content."""
        try:
            return self._found(place)
        except BlobMissingError:
            manifest = self._newer()  # appends replace last chunks, and a forget takes all
            if manifest.chunks == self._chunks or manifest.size < self._size:
                raise
            self._chunks = manifest.chunks
        return self._found(place)

    def _found(self, place: int) -> tuple[int, memoryview]:
        start, entries = 0, iter(self._chunks)
        while True:
            chunk = next(entries)
            if place < start + chunk.size:
                if chunk.level == 0:
                    content = chunks.opened(
                        self._parts.files, self._parts.vault_id, self._namespace, chunk
                    )
                    return start, memoryview(content)
                skipped = (place - start) // list_size(chunk.level - 1)
                start += skipped * list_size(chunk.level - 1)
                entries = iter(self._members(chunk)[skipped:])
            else:
                start += chunk.size

    def _members(self, chunk: Chunk) -> list[Chunk]:
        found = self._lists.get(chunk.id)
        if found is None:
            found = chunks.members(self._parts.files, self._parts.vault_id, self._namespace, chunk)
            self._lists[chunk.id] = found
            if len(self._lists) > _LISTS_KEPT:
                self._lists.popitem(last=False)
        return found
