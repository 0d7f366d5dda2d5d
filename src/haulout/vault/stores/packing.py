"""Packing: sections into packs of one lifetime each, written down as they fill up.

At most two packs are in memory: one whose sections live as long as the vault, and one for those
that are written again when a key is destroyed. Where blobs cost by the piece, what is left of the
first goes into the second, and so does the head (`packs.Packs` decides).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from haulout.database.rightofway import RightOfWay
from haulout.log import packs
from haulout.log.head import Ref
from haulout.log.packs import Packs
from haulout.log.published import Pack
from haulout.vault.stores.outbox import Outbox
from haulout.vault.stores.store import Store


class Packed(NamedTuple):
    """A publication's packs with its heads as the last sections of the last of them.

    Attributes:
        packs: in the order they are sent; ``refs``: where every section stands.
        places: where the heads stand; ``heads``: their bytes.
    """

    packs: list[Pack]
    refs: Mapping[int, Ref]
    places: list[Ref]
    heads: list[bytes]


class Packing:
    """Gathers sections; numbers them from 0 in the order they are added.

    Args:
        store: says how large a pack may be; ``outbox``: takes packs that are full.
        way: given before a pack is named, which encodes it.
    """

    def __init__(self, store: Store, outbox: Outbox, way: RightOfWay) -> None:
        self._store, self._outbox, self._way = store, outbox, way
        self._packs = Packs(store.pack_bytes)
        self._pieces: dict[int, bytes] = {}
        self._written: list[Pack] = []
        self._refs: dict[int, Ref] = {}

    def add(self, data: bytes, *, lasting: bool) -> int:
        """Take a section; return its number."""
        number, full = self._packs.add(len(data), lasting=lasting)
        self._write(full)
        self._pieces[number] = data
        return number

    def finish(self) -> tuple[list[Pack], Mapping[int, Ref]]:
        """Write down what is open; the packs in the order they are sent, and every place."""
        self._write(self._packs.finish())
        return sorted(self._written, key=lambda pack: not pack.lasting), self._refs

    def finish_with_heads(self, heads: Sequence[Callable[[Mapping[int, Ref]], bytes]]) -> Packed:
        """The same, with as few blobs as may be, and heads in the last one.

        Args:
            heads: each makes a head's bytes from the places of all sections; those in its own
                pack have an empty blob ID.
        """
        self._write(self._packs.join())
        refs: Mapping[int, Ref] = {**self._refs, **self._places(b"", self._packs.last)}
        data = [head(refs) for head in heads]
        full = self._packs.make_room(sum(map(len, data)))
        if full:  # what was to be their pack is full, and named by its ID
            self._write(full)
            data = [head(self._refs) for head in heads]
        numbers = [self.add(one, lasting=False) for one in data]
        written, refs = self.finish()
        return Packed(written, refs, [refs[number] for number in numbers], data)

    def _places(self, blob: bytes, sections: Iterable[int]) -> dict[int, Ref]:
        """Where sections stand that follow each other in a blob of that ID."""
        found: dict[int, Ref] = {}
        offset = 0
        for section in sections:
            piece = self._pieces[section]
            found[section] = Ref(blob, offset, len(piece), hashlib.sha256(piece).digest())
            offset += len(piece)
        return found

    def _write(self, full: Iterable[packs.Pack]) -> None:
        for pack in self._way.along(full):
            data = b"".join(self._pieces[section] for section in pack.sections)
            data += bytes(pack.size - len(data))
            blob = self._store.blob_id(data)
            self._outbox.put(blob, data)
            self._written.append(Pack(blob, len(data), pack.lasting))
            self._refs |= self._places(blob, pack.sections)
            for section in pack.sections:
                del self._pieces[section]
