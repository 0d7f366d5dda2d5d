"""Every error Haulout raises, as one tree.

    HauloutError
    ├── InputError              the call itself is wrong; nothing was written
    │   ├── LimitError          a stated limit was passed (size, length, count)
    │   ├── FilterError         a filter does not follow the grammar
    │   └── ImportFormatError   a file is of no known form, or broken beyond reading
    ├── NotFoundError           no such memory, operation or namespace for this caller
    ├── ErasedError             it existed and was erased; it does not come back
    ├── ConflictError           what the call expected is not what stands
    │   ├── OperationReusedError  an operation ID came back with another body
    │   └── StaleStateError     what is kept is older than the caller allows
    ├── NotAllowedError         the principal may not do this
    ├── ActionError             an agent's action; the message says what may have happened
    │   ├── ActionRefusedError  a limit, a halt or a lost lease forbids it: nothing was sent
    │   ├── VenueRefusedError   whoever was to do it refused for good: it did not happen
    │   └── OutcomeUnknownError   it may have happened; look it up before anything else is sent
    ├── VaultError              the vault as a whole cannot be used
    │   ├── VaultMissingError   there is no vault at this place
    │   ├── VaultExistsError    there is one already
    │   ├── VaultLockedError    the key or passphrase does not open it
    │   ├── VaultVersionError   written by another version of the format
    │   ├── DamagedError        bytes are not what was written
    │   └── VaultClosedError    used after close, or latched after a failed fsync
    ├── StorageError            a disk or a store refused
    │   ├── DiskFullError
    │   ├── ReadOnlyError
    │   ├── StoreUnavailableError   a store does not answer, or is busy
    │   ├── StoreRefusedError   a store wants a token, money or a right that this call lacks
    │   ├── BlobMissingError    a store does not have these bytes
    │   └── WrongBytesError     bytes are not what their name promises; the message says whose
    ├── CodingError             slivers do not make a blob
    │   ├── TooFewSliversError  too few of them are left
    │   └── InconsistentBlobError   each is authentic, and together they are of no one blob
    └── ModelError              the embedding model is missing, broken or unreachable

Each error answers three questions: what happened (the message), whether trying the same
call again can help (``retry``), and what to do next (``hint``). The command line maps
classes to exit codes and the server to statuses; nothing of that is kept here.
"""

from __future__ import annotations

from typing import ClassVar


class HauloutError(Exception):
    """Base of every error raised by Haulout.

    Attributes:
        retry: True when the same call may succeed later without a change.
        hint: one sentence telling a person what to do next.
    """

    retry: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(HauloutError):
    """The call's arguments are wrong; nothing was written."""

    default_hint = "Correct the call and send it again."


class LimitError(InputError):
    """A stated limit was passed."""


class FilterError(InputError):
    """A filter does not follow the grammar of docs/spec/filter.md."""


class ImportFormatError(InputError):
    """A file to import is of no known form, or broken beyond reading."""

    default_hint = "See `haulout import --help` for the forms that are understood."


class NotFoundError(HauloutError):
    """No such memory, operation or namespace exists for this caller."""


class ErasedError(HauloutError):
    """The thing existed and was erased. Erased things do not come back."""

    default_hint = "To keep it again, remember it as a new memory with a new operation ID."


class ConflictError(HauloutError):
    """What the call expected is not what stands; read again, then decide."""


class OperationReusedError(ConflictError):
    """An operation ID came back with a different body; the first result stands."""

    default_hint = "Use a new operation ID for a new write."


class StaleStateError(ConflictError):
    """What is kept is older than the caller allows."""

    default_hint = "Look at it, then write it anew or allow a greater age."


class NotAllowedError(HauloutError):
    """The principal may not do this."""


class ActionError(HauloutError):
    """An agent's action did not go as it should; the message says what may have happened."""


class ActionRefusedError(ActionError):
    """A limit, a halt, a lost lease or an open question forbids an action. Nothing was sent."""

    default_hint = "`haulout state show` says what forbids it."


class VenueRefusedError(ActionError):
    """Whoever was to carry an action out refused it for good: it did not happen."""

    default_hint = "Another attempt is another intent."


class OutcomeUnknownError(ActionError):
    """An action may have happened, and nobody can say yet."""

    default_hint = "Do not repeat it; `haulout state resolve` or a recovery looks it up."


class VaultError(HauloutError):
    """The vault as a whole cannot be used."""


class VaultMissingError(VaultError):
    """There is no vault at this place."""

    default_hint = "Run `haulout init` (or Vault.create) to make one."


class VaultExistsError(VaultError):
    """There is a vault at this place already."""

    default_hint = "Open it, or choose another folder."


class VaultLockedError(VaultError):
    """The key, passphrase or recovery kit does not open this vault."""


class VaultVersionError(VaultError):
    """The vault was written by another version of the format."""

    default_hint = "Use a version of Haulout that knows this format; nothing was changed."


class DamagedError(VaultError):
    """Bytes are not what was written. The message names the file or record."""

    default_hint = "Run `haulout check`; restore the newest backup if it names lost records."


class VaultClosedError(VaultError):
    """The vault was closed, or it latched after a failed write to disk."""

    default_hint = "Open the vault again; it checks itself as it opens."


class StorageError(HauloutError):
    """A disk or a store refused a read or a write. Nothing unacknowledged was kept."""

    retry = True


class DiskFullError(StorageError):
    """There is no space left on the device."""

    default_hint = "Free some space, then try again; nothing acknowledged was lost."


class ReadOnlyError(StorageError):
    """The folder or file cannot be written."""

    retry = False
    default_hint = "Make the folder writable, or choose another with `--vault`."


class StoreUnavailableError(StorageError):
    """A store does not answer, answers nonsense, or is busy."""

    default_hint = "Nothing is lost; try again later, or see to the store."


class StoreRefusedError(StorageError):
    """A store wants a token, money or a right that this call does not have."""

    retry = False
    default_hint = "Give the store what it asks for; what waits to be sent is kept here."


class BlobMissingError(StorageError):
    """A store does not have these bytes (any more)."""

    retry = False


class WrongBytesError(StorageError):
    """Bytes are not what their name or hash promises. The message says whose they are."""

    retry = False
    default_hint = "Other copies are used where there are some; replace the one that lies."


class CodingError(HauloutError):
    """Slivers do not make a blob."""


class TooFewSliversError(CodingError):
    """Too few slivers are left to make the blob again."""


class InconsistentBlobError(CodingError):
    """Each sliver is authentic, and together they are of no one blob: its writer lied."""


class ModelError(HauloutError):
    """The embedding model is missing, broken or unreachable."""

    default_hint = "Run `haulout model status`; recall goes on by words meanwhile."
