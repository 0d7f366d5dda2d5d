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
_PREFIX = re.compile(r"([a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*/?)?")
# Windows opens a device under these names, whatever follows the first dot, and drops a last dot.
_DEVICE = re.compile(r"(^|/)(con|prn|aux|nul|com[0-9]|lpt[0-9])([./]|$)|\.(/|$)")


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
    tells them apart; no name is, or was, the folder of another (`a` beside `a/b`): a folder refuses
    it with `InputError`, a bucket does not notice. Two kinds live side by side: *objects*, which
    are written once and never changed, and *heads*, which are small and swapped. Which of them a
    name is, the caller knows: heads are only swapped and deleted, objects only put and deleted.

    That a name stands does not say that it is durable: its writer may have died before it was
    told so. Who needs to know puts the object again.

    Every method raises `StoreUnavailableError` where the place does not answer (a repetition may
    help), `StoreRefusedError` where it wants a token or a right, `StorageError` and its
    other children where a disk fails, and `InputError` for a name, a prefix or a range of another
    form, before anything is done. Nothing else comes out, and no method repeats anything by
    itself. Every wait is bounded. After `close` nothing else is called.
    """

    @property
    def url(self) -> str:
        """Where it is, for people and for a locator; it never holds a secret."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``: whole or not at all, and durable when this returns.

        Putting the same bytes again is harmless; other bytes replace what stood there. Where it
        raises, nothing or the whole of ``data`` stands there (or what stood before).
        """
        ...

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under ``name`` from ``start``, all of the rest or ``length`` of them.

        A range that reaches past the end gives what there is, which may be nothing; a ``length``
        of 0 gives nothing. What comes is at most ``length`` bytes, which bounds what a hostile
        place can make a reader hold.

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
        """Remove ``name``, durably; that nothing stands there is no error."""
        ...

    def list(self, prefix: str = "") -> Iterator[Object]:
        """Every object and head whose name begins with ``prefix``, in no order.

        Half-written ones are not among them, nor is anything whose name has another form. What
        is put or deleted meanwhile may or may not be among them; all that stood throughout is.
        A place that vanishes meanwhile raises: a short listing never passes for a whole one.

        Args:
            prefix: the beginning of a name, cut anywhere, with or without a last ``/``.
        """
        ...

    def read_head(self, name: str) -> Versioned | None:
        """The head under ``name`` and its version, or None where there is none."""
        ...

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """Put a head in the place of the version that was read; return its new version.

        Of several swaps that name the same version one is done. A version may derive from the
        bytes, so a head that comes back to bytes it had before may have the version it had then:
        heads that must not be confused hold a number. The new head is durable when this returns.

        Args:
            name: the head; ``data``: its new bytes.
            version: what `read_head` or `swap_head` gave; None where there was no head.

        Raises:
            ConflictError: another version stands there now, and it stays.
            StoreUnavailableError: it is **not known** whether the swap was done: read it again
                and compare before doing anything else.
            DiskFullError, ReadOnlyError, StoreRefusedError: it was not done.
            StorageError: not known, and this instance cannot tell, because the disk failed.
        """
        ...

    def close(self) -> None:
        """Give connections back. Closing twice is fine."""
        ...


def checked_name(name: str) -> str:
    """Return ``name`` where it is one a backend can hold.

    Raises:
        InputError: it is empty, too long, not of lower-case path segments, or names a device or
            loses its last dot on Windows.
    """
    fits = len(name) <= MOST_NAME_CHARACTERS and _NAME.fullmatch(name) and ".." not in name
    if not fits or _DEVICE.search(name):
        message = f"{name[:60]!r} cannot name an object in a store."
        raise InputError(message)
    return name


def checked_prefix(prefix: str) -> str:
    """Return ``prefix`` where it is the beginning of a name, or empty.

    Raises:
        InputError: no name begins so.
    """
    fits = len(prefix) <= MOST_NAME_CHARACTERS and _PREFIX.fullmatch(prefix) and ".." not in prefix
    if not fits:
        message = f"No object's name begins with {prefix[:60]!r}."
        raise InputError(message)
    return prefix


def checked_range(start: int, length: int | None) -> None:
    """Refuse a range that begins before the first byte or has fewer than no bytes.

    Raises:
        InputError: it does.
    """
    if start < 0 or (length is not None and length < 0):
        message = f"A range of {length} bytes from {start} is none."
        raise InputError(message)


def is_name(text: str) -> bool:
    """Whether a text found in a place is the name of an object."""
    try:
        checked_name(text)
    except InputError:
        return False
    return True
