"""Exit codes: what each means, and which error gives which. Kept here and nowhere else."""

from __future__ import annotations

from typing import Final

from haulout.errors import (
    ActionError,
    CodingError,
    ConflictError,
    DamagedError,
    ErasedError,
    HauloutError,
    InputError,
    NotFoundError,
    StorageError,
    VaultError,
)

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
CONFLICT: Final = 4
UNUSABLE: Final = 5
DAMAGED: Final = 6
STORAGE: Final = 7
REFUSED: Final = 8
INTERRUPTED: Final = 130

MEANINGS: Final[dict[int, str]] = {
    OK: "done",
    FAILED: "failed for another reason, or answered no when asked",
    USAGE: "the command line, a filter, a time or a file is not right; nothing was written",
    NOT_FOUND: "no such memory, operation, volume or state, or it was erased",
    CONFLICT: "something else stands where the command expected to write",
    UNUSABLE: "there is no vault, one too many, or it is locked or of another version",
    DAMAGED: "bytes are not what was written; the message names the file",
    STORAGE: "the disk refused, or a store lacks something or does not answer",
    REFUSED: "an agent's action is refused, or nobody knows yet whether it happened",
    INTERRUPTED: "stopped by Ctrl-C",
}

_CODES: Final[tuple[tuple[type[HauloutError], int], ...]] = (
    (InputError, USAGE),
    (NotFoundError, NOT_FOUND),
    (ErasedError, NOT_FOUND),
    (ConflictError, CONFLICT),
    (DamagedError, DAMAGED),  # before its base, VaultError
    (CodingError, DAMAGED),
    (VaultError, UNUSABLE),
    (StorageError, STORAGE),
    (ActionError, REFUSED),
)


def exit_code(error: HauloutError) -> int:
    """The exit code that an error is reported with."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
