"""Packing: sections into packs of one lifetime each, written down as they fill up.

At most two packs are in memory: one whose sections live as long as the vault, and one for those
that are written again when a key is destroyed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from haulout.crypto.section import padded
from haulout.log.head import Ref
from haulout.log.published import Pack
from haulout.vault.outbox import Outbox
from haulout.vault.stores import Store


@dataclass(slots=True)
class _Open:
    """A pack that takes sections still."""

    pieces: list[bytes] = field(default_factory=list[bytes])
    sections: list[int] = field(default_factory=list[int])
    bytes: int = 0

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


class Packing:
    """Gathers sections; numbers them from 0 in the order they are added.

    Args:
        store: says how large a pack may be; ``outbox``: takes packs that are full.
        joined: whether all sections share packs, which then live as short as the shortest.
    """

    def __init__(self, store: Store, outbox: Outbox, *, joined: bool = False) -> None:
        self._store, self._outbox, self._joined = store, outbox, joined
        self._open = {True: _Open(), False: _Open()}
        self._full: dict[bool, list[Pack]] = {True: [], False: []}
        self._refs: dict[int, Ref] = {}
        self._count = 0

    def add(self, data: bytes, *, lasting: bool) -> int:
        """Take a section; return its number."""
        lasting = lasting and not self._joined
        current = self._open[lasting]
        if current.pieces and padded(current.bytes + len(data)) > self._store.pack_bytes:
            self._flush(lasting=lasting)
            current = self._open[lasting]
        current.pieces.append(data)
        current.sections.append(self._count)
        current.bytes += len(data)
        self._count += 1
        return self._count - 1

    def finish(self) -> tuple[list[Pack], Mapping[int, Ref]]:
        """Write down what is open; the packs in the order they are sent, and every place."""
        for lasting in (True, False):
            self._flush(lasting=lasting)
        return [*self._full[True], *self._full[False]], self._refs

    def finish_with_head(
        self, head: Callable[[Mapping[int, Ref]], bytes]
    ) -> tuple[list[Pack], Mapping[int, Ref], Ref, bytes]:
        """The same, with a head as the last section of the last pack.

        Args:
            head: makes the head's bytes from the places of all sections; those in its own pack
                have an empty blob ID.

        Returns:
            packs, places, the head's own place, and its bytes.
        """
        self._flush(lasting=True)
        own = self._open[False].refs(b"")
        data = head({**self._refs, **own})
        number = self.add(data, lasting=False)
        if number not in self._open[False].refs(b"") or len(own) + 1 != len(
            self._open[False].sections
        ):  # the head did not fit: what was its pack is full, and named by its ID
            self._open[False] = _Open()
            self._count -= 1
            data = head(self._refs)
            number = self.add(data, lasting=False)
        packs, refs = self.finish()
        return packs, refs, refs[number], data

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
