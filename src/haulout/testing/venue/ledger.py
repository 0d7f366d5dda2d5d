"""The ledger: what a venue accepted, filled and cancelled, in order. The truth of a test."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

What = Literal["accepted", "filled", "cancelled", "refused"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened at the venue.

    Attributes:
        n: its number, from 1; at: when, microseconds since 1970 by the venue's clock.
        what: see `What`; order: the venue's ID; client: the client's, where it gave one.
        symbol, side: of the order; amount: accepted, or filled just now, or cancelled.
        price: of the order or the fill; none for a market order that was accepted.
        key: what decided the order, where the client said so; two accepted entries with one
            key are a duplicate.
        entry: whether the client called it an entry; by: who sent it (``client``, ``user``).
        why: of a refusal.
    """

    n: int
    at: int
    what: What
    order: str
    client: str | None
    symbol: str
    side: str
    amount: str
    price: str | None = None
    key: str | None = None
    entry: bool = True
    by: str = "client"
    why: str = ""


class Ledger:
    """Entries in order; where a path is given, each is durable there before anything goes on.

    Args:
        path: a file of JSON Lines, or None for memory alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self._file = None if path is None else path.open("ab", buffering=0)

    def write(self, entry: Entry) -> None:
        """Append an entry."""
        if self._file is not None:
            self._file.write(msgspec.json.encode(entry) + b"\n")
            os.fsync(self._file.fileno())
        self.entries.append(entry)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def read_ledger(path: Path) -> list[Entry]:
    """The entries of a file; a last line that was cut off is left out."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=Entry) for line in lines]


def duplicates(entries: Iterable[Entry]) -> dict[str, int]:
    """Decision keys under which more than one order was accepted, and how many were too many."""
    found: dict[str, int] = {}
    for one in entries:
        if one.what == "accepted" and one.key is not None and one.entry:
            found[one.key] = found.get(one.key, 0) + 1
    return {key: count - 1 for key, count in found.items() if count > 1}
