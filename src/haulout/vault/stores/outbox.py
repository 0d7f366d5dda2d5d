"""The outbox: packs that are written down and not confirmed by their store yet.

    <vault>/outbox/<blob ID in hexadecimal>

A pack stays until its head stands, so that a crash repeats the same bytes under the same ID.
What is in it is sealed as in a store.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from haulout.storage.durable import make_folder, storage_error, write_file


class Outbox:
    """Packs by blob ID, in a folder, or in memory for a vault that has none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / "outbox"
        self._held: dict[bytes, bytes] = {}

    def put(self, blob: bytes, data: bytes) -> None:
        """Keep a pack durably.

        Raises:
            DiskFullError, ReadOnlyError, StorageError: it is not kept.
        """
        if self._folder is None:
            self._held[blob] = data
        else:
            make_folder(self._folder)
            write_file(self._folder / blob.hex(), data)

    def get(self, blob: bytes) -> bytes:
        """The bytes of a pack.

        Raises:
            StorageError: it is not there, or cannot be read.
        """
        if self._folder is None:
            return self._held[blob]
        path = self._folder / blob.hex()
        try:
            return path.read_bytes()
        except OSError as error:
            raise storage_error(error, path) from error

    def keep_only(self, blobs: Collection[bytes]) -> None:
        """Remove every pack but some."""
        if self._folder is None:
            self._held = {blob: data for blob, data in self._held.items() if blob in blobs}
        elif self._folder.is_dir():
            names = {blob.hex() for blob in blobs}
            try:
                for path in self._folder.iterdir():
                    if path.name not in names:
                        path.unlink(missing_ok=True)
            except OSError as error:
                raise storage_error(error, self._folder) from error

    def has(self, blob: bytes) -> bool:
        """Whether a pack is there."""
        if self._folder is None:
            return blob in self._held
        return (self._folder / blob.hex()).exists()
