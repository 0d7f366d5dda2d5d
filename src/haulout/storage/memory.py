"""A backend in this process's memory: a peer of the others, for tests and for trying things out.

It is gone with the process. Its versions are numbers, never used twice, so a caller that takes
them for hashes is found out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import ClassVar

from haulout.errors import BlobMissingError, ConflictError, InputError
from haulout.storage.backend import (
    Object,
    Versioned,
    checked_name,
    checked_prefix,
    checked_range,
)


class MemoryBackend:
    """Objects and heads in a dictionary. Safe among threads.

    Args:
        url: how to call it.
    """

    _named: ClassVar[dict[str, MemoryBackend]] = {}
    _naming: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, url: str = "memory:") -> None:
        self._url = url
        self._objects: dict[str, Versioned] = {}
        self._folders: set[str] = set()
        self._versions = 0
        self._lock = threading.Lock()

    @classmethod
    def named(cls, name: str) -> MemoryBackend:
        """The backend of this name in this process: the same one each time, kept until its end."""
        with cls._naming:
            return cls._named.setdefault(name, cls(f"memory:{name}"))

    @property
    def url(self) -> str:
        """Where it is."""
        return self._url

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``. See `Backend.put`."""
        checked_name(name)
        with self._lock:
            self._keep(name, data)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under ``name``, or a range of them. See `Backend.get`."""
        checked_range(start, length)
        data = self._standing(name).data
        return data[start:] if length is None else data[start : start + length]

    def size(self, name: str) -> int:
        """How many bytes stand under ``name``. See `Backend.size`."""
        return len(self._standing(name).data)

    def delete(self, name: str) -> None:
        """Remove ``name``. See `Backend.delete`."""
        checked_name(name)
        with self._lock:
            self._objects.pop(name, None)

    def list(self, prefix: str = "") -> Iterator[Object]:
        """Every name that begins with ``prefix``, as it is when this is called."""
        checked_prefix(prefix)
        with self._lock:
            standing = list(self._objects.items())
        return (Object(name, len(at.data)) for name, at in standing if name.startswith(prefix))

    def read_head(self, name: str) -> Versioned | None:
        """The head under ``name``, with a number as its version."""
        with self._lock:
            return self._objects.get(checked_name(name))

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """Put a head in the place of the version that was read. See `Backend.swap_head`."""
        checked_name(name)
        with self._lock:
            standing = self._objects.get(name)
            if (standing.version if standing else None) != version:
                message = f"Another head stands under {name} in {self._url}."
                raise ConflictError(message, hint="Read it again, then decide.")
            return self._keep(name, data)

    def close(self) -> None:
        """Nothing is held that could be given back."""

    def _standing(self, name: str) -> Versioned:
        with self._lock:
            standing = self._objects.get(checked_name(name))
        if standing is None:
            message = f"{name} does not stand in {self._url}."
            raise BlobMissingError(message)
        return standing

    def _keep(self, name: str, data: bytes) -> str:
        """Put bytes under a name, as a file system would take it; return their version."""
        folders = _folders_of(name)
        if name in self._folders or any(folder in self._objects for folder in folders):
            message = f"{name} is the folder of other names, or lies in one of them."
            raise InputError(message)
        self._folders.update(folders)
        self._versions += 1
        self._objects[name] = Versioned(bytes(data), str(self._versions))
        return self._objects[name].version


def _folders_of(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
