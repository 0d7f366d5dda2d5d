"""Where sealed chunks are: a file each, or in memory. Nothing here has a key.

    attachments/ab/ab…   32 hexadecimal digits: a chunk, whole and synced before it has its name
    attachments/.ab….tmp-…   one being written

A chunk's name is durable once `settle` has returned: that syncs each folder once, however many
chunks were put into it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from haulout.crypto.chunk import CHUNK_ID_BYTES, SEALED_BYTES
from haulout.errors import BlobMissingError, StorageError
from haulout.storage.durable import (
    PRIVATE_FOLDER,
    make_folder,
    storage_error,
    sync_folder,
    write_file,
)

FOLDER = "attachments"
STRAY_AGE_S = 3600.0
_MISSING_HINT = "Attach the same file again to put it back, or restore it from a backup or a store."


class Kept(NamedTuple):
    """A chunk as it is kept: its ID and how many sealed bytes it has."""

    id: bytes
    sealed: int


class ChunkFiles(Protocol):
    """Sealed chunks by ID. Safe among threads and processes."""

    @property
    def here(self) -> ChunkFiles:
        """Those that are on this disk: itself, unless it fetches what is not."""
        ...

    def has(self, chunk: bytes, sealed: int) -> bool:
        """Whether a chunk of so many sealed bytes is there; `settle` then covers its name too."""
        ...

    def size(self, chunk: bytes) -> int | None:
        """How many sealed bytes a chunk has, or None where it is not there."""
        ...

    def read(self, chunk: bytes) -> bytes:
        """The sealed bytes.

        Raises:
            BlobMissingError: they are not there; StorageError: they cannot be read.
        """
        ...

    def write(self, chunk: bytes, sealed: bytes) -> None:
        """Keep sealed bytes: whole or not at all.

        Raises:
            DiskFullError, ReadOnlyError, StorageError: they are not kept.
        """
        ...

    def settle(self) -> None:
        """Make durable the names of all that was written, or found, before this call.

        Raises:
            StorageError: they may not be; nothing more is written until the vault is reopened.
        """
        ...

    def remove(self, chunks: Iterable[bytes]) -> None:
        """Remove chunks for good; that one is not there is no error."""
        ...

    def all(self) -> Iterator[Kept]:
        """Every chunk that is there, in no order."""
        ...

    def strays(self) -> Iterator[Path]:
        """Files that are no chunks: what writing left behind an hour ago or longer."""
        ...


class FolderOfChunks:
    """Chunks as files below a vault's folder."""

    def __init__(self, vault: Path) -> None:
        self._root = vault / FOLDER
        self._lock = threading.Lock()  # around the sets
        self._settling = threading.Lock()  # who settles waits for whoever does
        self._unsynced: set[Path] = set()
        self._made: set[Path] = set()  # folders that stand and whose own names are durable
        self._failed = False

    @property
    def here(self) -> ChunkFiles:
        """See `ChunkFiles`."""
        return self

    def _path(self, chunk: bytes) -> Path:
        name = chunk.hex()
        return self._root / name[:2] / name

    def has(self, chunk: bytes, sealed: int) -> bool:
        """See `ChunkFiles`."""
        if self.size(chunk) != sealed:
            return False
        with self._lock:
            self._unsynced.add(self._path(chunk).parent)
        return True

    def size(self, chunk: bytes) -> int | None:
        """See `ChunkFiles`."""
        try:
            return self._path(chunk).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error, self._path(chunk)) from error

    def read(self, chunk: bytes) -> bytes:
        """See `ChunkFiles`."""
        path = self._path(chunk)
        try:
            with path.open("rb") as file:
                return file.read(SEALED_BYTES + 1)
        except FileNotFoundError as error:
            message = f"Chunk {FOLDER}/{path.parent.name}/{path.name} is missing."
            raise BlobMissingError(message, hint=_MISSING_HINT) from error
        except OSError as error:
            message = f"{FOLDER}/{path.name} could not be read ({error.strerror or error})."
            raise StorageError(message) from error

    def write(self, chunk: bytes, sealed: bytes) -> None:
        """See `ChunkFiles`."""
        path = self._path(chunk)
        if self._failed:
            message = f"A sync of {FOLDER} failed, so nothing more is written there."
            raise StorageError(message, hint="Open the vault again.")
        if not path.parent.is_dir():
            make_folder(self._root)
            try:
                path.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            except OSError as error:
                raise storage_error(error, path) from error
        write_file(path, sealed, staging=self._root, sync_name=False)
        with self._lock:
            self._unsynced.add(path.parent)

    def settle(self) -> None:
        """See `ChunkFiles`."""
        with self._settling:
            with self._lock:
                folders, self._unsynced = self._unsynced, set[Path]()
            try:
                for folder in sorted(folders):
                    sync_folder(folder)
                if folders - self._made:
                    sync_folder(self._root)
                    sync_folder(self._root.parent)
                    self._made |= folders
            except OSError as error:
                self._failed = True
                raise storage_error(error, self._root) from error

    def remove(self, chunks: Iterable[bytes]) -> None:
        """See `ChunkFiles`."""
        folders: set[Path] = set()
        try:
            for chunk in chunks:
                path = self._path(chunk)
                if path.exists():
                    path.unlink(missing_ok=True)
                    folders.add(path.parent)
            for folder in folders:
                sync_folder(folder)
        except OSError as error:
            raise storage_error(error, self._root) from error

    def all(self) -> Iterator[Kept]:
        """See `ChunkFiles`."""
        for folder in self._folders():
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                if _is_chunk(entry.name, folder.name):
                    yield Kept(bytes.fromhex(entry.name), entry.stat().st_size)

    def strays(self) -> Iterator[Path]:
        """See `ChunkFiles`."""
        for folder in [self._root, *self._folders()] if self._root.is_dir() else []:
            for entry in os.scandir(folder):
                if entry.is_dir() or _is_chunk(entry.name, folder.name):
                    continue
                if entry.stat().st_mtime < time.time() - STRAY_AGE_S:
                    yield Path(entry.path)

    def _folders(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        return sorted(place for place in self._root.iterdir() if place.is_dir())


def _is_chunk(name: str, folder: str) -> bool:
    digits = set(name) <= set("0123456789abcdef")
    return digits and len(name) == 2 * CHUNK_ID_BYTES and name[:2] == folder


class MemoryOfChunks:
    """Chunks of a vault in memory."""

    def __init__(self) -> None:
        self._chunks: dict[bytes, bytes] = {}

    @property
    def here(self) -> ChunkFiles:
        """See `ChunkFiles`."""
        return self

    def has(self, chunk: bytes, sealed: int) -> bool:
        """See `ChunkFiles`."""
        return self.size(chunk) == sealed

    def size(self, chunk: bytes) -> int | None:
        """See `ChunkFiles`."""
        found = self._chunks.get(chunk)
        return None if found is None else len(found)

    def read(self, chunk: bytes) -> bytes:
        """See `ChunkFiles`."""
        try:
            return self._chunks[chunk]
        except KeyError as error:
            message = f"Chunk {chunk.hex()} is missing."
            raise BlobMissingError(message, hint=_MISSING_HINT) from error

    def write(self, chunk: bytes, sealed: bytes) -> None:
        """See `ChunkFiles`."""
        self._chunks[chunk] = sealed

    def settle(self) -> None:
        """See `ChunkFiles`."""

    def remove(self, chunks: Iterable[bytes]) -> None:
        """See `ChunkFiles`."""
        for chunk in chunks:
            self._chunks.pop(chunk, None)

    def all(self) -> Iterator[Kept]:
        """See `ChunkFiles`."""
        yield from [Kept(chunk, len(data)) for chunk, data in list(self._chunks.items())]

    def strays(self) -> Iterator[Path]:
        """See `ChunkFiles`."""
        return iter(())
