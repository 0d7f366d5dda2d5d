"""A backend that is only read."""

from __future__ import annotations

from haulout.errors import ReadOnlyError
from haulout.storage.backend import checked_name
from haulout.storage.wrappers.around import AroundBackend


class ReadOnlyBackend(AroundBackend):
    """Reads and lists; refuses to put, delete and swap with `ReadOnlyError`."""

    def put(self, name: str, data: bytes) -> None:
        """Refuse."""
        del data
        raise self._refusal(name)

    def delete(self, name: str) -> None:
        """Refuse."""
        raise self._refusal(name)

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """Refuse."""
        del data, version
        raise self._refusal(name)

    def _refusal(self, name: str) -> ReadOnlyError:
        message = f"{checked_name(name)} would be written, and {self.url} is only read here."
        return ReadOnlyError(message, hint="Open the store for writing.")
