"""A backend whose objects are kept nearby once they were read or written whole.

Objects never change, so a copy needs no questions asked. Heads do: they are never kept. A copy
stands in the cache under its object's name, behind the SHA-256 of its bytes, so that one which
rotted is fetched anew instead of being told for what the store holds. What the cache cannot do
(its disk is full, or gone) is left undone; the store answers then.

An object that another program deletes can be had here until its copy makes room; `size` and `list`
always ask the store.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from contextlib import suppress

from haulout.errors import InputError, StorageError
from haulout.storage.backend import Backend, checked_name, checked_range
from haulout.storage.wrappers.around import AroundBackend

_DIGEST_BYTES = 32


class CachingBackend(AroundBackend):
    """Keeps the objects that were used last, up to a number of bytes.

    Args:
        inner: the store.
        cache: where copies are kept, for nothing else; a folder on this disk, or memory. What
            stands in it from before is used. Programs may share it, each counting for itself.
        most_bytes: how much the copies may take together.

    Raises:
        InputError: the number is negative.
    """

    def __init__(self, inner: Backend, cache: Backend, most_bytes: int) -> None:
        super().__init__(inner)
        if most_bytes < 0:
            message = "A cache cannot hold fewer than 0 bytes."
            raise InputError(message)
        self._cache, self._most_bytes = cache, most_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()  # the one used longest ago comes first
        self._total = 0
        self._removals = 0
        self._lock = threading.Lock()
        with suppress(StorageError):
            for name, size in sorted(cache.list()):
                self._note(name, size)
        self._make_room()

    def put(self, name: str, data: bytes) -> None:
        """See `Backend.put`; the store has it before the cache."""
        removals = self._remove(name)
        self.inner.put(name, data)
        self._keep(name, data, removals)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Backend.get`. A range is served from a copy, and makes none."""
        checked_name(name)
        checked_range(start, length)
        data = self._copy_of(name)
        if data is not None:
            return data[start:] if length is None else data[start : start + length]
        removals = self._removals
        data = self.inner.get(name, start, length)
        if start == 0 and length is None:
            self._keep(name, data, removals)
        return data

    def delete(self, name: str) -> None:
        """See `Backend.delete`; no copy is left, nor made by a reading that is under way."""
        self._remove(name)
        self.inner.delete(name)
        self._remove(name)

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """See `Backend.swap_head`; nothing of it is kept."""
        self._remove(name)
        return self.inner.swap_head(name, data, version)

    def close(self) -> None:
        """Close the store and the cache."""
        self.inner.close()
        self._cache.close()

    # ------------------------------------------------------------------ copies

    def _copy_of(self, name: str) -> bytes | None:
        with self._lock:
            if name not in self._sizes:
                return None
            self._sizes.move_to_end(name)
        try:
            kept = self._cache.get(name)
        except StorageError:
            kept = b""
        data = kept[_DIGEST_BYTES:]
        if kept[:_DIGEST_BYTES] == _digest(data):
            return data
        with self._lock:
            self._drop(name)
        return None

    def _keep(self, name: str, data: bytes, removals: int) -> None:
        """Keep a copy, unless something was removed since the count of removals was read."""
        size = _DIGEST_BYTES + len(data)
        with self._lock:
            if size > self._most_bytes or removals != self._removals:
                return
            # What could not be kept is unimportant; a name of the store's may lie across a copy's.
            with suppress(StorageError, InputError):
                self._cache.put(name, _digest(data) + data)
                self._note(name, size)
            self._make_room()

    def _remove(self, name: str) -> int:
        """Leave no copy under a name; return how many removals there were with this one."""
        checked_name(name)
        with self._lock:
            self._removals += 1
            self._drop(name)
            return self._removals

    def _note(self, name: str, size: int) -> None:
        self._total += size - self._sizes.pop(name, 0)
        self._sizes[name] = size

    def _make_room(self) -> None:
        while self._total > self._most_bytes:
            self._drop(next(iter(self._sizes)))

    def _drop(self, name: str) -> None:
        self._total -= self._sizes.pop(name, 0)
        with suppress(StorageError):
            self._cache.delete(name)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
