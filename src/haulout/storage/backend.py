"""The contract of a backend: a dumb place for named bytes.

A backend knows nothing of slivers, records or keys, retries nothing and keeps no policy: that is
what wrappers and the tier above are for. Every backend passes `haulout.testing.backends`, which
is part of the contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol, runtime_checkable

from haulout.errors import InputError

MOST_NAME_CHARACTERS: Final = 200
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


class Object(NamedTuple):
    """One name in a backend, and how many bytes stand under it."""

    name: str
    size: int


class Versioned(NamedTuple):
    """A head as it was read: its bytes, and the version to name when it is swapped."""

    data: bytes
    version: str


@runtime_checkable
class Backend(Protocol):
    """Named bytes in one place. Safe to use from several threads.

    Names are lower-case path segments (`checked_name`), so that a file system that folds case
    tells them apart. Two kinds live side by side: *objects*, which are written once and never
    changed, and *heads*, which are small and swapped.

    Every method raises `StoreUnavailableError` where the place does not answer (a repetition may
    help), `StoreRefusedError` where it wants a token or a right, `StorageError` and its
    other children where a disk fails, and `InputError` for a name of another form. Nothing else
    comes out, and no method repeats anything by itself.
    """

    @property
    def url(self) -> str:
        """Where it is, for people and for a locator; it never holds a secret."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``: whole or not at all, and durable when this returns.

        Putting the same bytes again is harmless; other bytes replace what stood there.
        """
        ...

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under ``name`` from ``start``, all of the rest or ``length`` of them.

        A range that reaches past the end gives what there is, which may be nothing.

        Raises:
            BlobMissingError: nothing stands there.
        """
        ...

    def size(self, name: str) -> int:
        """How many bytes stand under ``name``.

        Raises:
            BlobMissingError: nothing stands there.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove ``name``; that nothing stands there is no error."""
        ...

    def list(self, prefix: str = "") -> Iterator[Object]:
        """Every object and head whose name begins with ``prefix``, in no order.

        Half-written ones are not among them.
        """
        ...

    def read_head(self, name: str) -> Versioned | None:
        """The head under ``name`` and its version, or None where there is none."""
        ...

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """Put a head in the place of the version that was read; return its new version.

        Args:
            name: the head; ``data``: its new bytes.
            version: what `read_head` gave; None where there was no head.

        Raises:
            ConflictError: another version stands there now, and it stays.
            StoreUnavailableError: it is **not known** whether the swap was done: read it again
                and compare before doing anything else.
        """
        ...

    def close(self) -> None:
        """Give connections back. Closing twice is fine."""
        ...


def checked_name(name: str) -> str:
    """Return ``name`` where it is one a backend can hold.

    Raises:
        InputError: it is empty, too long, or not of lower-case path segments.
    """
    if len(name) > MOST_NAME_CHARACTERS or not _NAME.fullmatch(name) or ".." in name:
        message = f"{name[:60]!r} cannot name an object in a store."
        raise InputError(message)
    return name
