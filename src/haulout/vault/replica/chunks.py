"""A replica's attachments: fetched when they are read, and kept within a bound."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from haulout.crypto.section import Kind, open_section
from haulout.errors import BlobMissingError, NotFoundError, StorageError
from haulout.log import published
from haulout.vault.attachments import chunks
from haulout.vault.attachments.chunkfiles import ChunkFiles, FolderOfChunks
from haulout.vault.opening import Parts
from haulout.vault.replica import note as replica
from haulout.vault.stores.remote import Remote

Fetch = Callable[[bytes], bytes]
"""A chunk's sealed bytes from where the replica came from, kept here if they can be.

Raises BlobMissingError where nothing names the chunk, and StorageError where nobody answers.
"""
_LEFT: Final = 7 / 8
"""Of the bound: what an eviction leaves, so that not every chunk evicts another."""


def with_chunks_on_demand(parts: Parts, remote: Remote) -> Parts:
    """An open replica's parts, its attachments read from where its head came from."""
    assert parts.folder is not None, "a replica has a folder"
    with parts.database.read() as connection:
        note = replica.note_of(connection, parts.vault)
    assert note is not None, "only replicas fetch"

    def fetch(chunk: bytes) -> bytes:
        with parts.database.read() as connection:
            row = replica.source(connection, parts.vault)
            ref = row and published.chunk_place(connection, row.number, chunk)
        if row is None or ref is None:
            message = f"No store holds chunk {chunk.hex()} as of the head that is here."
            raise BlobMissingError(message, hint="Refresh the replica, and read again.")
        data = remote.store(row).get(ref)
        secrets = parts.journal.keychain.user_secrets()
        sealed = open_section(secrets, Kind.CHUNK, parts.vault_id, data)
        with suppress(NotFoundError, StorageError):  # not kept; whoever reads it verifies it
            chunks.put_sealed(parts, chunk, sealed)
        return sealed

    files = ReplicaChunks(parts.folder, fetch, note.most_bytes)
    return dataclasses.replace(parts, files=files)


class ReplicaChunks(FolderOfChunks):
    """Chunks that were read lately; others come from the store that gave the head.

    Args:
        vault: the replica's folder; ``fetch``: gives a chunk that is not here.
        most_bytes: what may be kept.
    """

    def __init__(self, vault: Path, fetch: Fetch, most_bytes: int) -> None:
        super().__init__(vault)
        self._kept = FolderOfChunks(vault)
        self._fetch, self._most = fetch, most_bytes
        self._held: int | None = None  # bytes here, counted when something is first fetched
        self._evicting = threading.Lock()

    @property
    def here(self) -> ChunkFiles:
        """Those that are kept on this disk."""
        return self._kept

    def read(self, chunk: bytes) -> bytes:
        """See `ChunkFiles`; what is not here is fetched.

        Raises:
            StoreUnavailableError: it is not here, and the store does not answer.
        """
        try:
            data = super().read(chunk)
        except BlobMissingError:
            data = self._fetch(chunk)
            self._was_read(chunk)
            self._make_room(len(data))
            return data
        self._was_read(chunk)
        return data

    def _was_read(self, chunk: bytes) -> None:
        """Note when; by our clock, since that of a file system may move on every 4 ms only."""
        now = time.time_ns()
        with suppress(OSError):  # evicted meanwhile by another process
            os.utime(self._path(chunk), ns=(now, now))

    def _make_room(self, came: int) -> None:
        """Count what came; above the bound remove what was not read for longest."""
        with self._evicting:
            held = None if self._held is None else self._held + came
            self._held = None  # counted again where the folder cannot be looked through
            with suppress(OSError, StorageError):  # another process evicts, too
                if held is None or held > self._most:
                    held = self._evicted()
                self._held = held

    def _evicted(self) -> int:
        """Remove what was not read for longest where all is too much; how many bytes are left."""
        files = sorted(
            (self._path(one.id).stat().st_mtime_ns, one.id, one.sealed) for one in self.all()
        )
        held = sum(size for _, _, size in files)
        if held <= self._most:
            return held
        gone: list[bytes] = []
        for _, chunk, size in files:
            if held <= self._most * _LEFT:
                break
            gone.append(chunk)
            held -= size
        self.remove(gone)
        return held
