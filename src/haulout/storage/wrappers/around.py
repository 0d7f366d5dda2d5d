"""What a wrapper does where it has nothing to say: pass the call on."""

from __future__ import annotations

from collections.abc import Iterator

from haulout.storage.backend import Backend, Object, Versioned


class AroundBackend:
    """A backend that is another one. Wrappers change the methods that concern them.

    Args:
        inner: the backend around which this one is; `close` closes it, too.
    """

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    @property
    def url(self) -> str:
        """Where the inner backend is."""
        return self.inner.url

    def put(self, name: str, data: bytes) -> None:
        """See `Backend.put`."""
        self.inner.put(name, data)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Backend.get`."""
        return self.inner.get(name, start, length)

    def size(self, name: str) -> int:
        """See `Backend.size`."""
        return self.inner.size(name)

    def delete(self, name: str) -> None:
        """See `Backend.delete`."""
        self.inner.delete(name)

    def list(self, prefix: str = "") -> Iterator[Object]:
        """See `Backend.list`."""
        return self.inner.list(prefix)

    def read_head(self, name: str) -> Versioned | None:
        """See `Backend.read_head`."""
        return self.inner.read_head(name)

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """See `Backend.swap_head`."""
        return self.inner.swap_head(name, data, version)

    def close(self) -> None:
        """Close the inner backend."""
        self.inner.close()
