"""What makes a vault a replica: a note in its database (docs/spec/replica.md).

The note holds the user keys, which no record wraps to this machine, and how fresh the copy is.
What is here of the log, and where it came from, says the state of the store that gave the head.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from haulout.database.transaction import Transaction
from haulout.errors import DamagedError
from haulout.log import published
from haulout.log.clock import from_microseconds
from haulout.log.journal import Journal
from haulout.log.published import StoreRow

MOST_BYTES: Final = 256_000_000
"""Of attachments that were read and are kept, where nothing else is said."""
READ_ONLY: Final = (
    "This is a replica: a copy that is read and never written to.",
    "Write to the vault that it is a copy of; `haulout replica refresh` brings it here.",
)
_NAME = "replica"


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """What a replica knows beside a vault.

    Attributes:
        keys: user keys in hexadecimal, by generation.
        looked: when the stores were last read and gave nothing older, microseconds.
        most_bytes: bound of the attachments that are kept here.
    """

    keys: dict[int, str]
    looked: int = 0
    most_bytes: int = MOST_BYTES

    @property
    def secrets(self) -> dict[int, bytes]:
        """User keys by generation."""
        return {generation: bytes.fromhex(key) for generation, key in self.keys.items()}


class Age(NamedTuple):
    """How old a replica is.

    Attributes:
        head: the number of the head it was made of; ``as_of``: when that was published.
        refreshed_at: when the stores last gave no newer one.
    """

    head: int
    as_of: datetime
    refreshed_at: datetime


def note_of(connection: Transaction, vault: int) -> Replica | None:
    """What a replica knows; None for any other vault.

    Raises:
        DamagedError: it cannot be read.
    """
    row = connection.execute(
        "SELECT value FROM setting WHERE vault = ? AND name = ?", (vault, _NAME)
    ).fetchone()
    try:
        return msgspec.json.decode(row[0], type=Replica) if row else None
    except msgspec.MsgspecError as error:
        message = "What this replica knows of itself is damaged."
        raise DamagedError(message, hint="Make it again with `haulout replica create`.") from error


def put_note(connection: Transaction, vault: int, note: Replica) -> None:
    """Write down what a replica knows."""
    text = msgspec.json.encode(note).decode()
    connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?, ?)", (vault, _NAME, text))


def made_one(journal: Journal, note: Replica) -> None:
    """Let an open vault be read only, and its keys be found."""
    journal.read_only = READ_ONLY
    journal.keychain.teach(note.secrets)


def source(connection: Transaction, vault: int) -> StoreRow | None:
    """The store that gave the head which is here."""
    rows = published.stores(connection, vault)
    return next((row for row in rows if row.state.number), None)


def age(connection: Transaction, vault: int) -> Age | None:
    """How old a replica is; None for any other vault."""
    note, row = note_of(connection, vault), source(connection, vault)
    if note is None or row is None:
        return None
    as_of, looked = from_microseconds(row.state.at), from_microseconds(note.looked)
    return Age(row.state.number, as_of, looked)
