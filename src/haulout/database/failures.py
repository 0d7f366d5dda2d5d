"""SQLite's errors, told as ours. The message always names the file."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import apsw

from haulout.errors import (
    DamagedError,
    DiskFullError,
    HauloutError,
    ReadOnlyError,
    StorageError,
)


def translate(error: apsw.Error, name: str) -> HauloutError:
    """Return our error for one of SQLite's, naming the database file ``name``."""
    if isinstance(error, apsw.FullError):
        return DiskFullError(f"There is no space left for {name}.")
    if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError | apsw.AuthError):
        return ReadOnlyError(f"{name} cannot be written ({error}).")
    if isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.FormatError):
        return DamagedError(f"{name} is damaged ({error}).")
    if isinstance(error, apsw.IOError | apsw.CantOpenError | apsw.BusyError | apsw.LockedError):
        return StorageError(f"{name} could not be read or written ({error}).")
    return DamagedError(f"{name} does not have the tables it should have ({error}).")


@contextmanager
def translated(name: str) -> Generator[None]:
    """Turn SQLite's errors inside the block into ours."""
    try:
        yield
    except apsw.Error as error:
        raise translate(error, name) from error
