"""Packing: sections into packs of one lifetime each, written down as they fill up.

At most two packs are in memory: one whose sections live as long as the vault, and one for those
that are written again when a key is destroyed. Where blobs cost by the piece, what is left of the
first goes into the second, and so does the head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from haulout.crypto.section import padded
from haulout.log import lifetimes
from haulout.log.head import Ref
from haulout.log.published import Pack
from haulout.vault.outbox import Outbox
from haulout.vault.stores import Store


@dataclass(slots=True)
class _Open:
    """A pack that takes sections still."""

    pieces: list[bytes] = field(default_factory=list[bytes])
    sections: list[int] = field(default_factory=list[int])
    size: int = 0

    def add(self, section: int, piece: bytes) -> None:
        """Take a section at the end."""
        self.pieces.append(piece)
        self.sections.append(section)
        self.size += len(piece)

    def data(self) -> bytes:
        """The pack's bytes; several sections are padded together once more."""
        whole = b"".join(self.pieces)
        return whole if len(self.pieces) == 1 else whole + bytes(padded(len(whole)) - len(whole))

    def refs(self, blob: bytes) -> dict[int, Ref]:
        """Where each of its sections stands, in a blob of that ID."""
        found: dict[int, Ref] = {}
        offset = 0
        for section, piece in zip(self.sections, self.pieces, strict=True):
            found[section] = Ref(blob, offset, len(piece), hashlib.sha256(piece).digest())
            offset += len(piece)
        return found


class Packed(NamedTuple):
    """A publication's packs with a head as the last section of the last of them.

    Attributes:
        packs: in the order they are sent; ``refs``: where every section stands.
        place: where the head stands; ``head``: its bytes.
    """

    packs: list[Pack]
    refs: Mapping[int, Ref]
    place: Ref
    head: bytes


class Packing:
    """Gathers sections; numbers them from 0 in the order they are added.

    Args:
        store: says how large a pack may be; ``outbox``: takes packs that are full.
    """

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store, self._outbox = store, outbox
        self._open = {True: _Open(), False: _Open()}
        self._full: dict[bool, list[Pack]] = {True: [], False: []}
        self._refs: dict[int, Ref] = {}
        self._count = 0

    def add(self, data: bytes, *, lasting: bool) -> int:
        """Take a section; return its number."""
        if self._open[lasting].pieces and not self._fits(self._open[lasting].size + len(data)):
            self._flush(lasting=lasting)
        self._open[lasting].add(self._count, data)
        self._count += 1
        return self._count - 1

    def finish(self) -> tuple[list[Pack], Mapping[int, Ref]]:
        """Write down what is open; the packs in the order they are sent, and every place."""
        for lasting in (True, False):
            self._flush(lasting=lasting)
        return [*self._full[True], *self._full[False]], self._refs

    def finish_with_head(self, head: Callable[[Mapping[int, Ref]], bytes]) -> Packed:
        """The same, with as few blobs as may be, and a head in the last one.

        Args:
            head: makes the head's bytes from the places of all sections; those in its own pack
                have an empty blob ID.
        """
        self._join()
        data = head({**self._refs, **self._open[False].refs(b"")})
        if not self._fits(self._open[False].size + len(data)):
            self._flush(lasting=False)  # what was to be its pack is full, and named by its ID
            data = head(self._refs)
        number = self.add(data, lasting=False)
        packs, refs = self.finish()
        return Packed(packs, refs, refs[number], data)

    def _join(self) -> None:
        """Let what is not worth a blob of its own share the one of the keys."""
        rest, keys = self._open[True], self._open[False]
        if lifetimes.is_lasting(rest.size, self._store.pack_bytes):
            self._flush(lasting=True)
        elif self._fits(rest.size + keys.size):
            for section, piece in zip(keys.sections, keys.pieces, strict=True):
                rest.add(section, piece)
            self._open = {True: _Open(), False: rest}

    def _fits(self, size: int) -> bool:
        return padded(size) <= self._store.pack_bytes

    def _flush(self, *, lasting: bool) -> None:
        current = self._open[lasting]
        if not current.pieces:
            return
        data = current.data()
        blob = self._store.blob_id(data)
        self._outbox.put(blob, data)
        self._full[lasting].append(Pack(blob, len(data), lasting))
        self._refs |= current.refs(blob)
        self._open[lasting] = _Open()
